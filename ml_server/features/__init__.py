"""Features: every input of the model, declared once, computed equally for a table and for a message."""
