"""TLS certificates of the edge, which Envoy reloads when they are replaced.

Envoy reloads only secrets that are described in SDS files. Those files contain paths, not secrets.
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
from runtime.access.tls import ServerFiles, read_pem
from stack.edge_config.configuration import Config
from stack.settings import EdgeSettings

PLAIN_HTTP: Final = ("bridge_ml", "bridge_agent", "console")
"""Services on this machine that speak plain HTTP."""
_TYPE: Final = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3"
WriteSecret = Callable[[Config], Path]
"""Writes the description of a secret to a file, and returns its path."""


def apply_tls(config: Config, settings: EdgeSettings, write_secret: WriteSecret) -> Config:
    """Apply the TLS settings to a configuration in place; return it. Raise SecurityError for an unusable file."""
    config["node"] = {"id": "edge", "cluster": "vouch"}  # unused, but SDS requires it
    if settings.tls_certificate and settings.tls_key:
        pair = _pair(settings.tls_certificate, settings.tls_key, write_secret)
        # gRPC clients require HTTP/2 by ALPN.
        downstream = {"tls_certificate_sds_secret_configs": [pair], "alpn_protocols": ["h2", "http/1.1"]}
        listener = config["static_resources"]["listeners"][0]
        listener["filter_chains"][0]["transport_socket"] = _tls_socket("Downstream", downstream)
    if settings.services_tls_ca:
        context: Config = {
            "combined_validation_context": {
                "default_validation_context": {
                    "match_typed_subject_alt_names": [
                        {"san_type": kind, "matcher": {"exact": name}} for kind, name in _service_names(settings)
                    ]
                },
                "validation_context_sds_secret_config": _authority(settings.services_tls_ca, write_secret),
            },
            "alpn_protocols": ["h2"],
        }
        if settings.services_tls_certificate and settings.services_tls_key:
            pair = _pair(settings.services_tls_certificate, settings.services_tls_key, write_secret)
            context["tls_certificate_sds_secret_configs"] = [pair]
        for cluster in config["static_resources"]["clusters"]:
            if cluster["name"] not in PLAIN_HTTP:
                cluster["transport_socket"] = _tls_socket("Upstream", context)
    return config


def _pair(certificate: Path, key: Path, write_secret: WriteSecret) -> Config:
    ServerFiles(certificate, key).read()  # check here: Envoy would start anyway, and refuse all callers
    content = {
        "certificate_chain": _file_reference(certificate),
        "private_key": _file_reference(key),
        "watched_directory": _watched_folder(certificate),
    }
    return _sds_reference("pair", {"tls_certificate": content}, write_secret)


def _authority(ca: Path, write_secret: WriteSecret) -> Config:
    read_pem(ca, "services CA")
    return _sds_reference(
        "authority",
        {"validation_context": {"trusted_ca": _file_reference(ca), "watched_directory": _watched_folder(ca)}},
        write_secret,
    )


def _sds_reference(name: str, content: Config, write_secret: WriteSecret) -> Config:
    path = write_secret({"@type": f"{_TYPE}.Secret", "name": name, **content})
    return {"name": name, "sds_config": {"resource_api_version": "V3", "path_config_source": {"path": str(path)}}}


def _file_reference(path: Path) -> Config:
    return {"filename": str(path.absolute())}  # links are not resolved, since their targets may change


def _watched_folder(path: Path) -> Config:
    return {"path": str(path.absolute().parent)}


def _service_names(settings: EdgeSettings) -> list[tuple[str, str]]:
    """Return the accepted names and addresses in certificates of the services."""
    hosts = [
        target.rpartition(":")[0].strip("[]") for service in ("scorer", "agent") for target in settings.targets(service)
    ]
    names = [("DNS", "localhost"), ("IP_ADDRESS", "127.0.0.1")]
    return names + [
        ("IP_ADDRESS" if re.fullmatch(r"[0-9A-Fa-f.:]*[.:][0-9.:A-Fa-f]*", host) else "DNS", host) for host in hosts
    ]


def _tls_socket(side: str, context: dict[str, Any]) -> Config:
    typed = {"@type": f"{_TYPE}.{side}TlsContext", "common_tls_context": context}
    return {"name": "envoy.transport_sockets.tls", "typed_config": typed}


def write_sds_file(secret: Config) -> Path:
    """Write an SDS file to a private folder, once per content; return its path. Raise SecurityError."""
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
    """Create and return a temporary folder that only this user can write to. Raise SecurityError."""
    folder = Path(tempfile.gettempdir()) / f"vouch-edge-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
    except OSError as error:
        raise _cannot_write(folder, error) from error
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o022:
        raise SecurityError(f"{folder} is not a folder that only you can write to; remove it, or set TMPDIR")
    return folder


def _cannot_write(folder: Path, error: OSError) -> SecurityError:
    return SecurityError(f"cannot write to {folder}: {error.strerror}; set TMPDIR to a writable folder")
