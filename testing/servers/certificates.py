"""A certificate authority and its certificates, in files that are replaced as certificate managers do."""

import os
import socket
import ssl
from pathlib import Path

import trustme
from cryptography.x509 import load_der_x509_certificate


class Certificates:
    """A certificate and key for all servers. With `links` both are links through a folder's link, as in Kubernetes."""

    def __init__(self, folder: Path, links: bool = False) -> None:
        self.folder, self.authority, self._links, self._versions = folder, trustme.CA(), links, 0
        folder.mkdir()
        self.authority.cert_pem.write_to_path(str(self.ca))
        if links:
            for path in self.pair:
                path.symlink_to(Path("..data") / path.name)
        self.serial = 0
        self.renew()

    @property
    def ca(self) -> Path:
        """Return the path of the authority's certificate."""
        return self.folder / "ca.pem"

    @property
    def pair(self) -> tuple[Path, Path]:
        """Return the paths of the certificate and the key."""
        return self.folder / "cert.pem", self.folder / "key.pem"

    def renew(self) -> int:
        """Replace the pair, the key first, and return the new serial number."""
        issued = self.authority.issue_cert("localhost", "127.0.0.1")
        certificate = issued.cert_chain_pems[0].bytes()
        self._put(key=issued.private_key_pem.bytes(), cert=certificate)
        self.serial = _serial(ssl.PEM_cert_to_DER_cert(certificate.decode()))
        return self.serial

    def write_wrong_key(self) -> None:
        """Write a key that does not belong to the certificate: servers must keep the old pair."""
        certificate = self.pair[0].read_bytes()
        self._put(key=self.authority.issue_cert("localhost").private_key_pem.bytes(), cert=certificate)

    def settings(self, prefix: str, ca: str = "") -> dict[str, str]:
        """Return settings of a server or a client: the pair, and the authority if `ca` names its setting."""
        certificate, key = self.pair
        found = {f"{prefix}TLS_CERTIFICATE": str(certificate), f"{prefix}TLS_KEY": str(key)}
        return found | ({f"{prefix}TLS_{ca}": str(self.ca)} if ca else {})

    def shown(self, address: str) -> int:
        """Return the serial number of the certificate that a server shows; 0 if it shows none."""
        context = ssl.create_default_context(cafile=str(self.ca))
        context.set_alpn_protocols(["h2"])
        host, _, port = address.rpartition(":")
        try:
            with (
                socket.create_connection((host, int(port)), 5) as plain,
                context.wrap_socket(plain, server_hostname=host) as secure,
            ):
                return _serial(secure.getpeercert(binary_form=True) or b"")
        except (OSError, ValueError):
            return 0

    def _put(self, **contents: bytes) -> None:
        """Replace each file by itself, or all at once by one link."""
        self._versions += 1
        version = self.folder / f"..{self._versions}" if self._links else self.folder
        version.mkdir(exist_ok=True)
        for name, content in contents.items():
            new = version / f"{name}.new"
            new.write_bytes(content)
            new.chmod(0o600)
            os.replace(new, version / f"{name}.pem")
        if self._links:
            (self.folder / "..new").symlink_to(version.name)
            os.replace(self.folder / "..new", self.folder / "..data")


def _serial(der: bytes) -> int:
    return load_der_x509_certificate(der).serial_number
