"""Tables with missing fields derived from others, by the same functions and data files as in the agent."""

import pyarrow as pa

from enrichment.derive import FILES, load_data_files
from enrichment.table import derive_columns
from history.table import fill_missing
from runtime.files import MIB, read_file
from runtime.settings import Shared

_MAX_BYTES = 1024 * MIB


def with_derived(table: pa.Table) -> pa.Table:
    """Return a table with derived fields. Values of the table take precedence. Raises DataFileError."""
    settings = Shared.read()
    named = {variable: getattr(settings, name) for name, variable in settings.variables().items()}
    paths = {variable: path for variable, path in named.items() if variable in FILES and path is not None}
    return fill_missing(table, derive_columns(table, load_data_files(paths, lambda path: read_file(path, _MAX_BYTES))))
