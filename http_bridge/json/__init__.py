"""JSON as REST speaks it, from and to messages of the contract."""
