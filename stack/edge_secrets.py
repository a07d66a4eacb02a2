"""The edge's certificates, which Envoy reads again whenever somebody puts new ones in their place.

Envoy does that only for secrets that it is told of by files of their own. Those name the certificates and hold nothing secret.
"""

import hashlib
import json
import os
import re
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from runtime.access import SecurityError
from runtime.access.tls import ServerFiles, pem
from stack.edge import Config
from stack.settings import EdgeSettings

PLAIN: Final = ("bridge_ml", "bridge_agent", "console")
"""On this machine, by plain HTTP."""
_TYPE: Final = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3"
Keep = Callable[[Config], Path]
"""Keeps a secret's description in a file, and says where."""


def apply_tls(config: Config, settings: EdgeSettings, keep: Keep) -> Config:
    """The configuration with TLS where settings name it. Changes it. Raises SecurityError where a file cannot be used."""
    config["node"] = {"id": "edge", "cluster": "vouch"}  # nobody asks for it, but secrets are not to be had without
    if settings.tls_certificate and settings.tls_key:
        own = _pair(settings.tls_certificate, settings.tls_key, keep)
        # gRPC's clients talk to nobody who does not say that it speaks HTTP/2.
        pair = {"tls_certificate_sds_secret_configs": [own], "alpn_protocols": ["h2", "http/1.1"]}
        listener = config["static_resources"]["listeners"][0]
        listener["filter_chains"][0]["transport_socket"] = _socket("Downstream", pair)
    if settings.services_tls_ca:
        context: Config = {
            "combined_validation_context": {
                "default_validation_context": {
                    "match_typed_subject_alt_names": [
                        {"san_type": kind, "matcher": {"exact": name}} for kind, name in _names(settings)
                    ]
                },
                "validation_context_sds_secret_config": _authority(settings.services_tls_ca, keep),
            },
            "alpn_protocols": ["h2"],
        }
        if settings.services_tls_certificate and settings.services_tls_key:
            own = _pair(settings.services_tls_certificate, settings.services_tls_key, keep)
            context["tls_certificate_sds_secret_configs"] = [own]
        for cluster in config["static_resources"]["clusters"]:
            if cluster["name"] not in PLAIN:
                cluster["transport_socket"] = _socket("Upstream", context)
    return config


def _pair(certificate: Path, key: Path, keep: Keep) -> Config:
    ServerFiles(certificate, key).read()  # Envoy would start all the same, and refuse every caller
    content = {
        "certificate_chain": _at(certificate),
        "private_key": _at(key),
        "watched_directory": _folder(certificate),
    }
    return _told("pair", {"tls_certificate": content}, keep)


def _authority(ca: Path, keep: Keep) -> Config:
    pem(ca, "CA of the services")
    return _told("authority", {"validation_context": {"trusted_ca": _at(ca), "watched_directory": _folder(ca)}}, keep)


def _told(name: str, content: Config, keep: Keep) -> Config:
    path = keep({"@type": f"{_TYPE}.Secret", "name": name, **content})
    return {"name": name, "sds_config": {"resource_api_version": "V3", "path_config_source": {"path": str(path)}}}


def _at(path: Path) -> Config:
    return {"filename": str(path.absolute())}  # links are not followed here: they may lead elsewhere tomorrow


def _folder(path: Path) -> Config:
    return {"path": str(path.absolute().parent)}


def _names(settings: EdgeSettings) -> list[tuple[str, str]]:
    """Whom the services may be, by the names in their certificates."""
    hosts = [
        target.rpartition(":")[0].strip("[]") for service in ("scorer", "agent") for target in settings.targets(service)
    ]
    found = [("DNS", "localhost"), ("IP_ADDRESS", "127.0.0.1")]
    return found + [
        ("IP_ADDRESS" if re.fullmatch(r"[0-9A-Fa-f.:]*[.:][0-9.:A-Fa-f]*", host) else "DNS", host) for host in hosts
    ]


def _socket(side: str, context: dict[str, Any]) -> Config:
    typed = {"@type": f"{_TYPE}.{side}TlsContext", "common_tls_context": context}
    return {"name": "envoy.transport_sockets.tls", "typed_config": typed}


def kept(secret: Config) -> Path:
    """Keep a secret's description where only this user writes; the same one is kept once. Raises SecurityError."""
    text = json.dumps({"resources": [secret]}, indent=1)
    folder = private_folder()
    path = folder / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"
    try:
        new = folder / f"{path.name}.{os.getpid()}"
        new.write_text(text)
        new.replace(path)
    except OSError as error:
        raise _cannot_write(folder, error) from error
    return path


def private_folder() -> Path:
    """Return a folder for temporary files that only this user writes to; make it. Raises SecurityError."""
    folder = Path(tempfile.gettempdir()) / f"vouch-edge-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise _cannot_write(folder, error) from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise SecurityError(f"{folder} must be a folder that only you can write to: remove it, or set TMPDIR")
    return folder


def _cannot_write(folder: Path, error: OSError) -> SecurityError:
    return SecurityError(f"{folder} cannot be written, so set TMPDIR to a folder that can: {error.strerror}")
