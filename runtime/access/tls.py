"""TLS credentials of gRPC servers and clients. Server certificates may be replaced at run time."""

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import grpc

from runtime.access import SecurityError
from runtime.files import MIB, read_file
from runtime.settings import Settings
from runtime.telemetry.logging import get_logger

MAX_BYTES: Final = MIB
_log = get_logger()


def read_pem(path: Path, what: str) -> bytes:
    """Read a PEM file. Raise SecurityError naming the file and `what` it is."""
    try:
        content = read_file(path, MAX_BYTES)
    except OSError as error:
        raise SecurityError(f"cannot read {what} {path}: {error.strerror}") from error
    if b"-----BEGIN " not in content:
        raise SecurityError(f"{what} {path} is not in PEM format")
    return content


@dataclass(frozen=True)
class ServerFiles:
    """TLS files of a server. With `client_ca`, clients must present a certificate issued by that CA."""

    certificate: Path
    key: Path
    client_ca: Path | None = None

    def stamp(self) -> tuple[object, ...]:
        """Return a value that changes when a file is replaced or a link changes its target. Raise OSError."""
        statuses = [path.stat() for path in (self.certificate, self.key, self.client_ca) if path]
        return tuple((status.st_ino, status.st_mtime_ns, status.st_size) for status in statuses)

    def read(self) -> tuple[bytes, bytes, bytes | None]:
        """Return key, certificate and client CA in PEM. Raise SecurityError if a server cannot use them."""
        # Imported only with TLS: this import takes a tenth of the start-up time.
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
        from cryptography.x509 import load_pem_x509_certificate

        key, certificate = read_pem(self.key, "TLS key"), read_pem(self.certificate, "TLS certificate")
        try:
            own_public = load_pem_private_key(key, None).public_key()
            certified_public = load_pem_x509_certificate(certificate).public_key()
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:  # TypeError: the key has a password
            raise SecurityError(f"cannot parse TLS key {self.key} and certificate {self.certificate}") from error
        if own_public != certified_public:
            raise SecurityError(f"TLS key {self.key} does not match certificate {self.certificate}")
        return key, certificate, read_pem(self.client_ca, "client CA") if self.client_ca else None


def server_credentials(files: ServerFiles) -> grpc.ServerCredentials:
    """Return server credentials that reload when the files are replaced. Raise SecurityError."""
    watched = ReloadingCertificates(files)
    fetch: Any = watched  # grpc's types do not allow None, which means "unchanged"
    return grpc.dynamic_ssl_server_credentials(watched.initial, fetch, bool(files.client_ca))


class ReloadingCertificates:
    """Certificate source that gRPC calls for each new connection. Invalid new files leave the old ones in force."""

    def __init__(self, files: ServerFiles) -> None:
        """Read the files. Raise SecurityError."""
        self._files, self._lock = files, threading.Lock()
        self._refused: object = None  # stamp of invalid files, so that they are read once and not for each connection
        try:
            self._stamp: object = files.stamp()
        except OSError:
            self._stamp = None  # reading raises the error that names the file
        self.initial = _configuration(files)

    def __call__(self) -> grpc.ServerCertificateConfiguration | None:
        """Return the new content, or None for "unchanged"."""
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
    """TLS of a client: `ca` verifies the server; `certificate` and `key` identify the client (mutual TLS)."""

    ca: Path
    certificate: Path | None = None
    key: Path | None = None

    def credentials(self) -> grpc.ChannelCredentials:
        """Return gRPC channel credentials. Raise SecurityError."""
        if (self.certificate is None) != (self.key is None):
            raise SecurityError("client TLS needs both a certificate and a key")
        return grpc.ssl_channel_credentials(
            read_pem(self.ca, "server CA"),
            read_pem(self.key, "TLS key") if self.key else None,
            read_pem(self.certificate, "TLS certificate") if self.certificate else None,
        )


class UpstreamTlsSettings(Settings):
    """TLS settings of clients of the services: bridge, console and commands."""

    tls_ca: Path | None = None
    tls_certificate: Path | None = None
    tls_key: Path | None = None

    @property
    def tls(self) -> ClientTls | None:
        """TLS for connections to the services; None for plain text."""
        return ClientTls(self.tls_ca, self.tls_certificate, self.tls_key) if self.tls_ca else None
