"""Features: every input of the model, declared once, computed alike for a table and for one message."""
