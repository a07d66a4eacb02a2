"""The ledger: what is answered is what is kept."""

import asyncio
import contextlib
import json
import sqlite3
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from agent_server.decider import now
from agent_server.decisions.decide import open_case
from agent_server.ledger import Ledger, LedgerError, open_engine
from agent_server.ledger.queries import case_page, keep, latest_review, whole_case
from agent_server.ledger.schema import CASES, DECISIONS
from generated.vouch.v1 import agent_service_pb2 as pb
from runtime.rpc.errors import Unavailable
from runtime.telemetry import logging
from testing.orders import message


def _review(number: int, decision: pb.Decision = pb.DECISION_REVIEW) -> pb.ReviewResponse:
    return pb.ReviewResponse(
        transaction_id=f"t{number}", decision=decision, decision_id=f"d{number}", decided_at=now(), legitimacy_score=0.5
    )


async def test_decisions_and_cases_are_kept(tmp_path: Path) -> None:
    """What was written is read back as it was, also by another process's connection."""
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    ledger = Ledger(open_engine(url))
    reviews = [_review(number) for number in range(7)]
    kept = [open_case(review, f"case-{number}") for number, review in enumerate(reviews)]
    work = [keep(review, message(), case) for review, case in zip(reviews, kept, strict=True)]
    await asyncio.gather(*(ledger.write(each) for each in work))
    assert await ledger.read(latest_review("t3")) == reviews[3]
    assert await ledger.read(latest_review("none")) is None
    page, following = await ledger.read(case_page(0, None, 5))
    rest, end = await ledger.read(case_page(0, following, 5))
    assert {case.transaction_id for case in (*page, *rest)} == {f"t{number}" for number in range(7)}
    assert (len(page), len(rest), end) == (5, 2, None)
    whole = await ledger.read(whole_case(kept[2].case_id))
    assert whole is not None
    assert (whole.case, whole.transaction, whole.review) == (kept[2], message(), reviews[2])
    ledger.close()
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(DECISIONS)).scalar() == 7
    engine.dispose()


async def test_one_bad_write_does_not_undo_its_neighbours(tmp_path: Path) -> None:
    """In a group commit a write that breaks a rule of the tables fails alone."""
    ledger = Ledger(open_engine(f"sqlite:///{tmp_path / 'ledger.db'}"))
    numbers = [1, 2, 2, 3]  # the second 2 has a decision id that is taken
    work = [ledger.write(keep(_review(number), message(), None)) for number in numbers]
    results = await asyncio.gather(*work, return_exceptions=True)
    assert [isinstance(result, Exception) for result in results] == [False, False, True, False]
    assert await ledger.read(latest_review("t3")) is not None
    ledger.close()


async def test_a_lost_database_is_unavailable(tmp_path: Path) -> None:
    """When the database refuses, the decision is not given: UNAVAILABLE, and later writes work again."""
    engine = open_engine(f"sqlite:///{tmp_path / 'ledger.db'}")
    ledger = Ledger(engine)
    with engine.begin() as connection:
        CASES.drop(connection)
        DECISIONS.drop(connection)
    with pytest.raises(Unavailable):
        await ledger.write(keep(_review(1), message(), None))
    DECISIONS.create(engine)
    await ledger.write(keep(_review(1), message(), None))
    ledger.close()


@pytest.mark.parametrize("url", ["sqlite:////no/such/folder/ledger.db", "no url", "nosuch://user:hunter2@host/db"])
def test_a_ledger_that_cannot_be_opened_says_so(url: str) -> None:
    """A wrong URL is an error that names the setting, and never the password in it."""
    with pytest.raises(LedgerError, match="VOUCH_AGENT_LEDGER_URL") as caught:
        open_engine(url)
    assert "hunter2" not in str(caught.value)


# -- a ledger that cannot be written


def _kept(folder: Path) -> list[str]:
    with contextlib.closing(sqlite3.connect(folder / "ledger.db")) as connection:
        return [row[0] for row in connection.execute("SELECT decision_id FROM decisions ORDER BY sequence")]


async def _answered(ledger: Ledger, numbers: Iterable[int]) -> list[str]:
    """Write reviews at once; ids of those that were answered as kept."""
    work = [ledger.write(keep(_review(number), message(), None)) for number in numbers]
    results = await asyncio.gather(*work, return_exceptions=True)
    return [f"d{number}" for number, result in zip(numbers, results, strict=True) if not isinstance(result, Exception)]


