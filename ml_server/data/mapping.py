"""Public names of mapping files: reading, conversion, report."""

from ml_server.data.conversion import Conversion, apply
from ml_server.data.mapping_file import FieldMapping, MappingError, read_mapping
from ml_server.data.report import Report

__all__ = ["Conversion", "FieldMapping", "MappingError", "Report", "apply", "read_mapping"]
