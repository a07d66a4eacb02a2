"""Tamper evidence: changes are found and named; erasures are not tampering."""

import asyncio
import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from agent_server.audit.signing import Signing, make_key, read_public
from agent_server.commands.audit import main
from agent_server.ledger import Ledger, open_engine
from agent_server.privacy import Erase
from testing.commands import error_of_command
from testing.ledger.decisions import new_decision
from testing.ledger.tampering import TAMPERINGS, tamper_with
from testing.ledger.templates import new_ledger

ENTRIES = 40


@pytest.fixture(scope="module")
def signed_ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a signed ledger of forty decisions, some of an erased person, and its key."""
    folder = tmp_path_factory.mktemp("audit")
    make_key(folder / "key.pem")

    async def write() -> None:
        ledger = Ledger(open_engine(new_ledger(folder / "ledger.db")), Signing(folder / "key.pem"))
        for number in range(ENTRIES - 1):
            await ledger.write(new_decision(number, user_id=f"user-{number % 5}"))
        assert (await ledger.write(Erase(user_id="user-3"))).decisions == 8
        ledger.close()

    asyncio.run(write())
    return folder


def _verified(folder: Path, *more: str) -> int:
    return main(
        ["--ledger", f"sqlite:///{folder / 'ledger.db'}", "verify", "--key", str(folder / "key.pem.pub"), *more]
    )


def test_an_untouched_ledger_verifies(signed_ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All entries verify, also after an erasure; without a key the output says what it does not prove."""
    assert _verified(signed_ledger) == 0
    assert "40 entries are valid; the head is signed" in capsys.readouterr().out
    assert main(["--ledger", f"sqlite:///{signed_ledger / 'ledger.db'}", "verify"]) == 0
    assert "without a key, a recomputed chain is not detected" in capsys.readouterr().out


@pytest.mark.parametrize("name", TAMPERINGS)
def test_each_kind_of_tampering_is_found(
    name: str, signed_ledger: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Edits of any column, deletions, swaps, insertions and truncation exit with 1 and name the first bad entry."""
    chance = random.Random(name)
    for turn in range(3):
        copy = tmp_path / str(turn)
        shutil.copytree(signed_ledger, copy)
        wanted = tamper_with(copy / "ledger.db", name, chance)
        assert _verified(copy) == 1, (name, turn)
        assert f"entry {wanted} " in capsys.readouterr().err, (name, turn)


def test_a_rewritten_chain_is_not_signed(signed_ledger: Path, tmp_path: Path) -> None:
    """A chain rewritten without the key verifies by its hashes, but its head is not signed."""
    shutil.copytree(signed_ledger, tmp_path / "copy")
    with closing(sqlite3.connect(tmp_path / "copy" / "ledger.db")) as connection:
        connection.execute("UPDATE head SET sequence = 39, hash = (SELECT hash FROM entries WHERE sequence = 39)")
        connection.execute("DELETE FROM entries WHERE sequence = 40")
        connection.commit()
    assert _verified(tmp_path / "copy") == 1


@pytest.mark.parametrize("ending", ["parquet", "jsonl"])
def test_exports_verify_by_themselves(
    ending: str, signed_ledger: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An export has all entries and the signed head; one with a changed byte does not verify."""
    url, path = f"sqlite:///{signed_ledger / 'ledger.db'}", tmp_path / f"export.{ending}"
    assert main(["--ledger", url, "export", "--output", str(path)]) == 0
    assert _verified(signed_ledger, str(path)) == 0
    assert "40 entries are valid; the head is signed" in capsys.readouterr().out
    if ending == "jsonl":
        path.write_text(path.read_text().replace('"decision": 3', '"decision": 1', 1))
        assert _verified(signed_ledger, str(path)) == 1
        assert "entry 1 was changed" in capsys.readouterr().err


_BROKEN: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("no export\n"),
    "binary": lambda path: path.write_bytes(b"\xff\xfe\0PAR1"),
    "folder": lambda path: path.mkdir(),
    "missing": lambda path: None,
}


@pytest.mark.parametrize("ending", ["parquet", "jsonl", "csv"])
@pytest.mark.parametrize("broken", _BROKEN)
def test_files_that_are_no_exports_are_named(
    ending: str, broken: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file that is no export is one line of error and exit code 2."""
    path = tmp_path / f"export.{ending}"
    _BROKEN[broken](path)
    assert path.name in error_of_command(capsys, "audit", "verify", str(path))


def test_keys_are_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A key is not overwritten, its private half is readable by its owner only, and a file that is no key is named."""
    make_key(tmp_path / "key.pem")
    assert (tmp_path / "key.pem").stat().st_mode & 0o777 == 0o600
    assert (
        read_public(tmp_path / "key.pem").public_bytes_raw() == read_public(tmp_path / "key.pem.pub").public_bytes_raw()
    )
    assert "File exists" in error_of_command(capsys, "audit", "key", str(tmp_path / "key.pem"))
    (tmp_path / "none.pem").write_text("none")
    given = ("--ledger", f"sqlite:///{tmp_path / 'ledger.db'}", "verify", "--key")
    for name in ("none.pem", "missing.pem"):
        assert name in error_of_command(capsys, "audit", *given, str(tmp_path / name))
