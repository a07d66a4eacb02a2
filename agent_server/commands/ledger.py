"""`vouch ledger`: back up, check and restore the ledger."""

import sys
from collections.abc import Sequence
from pathlib import Path

from agent_server.audit.signing import Signing
from agent_server.backup.copying import back_up, restore
from agent_server.backup.starting import check_ledger
from agent_server.database.engine import DamagedLedger
from agent_server.ledger import LedgerError
from agent_server.settings import AgentSettings
from runtime.process.command_line import NEGATIVE, OK, CommandParser
from runtime.process.commands import command
from runtime.process.terminal import escape_unprintable


def parser() -> CommandParser:
    """Return the parser of the command line."""
    result = CommandParser(
        prog="vouch ledger",
        description="Back up, check and restore the ledger.",
        examples=("vouch ledger backup monday.db", "vouch ledger check", "vouch ledger restore monday.db --force"),
    )
    result.add_argument("--ledger", help="URL (default: VOUCH_AGENT_LEDGER_URL)")
    actions = result.add_subparsers(dest="action", required=True)
    backup = actions.add_parser(
        "backup",
        help="write a snapshot of the ledger to an SQLite file; agents may keep running",
        examples=("vouch ledger backup monday.db", "vouch ledger backup latest.db --force"),
    )
    restored = actions.add_parser(
        "restore",
        help="restore the ledger from a backup; stop its agents first",
        examples=("vouch ledger restore monday.db --force",),
    )
    actions.add_parser(
        "check",
        help="check that the ledger's file is intact and its head is the last one written",
        examples=("vouch ledger check", "vouch ledger check --ledger sqlite:///monday.db"),
        codes={NEGATIVE: "the ledger is damaged"},
    )
    for action, text in (
        (backup, "replace FILE"),
        (restored, "replace the existing ledger; its file is kept under another name"),
    ):
        action.add_argument("file", type=Path, help="the backup")
        action.add_argument("--force", action="store_true", help=text)
    return result


@command("vouch ledger", LedgerError)
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = parser().parse_args(arguments)
    settings = AgentSettings.read(**({"ledger_url": options.ledger} if options.ledger else {}))
    signer = Signing(settings.ledger_key) if settings.ledger_key else None
    if options.action == "check":
        try:
            check_ledger(settings.ledger_url, signer, None)
        except DamagedLedger as error:
            print(escape_unprintable(f"vouch ledger: {error}"), file=sys.stderr)
            return NEGATIVE
        print("the ledger is intact; `vouch audit verify` checks that no entry was changed")
    elif options.action == "backup":
        entries = back_up(settings.ledger_url, options.file, force=options.force, signer=signer)
        print(
            escape_unprintable(
                f"{options.file}: {entries:,} entries; `vouch ledger restore {options.file}` restores them"
            )
        )
    else:
        entries, old = restore(options.file, settings.ledger_url, force=options.force, signer=signer)
        print(f"restored {entries:,} entries")
        if old is not None:
            print(
                escape_unprintable(
                    f"the previous ledger is in {old}; it contains personal data, delete it when it is not needed"
                )
            )
    return OK
