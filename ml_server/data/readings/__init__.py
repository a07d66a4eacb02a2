"""How the values of a column are read: one reading for the whole column, or a question. Nothing is decided row by row."""
