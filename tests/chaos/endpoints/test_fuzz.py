"""Random messages on the wire."""

from pathlib import Path

from chaos.endpoints.fuzz import fuzz


async def test_nothing_on_the_wire_is_internal(models: Path, tmp_path: Path) -> None:
    """Random messages, invalid bytes and garbage connections get a fitting status, and the servers stay up."""
    fuzzed = await fuzz(tmp_path, models, cases=200)
    assert fuzzed.statuses.total() >= 200
    assert not fuzzed.unexpected
    assert fuzzed.alive
    assert fuzzed.statuses["OK"] > 0
