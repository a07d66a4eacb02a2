"""REST does what its OpenAPI documents say."""

from pathlib import Path

import pytest

from chaos.endpoints.schemas import CONFIG, check_documents
from testing.servers.processes import Stack

SHORTER = """
[[operations]]
include-path = ["/api/v1/predict:batch", "/api/v1/review:batch"]
phases.coverage.enabled = false
"""
"""Values of every field, for `make chaos` in lists of orders too; here only in single ones, whose schema is the same."""


@pytest.mark.parametrize("door", ["rest_ml", "rest_agent"])
def test_answers_are_as_documented(door: str, stack: Stack, tmp_path: Path) -> None:
    """Requests that fit the document and that do not: no 5xx, no status, header or body that it does not tell."""
    # Watching, of which each answer takes seconds, and ways through several operations are for `make chaos`.
    options = ("--exclude-path", "/api/v1/cases/watch", "--phases", "coverage,fuzzing", "--seed", "1")
    config = tmp_path / "schemathesis.toml"
    config.write_text(CONFIG.read_text() + SHORTER)
    checked = check_documents(stack, tmp_path, 4, *options, doors=(door,), config=config)
    assert not checked.failures, checked.output
    assert checked.examples >= 400
