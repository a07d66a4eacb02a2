"""Who may come in: API keys, TLS, and the rule that without either a server stays on loopback."""


class SecurityError(Exception):
    """Keys or certificates that cannot be used, or an address that must not be open; the message says what to do."""
