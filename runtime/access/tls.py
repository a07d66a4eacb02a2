"""Certificates of servers and clients as gRPC takes them."""

from dataclasses import dataclass
from pathlib import Path

import grpc

from runtime.access import SecurityError
from runtime.settings import Settings


def _bytes(path: Path, what: str) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SecurityError(f"{path}, the {what}, cannot be read: {error.strerror}") from error
    if b"-----BEGIN " not in content:
        raise SecurityError(f"{path}, the {what}, is not in PEM format")
    return content


def server_credentials(certificate: Path, key: Path, client_ca: Path | None) -> grpc.ServerCredentials:
    """TLS for a server; with `client_ca`, only clients that show a certificate of it come in. Raises SecurityError."""
    pair = (_bytes(key, "TLS key"), _bytes(certificate, "TLS certificate"))
    roots = _bytes(client_ca, "CA of clients") if client_ca else None
    return grpc.ssl_server_credentials([pair], roots, require_client_auth=client_ca is not None)


@dataclass(frozen=True)
class ClientTls:
    """How a client checks a server (`ca`) and shows who it is itself (`certificate` and `key`, for mutual TLS)."""

    ca: Path
    certificate: Path | None = None
    key: Path | None = None

    def credentials(self) -> grpc.ChannelCredentials:
        """As gRPC takes them. Raises SecurityError."""
        if (self.certificate is None) != (self.key is None):
            raise SecurityError("a client's TLS certificate and key belong together")
        return grpc.ssl_channel_credentials(
            _bytes(self.ca, "CA of the server"),
            _bytes(self.key, "TLS key") if self.key else None,
            _bytes(self.certificate, "TLS certificate") if self.certificate else None,
        )


class FrontSettings(Settings):
    """Settings of what stands in front of the services: how it reaches them by TLS."""

    tls_ca: Path | None = None
    tls_certificate: Path | None = None
    tls_key: Path | None = None

    @property
    def tls(self) -> ClientTls | None:
        """How to reach the services; None for plain connections."""
        return ClientTls(self.tls_ca, self.tls_certificate, self.tls_key) if self.tls_ca else None
