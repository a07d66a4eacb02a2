"""What pages show, computed from messages: pure."""
