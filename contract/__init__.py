"""The contract as Python reads it: fields, types of abuse, tables of orders, messages."""
