"""Python view of the contract: fields, types of abuse, tables of orders, messages."""
