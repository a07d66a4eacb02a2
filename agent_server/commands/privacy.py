"""`vouch privacy`: export and erase personal data, and check that the database's files are clean."""

import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any, Final

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from sqlalchemy.engine import Connection, Engine

from agent_server.audit.signing import Signing
from agent_server.commands.ages import days_ago, parse_days
from agent_server.database.engine import writing
from agent_server.ledger import LedgerError, open_engine, reading
from agent_server.ledger.chain import Signer, Unsigned
from agent_server.ledger.records import timestamp
from agent_server.ledger.transaction import LedgerTransaction
from agent_server.privacy.erasing import Erase, ErasureResult
from agent_server.privacy.footprint import export_records, footprint, orders_in_history, totals_of
from agent_server.privacy.progress import Progress, Stage
from agent_server.privacy.scrubbing import Scrubber
from agent_server.settings import AgentSettings
from generated.vouch.v1.privacy_service_pb2 import ExportPersonResponse, RememberedOrder
from runtime.process.command_line import NEGATIVE, NOT_NOW, OK, CommandParser
from runtime.process.commands import command
from runtime.process.output import print_json
from runtime.process.terminal import escape_unprintable

_WAIT_SECONDS: Final = 30.0
"""Maximum time that a command waits for an agent that is already removing erased bytes."""


_CODES: Final = {
    NEGATIVE: "nothing is recorded about this person, or old enough",
    NOT_NOW: "erased, but the database's files may still contain some of it; run `vouch privacy scrub` later",
}


def parser() -> CommandParser:
    """Return the parser of the command line."""
    result = CommandParser(
        prog="vouch privacy",
        description="Export and erase personal data.",
        examples=(
            "vouch privacy find --user user-123",
            "vouch privacy erase --user user-123",
            "vouch privacy expire --older-than 400d",
        ),
        codes=_CODES,
    )
    result.add_argument("--ledger", help="URL (default: VOUCH_AGENT_LEDGER_URL)")
    actions = result.add_subparsers(dest="action", required=True)
    for action, text in (
        ("find", "show how much is recorded about a person"),
        ("export", "export everything recorded about a person, as JSON"),
        ("erase", "erase it; the entries of decisions stay, and the chain stays valid"),
    ):
        codes = _CODES if action == "erase" else {NEGATIVE: "nothing is recorded about this person"}
        example = f"vouch privacy {action} --user user-123"
        sub = actions.add_parser(action, help=text, examples=(example,), codes=codes)
        sub.add_argument("--user", required=True, help="the shop's id of the account")
        if action == "find":
            sub.add_json_option()
    expire = actions.add_parser(
        "expire",
        help="erase the personal data of old decisions",
        examples=("vouch privacy expire --older-than 400d",),
        codes=_CODES,
    )
    expire.add_argument("--older-than", type=parse_days, required=True, metavar="400d", help="days")
    left = {NOT_NOW: _CODES[NOT_NOW]}
    status = actions.add_parser(
        "status",
        help="check whether the database's files still contain erased data",
        examples=("vouch privacy status", "vouch privacy status --json"),
        codes=left,
    )
    status.add_json_option()
    actions.add_parser(
        "scrub",
        help="remove erased data from the database's files",
        examples=("vouch privacy scrub",),
        codes=left,
    )
    return result


@command("vouch privacy", LedgerError)
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = parser().parse_args(arguments)
    settings = AgentSettings.read(**({"ledger_url": options.ledger} if options.ledger else {}))
    if options.action == "find":
        return _find(settings.ledger_url, options.user, as_json=options.json)
    if options.action == "export":
        return _export(settings.ledger_url, options.user)
    signer: Signer = Signing(settings.ledger_key) if settings.ledger_key else Unsigned()
    engine = open_engine(settings.ledger_url, signer)
    try:
        if options.action == "status":
            return _print_progress(Scrubber(engine).progress(), as_json=options.json)
        if options.action == "scrub":
            return _print_progress(_scrub_files(engine))
        if options.action == "erase":
            return _erase(engine, signer, Erase(user_id=options.user))
        before = days_ago(options.older_than)
        return _erase(engine, signer, Erase(before=before))
    finally:
        engine.dispose()


