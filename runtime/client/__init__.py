"""What callers of our services use: channels with retries, and relayed streams."""
