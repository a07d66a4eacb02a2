"""The faults of `make mutations`."""

from pathlib import Path

import pytest

from testing.mutations.faults import FAULTS, Fault


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.what)
def test_each_fault_can_be_made(fault: Fault) -> None:
    """The text that a fault replaces occurs once in its file, and the tests that have to find it exist."""
    assert Path(fault.file).read_text().count(fault.text) == 1
    assert [test for test in fault.tests if not Path(test).exists()] == []
