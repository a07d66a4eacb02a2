"""REST conforms to its OpenAPI documents."""

from pathlib import Path

import pytest

from chaos.endpoints.schemas import CONFIG, check_documents
from testing.servers.processes import Stack

SHORTER = """
[[operations]]
include-path = ["/api/v1/predict:batch", "/api/v1/review:batch"]
phases.coverage.enabled = false
"""
"""Values of every field; `make chaos` also tries them in lists of orders, here only in single ones of the same schema.
"""


@pytest.mark.parametrize("transport", ["rest_ml", "rest_agent"])
def test_answers_are_as_documented(transport: str, stack: Stack, tmp_path: Path) -> None:
    """Valid and invalid requests get no 5xx and no undocumented status, header or body."""
    # Watching, of which each answer takes seconds, and sequences of several operations are for `make chaos`.
    options = ("--exclude-path", "/api/v1/cases/watch", "--phases", "coverage,fuzzing", "--seed", "1")
    config = tmp_path / "schemathesis.toml"
    config.write_text(CONFIG.read_text() + SHORTER)
    checked = check_documents(stack, tmp_path, 2, *options, transports=(transport,), config=config)
    assert not checked.failures, checked.output
    assert checked.examples >= 400
