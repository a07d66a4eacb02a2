"""Batches and hostile lines beside single reviews."""

from pathlib import Path

from chaos.endpoints.batches import HOSTILE, send_batches_and_singles


async def test_batches_fail_no_single_review(models: Path, tmp_path: Path) -> None:
    """Batches and every hostile body beside single reviews, with an agent limited to four: none is refused."""
    found = await send_batches_and_singles(tmp_path, models, batches=2, orders=70, rounds=1, max_in_flight=4)
    assert set(found.singles) == {200}
    assert found.batched == {200: 140}
    assert set(found.hostile) == {
        "blank lines: 413", "refused lines: 422", "empty files: nothing", "many fields: 422", "a list of lists: 422",
    }  # fmt: skip
    assert found.hostile.total() == len(HOSTILE)
