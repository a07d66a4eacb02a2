"""Policy files: reading with line and column numbers, checks, and reloading while the agent serves."""
