"""`vouch privacy`: what is kept of a person; export it, erase it, or expire what is old."""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence

from google.protobuf.json_format import MessageToDict
from sqlalchemy.engine import Engine

from agent_server.audit.signing import Signing
from agent_server.commands.ages import age, long_ago
from agent_server.database.engine import writing
from agent_server.ledger import LedgerError, open_engine
from agent_server.ledger.chain import Signer, Unsigned
from agent_server.ledger.group import Group
from agent_server.ledger.records import timestamp
from agent_server.privacy import CHUNK, Erase, footprint, scrub, told
from agent_server.settings import AgentSettings
from generated.vouch.v1.privacy_service_pb2 import ExportPersonResponse
from runtime.process.commands import command
from runtime.process.terminal import plain


def parser() -> argparse.ArgumentParser:
    """The actions and their options."""
    result = argparse.ArgumentParser(prog="vouch privacy", description="Tell and forget persons.")
    result.add_argument("--ledger", help="URL (default: VOUCH_AGENT_LEDGER_URL)")
    actions = result.add_subparsers(dest="action", required=True)
    for action, text in (
        ("find", "how much is kept of a person"),
        ("export", "all that is kept of a person, as JSON"),
        ("erase", "remove it; the decisions themselves stay, and the chain stays valid"),
    ):
        actions.add_parser(action, help=text).add_argument("--user", required=True, help="the shop's id of the account")
    expire = actions.add_parser("expire", help="remove what is personal of all decisions of some age")
    expire.add_argument("--older-than", type=age, required=True, metavar="400d", help="days")
    return result


@command("vouch privacy", LedgerError)
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code: 0 done, 1 nothing is kept of this person, 2 it could not run."""
    options = parser().parse_args(arguments)
    settings = AgentSettings.read(**({"ledger_url": options.ledger} if options.ledger else {}))
    signer: Signer = Signing(settings.ledger_key) if settings.ledger_key else Unsigned()
    engine = open_engine(settings.ledger_url)
    try:
        if options.action == "find":
            return _find(engine, options.user)
        if options.action == "export":
            return _export(engine, options.user)
        if options.action == "erase":
            return _erase(engine, signer, Erase(user_id=options.user))
        before = long_ago(options.older_than)
        return _erase(engine, signer, Erase(before=before))
    finally:
        engine.dispose()


def _find(engine: Engine, user_id: str) -> int:
    with engine.connect() as connection:
        kept = footprint(user_id)(connection)
    if kept.first is None or kept.last is None:
        print("nothing is kept of this person")
        return 1
    span = f"from {timestamp(kept.first).ToJsonString()} to {timestamp(kept.last).ToJsonString()}"
    print(plain(f"{kept.decisions:,} decisions with their orders, {kept.cases:,} cases, {span}"))
    return 0


def _records(engine: Engine, user_id: str) -> Iterator[ExportPersonResponse]:
    after = 0
    with engine.connect() as connection:
        while records := told(user_id, after)(connection):
            yield from records
            after = records[-1].record.sequence


def _export(engine: Engine, user_id: str) -> int:
    records = [MessageToDict(record, preserving_proto_field_name=True) for record in _records(engine, user_id)]
    json.dump({"user_id": user_id, "records": records}, sys.stdout, indent=2)
    print()
    return 0 if records else 1


def _erase(engine: Engine, signer: Signer, erase: Erase) -> int:
    total = 0
    with writing(engine) as connection:
        erased = CHUNK
        while erased == CHUNK:
            with connection.begin():
                group = Group(connection, signer)
                erased = erase(group)
                group.close()
            total += erased
    clean = scrub(engine) if total else True
    print(f"erased the orders and answers of {total:,} decisions")
    if not clean:
        print("vouch privacy: readers keep the database's log from being emptied: run it again later", file=sys.stderr)
    return 0 if total else 1
