"""What happens around each HTTP request."""
