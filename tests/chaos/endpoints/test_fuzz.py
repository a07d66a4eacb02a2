"""Random messages on the wire."""

from pathlib import Path

from chaos.endpoints.fuzz import fuzz


async def test_nothing_on_the_wire_is_internal(models: Path, tmp_path: Path) -> None:
    """Messages of any shape, bytes that are none, connections of garbage: a status that fits, and the servers live."""
    fuzzed = await fuzz(tmp_path, models, cases=200)
    assert fuzzed.statuses.total() >= 200
    assert not fuzzed.bad
    assert fuzzed.alive
    assert fuzzed.statuses["OK"] > 0
