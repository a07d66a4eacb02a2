"""Persons erased under load, beside readers of the ledger."""

from pathlib import Path

from chaos.ledger.erasures import ErasureResult, erase_under_load
from testing.ledger.templates import new_ledger_on
from testing.servers.postgres import Postgres

ANSWERS = 10


def _check(erased: ErasureResult) -> None:
    assert erased.reviews >= 2 * ANSWERS and erased.found == erased.persons
    assert (erased.failed, erased.early, erased.unfinished, erased.left, erased.logged) == (0, 0, 0, 0, 0), erased
    assert not erased.broken


async def test_persons_are_erased_beside_readers_and_reviews(models: Path, tmp_path: Path) -> None:
    """While readers are open the erasure is pending and reviews go on; then it is done, and no file has the person."""
    _check(await erase_under_load(tmp_path, models, persons=1, readers=2, rate=20, answers=ANSWERS))


async def test_persons_are_erased_from_postgres(models: Path, tmp_path: Path, postgres: Postgres) -> None:
    """The same with two agents on one PostgreSQL."""
    url = new_ledger_on(postgres)
    files = lambda: postgres.files(url)  # noqa: E731
    erased = await erase_under_load(
        tmp_path, models, persons=1, readers=2, rate=20, url=url, files=files, agents=2, answers=ANSWERS
    )
    _check(erased)