def _find(url: str, user_id: str, *, as_json: bool) -> int:
    with reading(url) as connection:
        found = footprint(user_id)(connection)
    if as_json:
        times = {
            name: timestamp(at).ToJsonString() if at is not None else None
            for name, at in (("first", found.first), ("last", found.last))
        }
        print_json(asdict(found) | times)
        return OK if found else NEGATIVE
    if not found:
        print("nothing is recorded about this person")
        return NEGATIVE
    if found.first is not None and found.last is not None:
        span = f"from {timestamp(found.first).ToJsonString()} to {timestamp(found.last).ToJsonString()}"
        print(escape_unprintable(f"{found.decisions:,} decisions with their orders, {found.cases:,} cases, {span}"))
    if found.remembered or found.folded:
        print(
            f"{found.remembered:,} orders in history, including imported ones, and {found.folded:,} older ones in totals"
        )
    return OK


def _records(connection: Connection, user_id: str) -> Iterator[ExportPersonResponse]:
    after = 0
    while records := export_records(user_id, after)(connection):
        yield from records
        after = records[-1].record.sequence


def _remembered(connection: Connection, user_id: str) -> Iterator[RememberedOrder]:
    orders, place = orders_in_history(user_id, None)(connection)
    yield from orders
    while place is not None:
        orders, place = orders_in_history(user_id, place)(connection)
        yield from orders


def _export(url: str, user_id: str) -> int:
    with reading(url) as connection:
        records = [_as_json(record) for record in _records(connection, user_id)]
        remembered = [_as_json(order) for order in _remembered(connection, user_id)]
        totals = totals_of(user_id)(connection)
    whole = {"user_id": user_id, "records": records, "remembered": remembered}
    json.dump(whole | ({"totals": _as_json(totals)} if totals is not None else {}), sys.stdout, indent=2)
    print()
    return OK if records or remembered or totals is not None else NEGATIVE


def _as_json(message: Message) -> dict[str, Any]:
    return MessageToDict(message, preserving_proto_field_name=True)


def _erase(engine: Engine, signer: Signer, erase: Erase) -> int:
    total = ErasureResult(more=True)
    with writing(engine) as connection:
        while total.more:
            with connection.begin():
                tx = LedgerTransaction(connection, signer)
                total += erase(tx)
                tx.close()
    print(
        f"erased the orders and answers of {total.decisions:,} decisions, {total.cases:,} cases, {total.outcomes:,} outcomes, "
        f"{total.remembered:,} orders in history and {total.folded:,} in totals"
    )
    code = _print_progress(_scrub_files(engine))
    return code or (OK if total else NEGATIVE)


def _scrub_files(engine: Engine) -> Progress:
    """Remove erased bytes from the files. If an agent is already doing so, wait for it for a limited time."""
    scrubber, last = Scrubber(engine), time.monotonic() + _WAIT_SECONDS
    progress = scrubber.run()
    while progress.stage is not Stage.DONE and scrubber.lost_lease and time.monotonic() < last:
        time.sleep(0.2)
        progress = scrubber.run()
    scrubber.release()
    return progress


def _print_progress(progress: Progress, *, as_json: bool = False) -> int:
    if as_json:
        values = {"stage": progress.stage.name.lower(), "waiting_for": progress.waiting_for or None}
        print_json(values | {"since": timestamp(progress.since).ToJsonString() if progress.since else None})
        return OK if progress.stage is Stage.DONE else NOT_NOW
    if progress.stage is Stage.DONE:
        print("the database's files contain no erased data")
        return OK
    where = "tables and write-ahead log" if progress.stage is Stage.TABLES else "write-ahead log"
    since = timestamp(progress.since).ToJsonString()
    reason = f": {progress.waiting_for}" if progress.waiting_for else ""
    print(
        f"vouch privacy: the database's {where} may still contain data erased since {since}{reason}\n"
        "a running agent will remove it; without one, run `vouch privacy scrub` later",
        file=sys.stderr,
    )
    return NOT_NOW
