"""The console: where people decide cases. Pages made on the server, a client of the same services as every other one."""
