"""Random tampering with copies of ledgers: all of it is found, and untouched ledgers verify."""

import asyncio
import random
import shutil
from dataclasses import dataclass
from pathlib import Path

from agent_server.audit.signing import Signing, make_key, read_public, signature_fits
from agent_server.audit.verify import Verification, verify_ledger
from agent_server.database.engine import snapshot
from agent_server.ledger import Ledger, open_engine
from agent_server.privacy import Erase
from testing.ledger.decisions import new_decision
from testing.ledger.tampering import TAMPERINGS, tamper_with

ENTRIES = 60


@dataclass(frozen=True)
class TamperResult:
    """Counts of tamperings that were missed or located wrongly, and of untouched ledgers that did not verify."""

    tamperings: int
    missed: int
    misnamed: int
    ledgers: int
    suspected: int


async def tamper(folder: Path, times: int, ledgers: int) -> TamperResult:
    """Make ledgers, a quarter of them with erasures, and tamper with copies of the first."""
    make_key(folder / "key.pem")
    suspected = 0
    for number in range(ledgers):
        await _write(folder / f"{number}.db", folder / "key.pem", erased=number % 4 == 0)
        suspected += bool(_verified(folder / f"{number}.db", folder / "key.pem").broken)
    return await asyncio.to_thread(_tamper, folder, times, ledgers, suspected)


def _tamper(folder: Path, times: int, ledgers: int, suspected: int) -> TamperResult:
    chance, missed, misnamed = random.Random(7), 0, 0
    for turn in range(times):
        copy = folder / "copy.db"
        shutil.copyfile(folder / "0.db", copy)
        wanted = tamper_with(copy, TAMPERINGS[turn % len(TAMPERINGS)], chance)
        broken = _verified(copy, folder / "key.pem").broken
        missed += not broken
        misnamed += bool(broken) and f"entry {wanted} " not in broken
    return TamperResult(times, missed, misnamed, ledgers, suspected)


async def _write(path: Path, key: Path, *, erased: bool) -> None:
    ledger = Ledger(open_engine(f"sqlite:///{path}"), Signing(key))
    await asyncio.gather(
        *(ledger.write(new_decision(number, user_id=f"user-{number % 7}")) for number in range(ENTRIES))
    )
    if erased:
        await ledger.write(Erase(user_id="user-3"))
    ledger.close()


def _verified(path: Path, key: Path) -> Verification:
    public, engine = read_public(key), open_engine(f"sqlite:///{path}")
    with snapshot(engine) as connection:
        verified = verify_ledger(connection, lambda s, c: signature_fits(public, s, c))
    engine.dispose()
    return verified
