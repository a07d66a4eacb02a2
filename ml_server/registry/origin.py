"""What a model is called, and what is recorded about its origin."""

import datetime as dt
import platform
from importlib.metadata import version
from typing import Any, Final

from ml_server.registry.bundle import Bundle

LIBRARIES: Final = ("lightgbm", "scikit-learn", "numpy", "pyarrow")


def with_origin(
    bundle: Bundle, *, name: str, rows: int, abuse_rate: float, digest: str, base_currency: str, manifest: Any = None
) -> Bundle:
    """Return a model with a version made from the time and its dataset, and with its origin in the metadata.

    `name`, `rows`, `abuse_rate` and `digest` (SHA-256 in hex) describe the dataset, whose amounts are in
    `base_currency`; `manifest` is that of the generator.
    """
    now = dt.datetime.now(dt.UTC).replace(microsecond=0)
    return bundle.with_version(
        f"{now:%Y%m%d-%H%M%S}-{digest[:8]}",
        training_date=now.isoformat().replace("+00:00", "Z"),
        dataset={"name": name, "rows": rows, "abuse_rate": abuse_rate, "sha256": digest},
        data_manifest=manifest,
        base_currency=base_currency,
        libraries={library: version(library) for library in LIBRARIES} | {"python": platform.python_version()},
    )
