"""Access control: API keys, TLS, and the rule that a server without either listens on loopback only."""


class SecurityError(Exception):
    """Unusable keys or certificates, or an address that must not be exposed. The message says what to do."""
