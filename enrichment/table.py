"""The derived fields of a table, by the same functions that serving uses for one order."""

from collections.abc import Mapping
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from enrichment.derive import DERIVED, DataFiles

_FLAGS: Final = ("vpn_proxy_detected", "hosting_ip_detected", "automation_detected")


def derive_columns(table: pa.Table, files: DataFiles) -> Mapping[str, pa.Array]:
    """Return the derived columns of a table, null where nothing can be derived. Each different text is derived once."""
    columns: dict[str, pa.Array] = {}
    for field, names in DERIVED.items():
        if field not in table.column_names:
            continue
        encoded = table.column(field).cast(pa.string()).combine_chunks().dictionary_encode()
        found = [files.derive(field, text) if text else {} for text in encoded.dictionary.to_pylist()]
        for name in names:
            kind = pa.bool_() if name in _FLAGS else pa.string()
            values = pa.array([one[name].value if name in one else None for one in found], kind)
            if values.null_count < len(values):
                columns[name] = pc.take(values, encoded.indices)
    return columns
