"""Files of other shops and systems."""
