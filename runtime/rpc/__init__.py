"""gRPC: servers, channels, what happens around every call, errors and their statuses."""
