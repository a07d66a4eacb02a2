"""What stands in front of both apps: who may come in, how long they wait, what is logged and counted of them."""
