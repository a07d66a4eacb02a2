"""Certificates of servers and clients as gRPC takes them; those of servers may be replaced while they run."""

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import grpc

from runtime.access import SecurityError
from runtime.files import MIB, read_file
from runtime.settings import Settings
from runtime.telemetry.logging import get_logger

MOST_BYTES: Final = MIB
_log = get_logger()


def pem(path: Path, what: str) -> bytes:
    """A file in PEM. Raises SecurityError that names it and what it is."""
    try:
        content = read_file(path, MOST_BYTES)
    except OSError as error:
        raise SecurityError(f"{path}, the {what}, cannot be read: {error.strerror}") from error
    if b"-----BEGIN " not in content:
        raise SecurityError(f"{path}, the {what}, is not in PEM format")
    return content


@dataclass(frozen=True)
class ServerFiles:
    """Files of a server's TLS; with `client_ca`, only clients that show a certificate of it come in."""

    certificate: Path
    key: Path
    client_ca: Path | None = None

    def stamp(self) -> tuple[object, ...]:
        """Changes when a file is replaced, also where a link leads elsewhere. Raises OSError."""
        found = [path.stat() for path in (self.certificate, self.key, self.client_ca) if path]
        return tuple((one.st_ino, one.st_mtime_ns, one.st_size) for one in found)

    def read(self) -> tuple[bytes, bytes, bytes | None]:
        """Key, certificate and CA of clients in PEM. Raises SecurityError where a server could not use them."""
        # Only who has TLS needs them: they are a tenth of a server's start.
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
        from cryptography.x509 import load_pem_x509_certificate

        key, certificate = pem(self.key, "TLS key"), pem(self.certificate, "TLS certificate")
        try:
            own = load_pem_private_key(key, None).public_key()
            first = load_pem_x509_certificate(certificate).public_key()
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:  # TypeError: the key has a password
            raise SecurityError(
                f"{self.key} and {self.certificate} cannot be read as TLS key and certificate"
            ) from error
        if own != first:
            raise SecurityError(f"{self.key} is not the key of the certificate {self.certificate}")
        return key, certificate, pem(self.client_ca, "CA of clients") if self.client_ca else None


def server_credentials(files: ServerFiles) -> grpc.ServerCredentials:
    """TLS for a server, from files that may be replaced while it runs. Raises SecurityError."""
    watched = Replaced(files)
    fetch: Any = watched  # grpc's types do not know that None is "as before"
    return grpc.dynamic_ssl_server_credentials(watched.first, fetch, bool(files.client_ca))


class Replaced:
    """Asked by gRPC at each new connection: the files' new content once they can be used, before that nothing."""

    def __init__(self, files: ServerFiles) -> None:
        """Read the files. Raises SecurityError."""
        self._files, self._lock = files, threading.Lock()
        self._refused: object = None  # what is known to be of no use is looked at once, not by each who connects
        try:
            self._stamp: object = files.stamp()
        except OSError:
            self._stamp = None  # reading says which it is
        self.first = _configuration(files)

    def __call__(self) -> grpc.ServerCertificateConfiguration | None:
        """The new content, or None for "as before"."""
        with self._lock:
            stamp: object = None
            try:
                stamp = self._files.stamp()
                if stamp in (self._stamp, self._refused):
                    return None
                configuration = _configuration(self._files)
            except (OSError, SecurityError) as error:
                self._refuse(stamp or str(error), error)
                return None
            self._stamp, self._refused = stamp, None
        _log.info("certificate replaced")
        return configuration

    def _refuse(self, what: object, error: Exception) -> None:
        if what != self._refused:
            _log.warning("certificate not replaced", reason=str(error))
        self._refused = what


def _configuration(files: ServerFiles) -> grpc.ServerCertificateConfiguration:
    key, certificate, client_ca = files.read()
    return grpc.ssl_server_certificate_configuration([(key, certificate)], client_ca)


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
            pem(self.ca, "CA of the server"),
            pem(self.key, "TLS key") if self.key else None,
            pem(self.certificate, "TLS certificate") if self.certificate else None,
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
