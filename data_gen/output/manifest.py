"""Manifest next to a file: its arguments, its contents, and the digest of its bytes."""

import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from data_gen.network.compile import Network
from data_gen.output.plan import Plan
from data_gen.quality.audit import Audit
from runtime.process.files import atomic_write, sha256


def manifest_path(path: Path) -> Path:
    """Return FILE.manifest.json."""
    return path.with_name(path.name + ".manifest.json")


def write_manifest(
    path: Path, network: Network, plan: Plan, seed: int, arguments: Mapping[str, Any], audited: Audit | None
) -> None:
    """Write the manifest of a finished file, without date and path, so that it is reproducible."""
    content = {
        "version": version("vouch"),
        "seed": seed,
        "arguments": dict(arguments),
        "pattern_digest": network.digest,
        "rows": plan.rows,
        "counts": {p.name: count for p, count in zip(network.patterns, plan.counts, strict=True)},
        "sha256": sha256(path),
        "audit": audited.as_json() if audited else None,
    }
    with atomic_write(manifest_path(path)) as partial:
        partial.write_text(json.dumps(content, indent=2) + "\n")