async def test_what_is_answered_is_what_is_kept_on_a_full_disk(tmp_path: Path) -> None:
    """Groups that do not fit any more are answered "not kept" and are not there; with room again, all goes on."""
    engine = open_engine(f"sqlite:///{tmp_path / 'ledger.db'}")
    pages = [40]

    def limit(connection: Any, *_: Any) -> None:
        connection.execute(f"PRAGMA max_page_count={pages[0]}")

    sa.event.listen(engine, "checkout", limit)
    ledger, answered = Ledger(engine), list[str]()
    for first in range(0, 600, 20):  # groups of different sizes, of which some are cut off in their middle
        answered += await _answered(ledger, range(first, first + 20))
    assert 0 < len(answered) < 600
    assert not await ledger.available()
    assert _kept(tmp_path) == answered
    pages[0] = 100_000
    assert await ledger.available()
    answered += await _answered(ledger, range(600, 620))
    ledger.close()
    assert _kept(tmp_path) == answered
    assert "d619" in answered


async def test_a_group_is_one_transaction(tmp_path: Path) -> None:
    """Two hundred reviews that arrive at once are a few commits, not one each; a bad one among them undoes no other."""
    engine = open_engine(f"sqlite:///{tmp_path / 'ledger.db'}")
    commits = list[str]()
    sa.event.listen(engine, "commit", lambda connection: commits.append("commit"))
    ledger = Ledger(engine)
    numbers = [*range(100), 7, *range(100, 200)]
    answered = await _answered(ledger, numbers)
    ledger.close()
    assert len(answered) == 200
    assert len(_kept(tmp_path)) == 200
    assert len(commits) < 50


@pytest.mark.parametrize("names", [("ledger.db",), ("ledger.db", "ledger.db-wal", "ledger.db-shm"), ("ledger.db-wal",)])
async def test_a_deleted_ledger_takes_nothing(tmp_path: Path, names: tuple[str, ...]) -> None:
    """Once its file is gone, no decision is acknowledged, and health says so; put back, it is written again."""
    ledger = Ledger(open_engine(f"sqlite:///{tmp_path / 'ledger.db'}"))
    assert await _answered(ledger, range(3)) == ["d0", "d1", "d2"]
    for name in names:
        (tmp_path / name).rename(tmp_path / f"moved-{name}")
    assert await _answered(ledger, range(3, 6)) == []
    assert not await ledger.available()
    for name in names:
        (tmp_path / f"moved-{name}").rename(tmp_path / name)
    assert await ledger.available()
    assert await _answered(ledger, [6]) == ["d6"]
    ledger.close()
    assert _kept(tmp_path) == ["d0", "d1", "d2", "d6"]


async def test_a_replaced_ledger_takes_nothing(tmp_path: Path) -> None:
    """Another file under the ledger's name is not the ledger: nothing is acknowledged."""
    ledger = Ledger(open_engine(f"sqlite:///{tmp_path / 'ledger.db'}"))
    await _answered(ledger, [1])
    (tmp_path / "copy.db").write_bytes((tmp_path / "ledger.db").read_bytes())
    (tmp_path / "copy.db").replace(tmp_path / "ledger.db")
    assert await _answered(ledger, [2]) == []
    assert not await ledger.available()
    ledger.close()


async def test_one_line_tells_why(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """However many writes fail, the log says once which error it was, and once that it is over."""
    logging.configure("test")
    engine = open_engine(f"sqlite:///{tmp_path / 'ledger.db'}")
    ledger = Ledger(engine)
    with contextlib.closing(sqlite3.connect(tmp_path / "ledger.db")) as other:
        other.execute("ALTER TABLE decisions RENAME TO hidden")
        other.commit()
        for number in range(20):
            await _answered(ledger, [number])
        other.execute("ALTER TABLE hidden RENAME TO decisions")
        other.commit()
    await _answered(ledger, [21])
    ledger.close()
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert [line["event"] for line in lines] == ["the ledger cannot be written", "the ledger is written again"]
    assert "no such table" in lines[0]["cause"]
    assert lines[1]["refused"] == 19


def test_the_ledger_is_nobody_elses(tmp_path: Path) -> None:
    """Orders are personal: the ledger's files are their owner's alone, also one that was made readable by all."""
    path = tmp_path / "ledger.db"
    open_engine(f"sqlite:///{path}").dispose()
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o644)
    engine = open_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        connection.execute(sa.select(DECISIONS))
        assert {file.stat().st_mode & 0o777 for file in tmp_path.iterdir()} == {0o600}
    engine.dispose()


def test_many_open_a_fresh_ledger_at_once(tmp_path: Path) -> None:
    """Eight processes' worth of openings of a database that is not there yet: all get it, none finds half of it."""
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    with ThreadPoolExecutor(8) as pool:
        engines = list(pool.map(open_engine, [url] * 8))
    for engine in engines:
        assert set(sa.inspect(engine).get_table_names()) == {"cases", "decisions", "orders", "proofs"}
        engine.dispose()
