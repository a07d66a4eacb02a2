"""The data files of enrichment: read at the start, and again when they change; a damaged new file is rejected."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from prometheus_client import Gauge

from enrichment.derive import DERIVED, DataFiles, DerivedValue, load_data_files
from enrichment.errors import DataFileError
from generated.vouch.v1.transaction_pb2 import Transaction
from runtime.files import MIB, read_file
from runtime.jobs import in_maintenance_thread
from runtime.telemetry.logging import get_logger

REFUSED = Gauge(
    "vouch_data_file_refused", "1 while a data file is damaged and the previous one is used", multiprocess_mode="max"
)
MAX_BYTES: Final = 1024 * MIB
"""Limit of one file; the largest databases of cities have about 150 MB."""
_log = get_logger()
_Version = tuple[int, int, int] | None


class Enrichment:
    """Derives missing fields of orders. Without it, `derive` returns nothing."""

    def derive(self, order: Transaction) -> dict[str, DerivedValue]:
        """Return the fields that the order leaves out and that can be derived from others."""
        return {}

    async def refresh(self) -> None:
        """Read data files again if they changed."""


class WatchedDataFiles(Enrichment):
    """Enrichment by files, by their variables. Raises DataFileError if one cannot be read at the start."""

    def __init__(self, paths: Mapping[str, Path | None]) -> None:
        self._paths = {variable: path for variable, path in paths.items() if path is not None}
        self._versions, self._refused = self._file_versions(), ""
        self.files = self._read()
        for variable in paths.keys() - self._paths.keys():
            _log.info("fields are not derived without a data file", setting=variable)

    def derive(self, order: Transaction) -> dict[str, DerivedValue]:
        """Return the fields that the order leaves out and that can be derived from others."""
        found: dict[str, DerivedValue] = {}
        for field, names in DERIVED.items():
            missing = [name for name in names if not order.HasField(name)] if order.HasField(field) else []
            if missing:
                derived = self.files.derive(field, getattr(order, field))
                found |= {name: derived[name] for name in missing if name in derived}
        return found

    def reload(self) -> None:
        """Read the files again if one changed. The previous ones are kept if one is damaged."""
        versions = self._file_versions()
        if versions == self._versions:
            return
        try:
            self.files = self._read()
        except DataFileError as error:
            if str(error) != self._refused:
                _log.error("data file rejected; keeping the previous one", cause=str(error))
            self._refused = str(error)
            REFUSED.set(1)
            return  # tried again until it is valid: the file may still be being written
        self._versions, self._refused = versions, ""
        REFUSED.set(0)
        _log.info("data files loaded", files=sorted(map(str, self._paths.values())))

    async def refresh(self) -> None:
        """Read data files again if they changed, in the maintenance thread."""
        await in_maintenance_thread(self.reload)

    def _read(self) -> DataFiles:
        return load_data_files(self._paths, lambda path: read_file(path, MAX_BYTES))

    def _file_versions(self) -> list[_Version]:
        return [_file_version(path) for path in self._paths.values()]


def _file_version(path: Path) -> _Version:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino
