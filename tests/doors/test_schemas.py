"""REST does what its OpenAPI documents say."""

from pathlib import Path

import pytest

from chaos.doors.schemas import check_documents
from testing.servers.processes import Stack


@pytest.mark.parametrize("door", ["rest_ml", "rest_agent"])
def test_answers_are_as_documented(door: str, stack: Stack, tmp_path: Path) -> None:
    """Requests that fit the document and that do not: no 5xx, no status, header or body that it does not tell."""
    # Watching, of which each answer takes seconds, and ways through several operations are for `make chaos`.
    options = ("--exclude-path", "/api/v1/cases/watch", "--phases", "coverage,fuzzing", "--seed", "1")
    checked = check_documents(stack, tmp_path, 4, *options, doors=(door,))
    assert not checked.failures, checked.said
    assert checked.examples >= 400
