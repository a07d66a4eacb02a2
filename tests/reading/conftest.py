"""Fixtures of tests of reading."""

import datetime as dt
import io

import openpyxl
import pytest

from tests.reading.files import read

__all__ = ["read"]


@pytest.fixture
def workbook() -> bytes:
    """Return a workbook with a sheet of orders under a title, and a sheet of notes."""
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = "Orders"
    times = dt.datetime(2026, 3, 1, 10), dt.datetime(2026, 3, 2)
    head = ("Orders of March",), (), ("id", "when", "user", "amount")
    for row in (*head, (1001, times[0], "Zoë", 1.234), (1002, times[1], "Max", 13.5)):
        sheet.append(row)
    book.create_sheet("Notes").append(("a note",))
    target = io.BytesIO()
    book.save(target)
    return target.getvalue()
