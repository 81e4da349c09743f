"""The record of a run: views, data dictionary, analysis, and the directory on disk."""

from wafersim.record.record import RECORD_SCHEMA, STATUSES, Record
from wafersim.record.table import Table

__all__ = ["RECORD_SCHEMA", "STATUSES", "Record", "Table"]
