"""`vouch audit`: verify, export and sign the ledger, and make its signing key."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from agent_server.audit.exports import ExportError, read_export, write_export
from agent_server.audit.signing import Signing, make_key, read_public, signature_fits
from agent_server.audit.verify import Anchor, Fits, Verification, read_head, rows_of, verify, verify_ledger
from agent_server.database.engine import writing
from agent_server.ledger import LedgerError, open_engine, reading
from agent_server.ledger.transaction import sign_head
from agent_server.settings import AgentSettings
from runtime.process.command_line import NEGATIVE, OK, CommandParser
from runtime.process.commands import command
from runtime.process.output import print_json
from runtime.process.terminal import escape_unprintable


def parser() -> CommandParser:
    """Return the parser of the command line."""
    result = CommandParser(
        prog="vouch audit",
        description="Verify, export and sign the ledger.",
        examples=("vouch audit verify", "vouch audit export --output ledger.parquet", "vouch audit key ledger_key"),
        codes={NEGATIVE: "an entry or the head is not valid"},
    )
    result.add_argument("--ledger", help="URL (default: VOUCH_AGENT_LEDGER_URL)")
    actions = result.add_subparsers(dest="action", required=True)
    check = actions.add_parser(
        "verify",
        help="verify the hash chain and name the first entry that was changed",
        examples=(
            "vouch audit verify --key ledger_key.pub",
            "vouch audit verify ledger.parquet",
            "vouch audit verify --json",
        ),
        codes={NEGATIVE: "an entry or the head is not valid"},
    )
    check.add_json_option()
    check.add_argument("file", nargs="?", type=Path, help="verify an export instead of the ledger")
    check.add_argument(
        "--key", type=Path, help="signing key of the ledger, private or public (default: VOUCH_AGENT_LEDGER_KEY)"
    )
    check.add_argument(
        "--end",
        type=_parse_anchor,
        metavar="N:N:DIGEST",
        help="end that an earlier verify printed; the chain must contain it",
    )
    export = actions.add_parser(
        "export",
        help="write all entries to a file that can be verified on its own",
        examples=("vouch audit export --output ledger.parquet",),
    )
    export.add_argument("--output", type=Path, required=True, help=".parquet or .jsonl")
    sign = actions.add_parser(
        "sign",
        help="verify the ledger and sign its head; needed once for a new key",
        examples=("vouch audit sign --key ledger_key",),
        codes={NEGATIVE: "an entry is not valid; the head is not signed"},
    )
    sign.add_argument("--key", type=Path, help="private key (default: VOUCH_AGENT_LEDGER_KEY)")
    made = actions.add_parser(
        "key", help="make a private key, and a public key next to it", examples=("vouch audit key ledger_key",)
    )
    made.add_argument("file", type=Path, help="private key to write")
    return result


@command("vouch audit", LedgerError, ExportError)
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = parser().parse_args(arguments)
    if options.action == "key":
        print(f"{options.file} signs (VOUCH_AGENT_LEDGER_KEY), {make_key(options.file)} verifies")
        return OK
    settings = AgentSettings.read(**({"ledger_url": options.ledger} if options.ledger else {}))
    if options.action == "export":
        return _export(settings.ledger_url, options.output)
    key = options.key or settings.ledger_key
    if options.action == "sign":
        if key is None:
            raise LedgerError("no signing key; set VOUCH_AGENT_LEDGER_KEY or give --key")
        return _sign(settings.ledger_url, key)
    fits = _signature_check(key) if key else None
    if options.file:
        if options.end is not None:
            raise LedgerError("--end needs a ledger; an export does not contain all that it covers")
        verified = _verify_file(options.file, fits)
    else:
        verified = _verify_ledger(settings.ledger_url, fits, options.end)
    if options.json:
        print_json(_as_json(verified, with_key=fits is not None))
        return NEGATIVE if verified.broken else OK
    return _print_result(verified, with_key=fits is not None)


def _parse_anchor(text: str) -> Anchor:
    entries, rows, digest = text.split(":")
    return Anchor(int(entries), int(rows), bytes.fromhex(digest))


def _signature_check(path: Path) -> Fits:
    key = read_public(path)
    return lambda signature, content: signature_fits(key, signature, content)


def _verify_ledger(url: str, fits: Fits | None, anchor: Anchor | None) -> Verification:
    with reading(url) as connection, progress_reporter() as report_progress:
        return verify_ledger(connection, fits, report_progress, anchor)


def _sign(url: str, path: Path) -> int:
    """Verify the ledger and sign its head with a new key."""
    signer = Signing(path)
    engine = open_engine(url, signer)
    try:
        with writing(engine) as connection, connection.begin(), progress_reporter() as report_progress:
            verified = verify_ledger(connection, None, report_progress)
            if not verified.broken:
                sign_head(connection, signer)
    finally:
        engine.dispose()
    if not verified.broken:
        print(f"signed the head of {verified.entries:,} entries")
        return OK
    return _print_result(verified, with_key=False)


def _verify_file(path: Path, fits: Fits | None) -> Verification:
    with progress_reporter() as report_progress:
        rows, end = read_export(path)
        return verify(rows, end, fits, report_progress)


def _export(url: str, path: Path) -> int:
    with reading(url) as connection:
        number = write_export(path, rows_of(connection), read_head(connection))
    print(f"{path}: {number:,} entries; `vouch audit verify {path}` verifies them")
    return OK


def _as_json(verified: Verification, *, with_key: bool) -> dict[str, Any]:
    end = (
        f"{verified.entries}:{verified.links}:{verified.head.hex()}" if verified.head and not verified.broken else None
    )
    return {
        "valid": not verified.broken,
        "problem": verified.broken or None,
        "entries": verified.entries,
        "rows": verified.rows,
        "signed": verified.signed,
        "signature_checked": with_key,
        "end": end,
    }


def _print_result(verified: Verification, *, with_key: bool) -> int:
    if verified.broken:
        print(
            escape_unprintable(f"vouch audit: {verified.broken}; the {verified.entries:,} before it are valid"),
            file=sys.stderr,
        )
        return NEGATIVE
    ends = "the head is signed" if with_key else (
        "without a key, a recomputed chain is not detected" + (" (the head is signed; give --key)" if verified.signed else "")
    )  # fmt: skip
    print(f"{verified.entries:,} entries are valid; {ends}")
    if verified.head:
        print(f"{verified.rows:,} rows of cases, case events and outcomes are valid")
        print(f"end {verified.entries}:{verified.links}:{verified.head.hex()} (store it elsewhere, for verify --end)")
    return OK


@contextmanager
def progress_reporter() -> Iterator[Callable[[int], None]]:
    """Yield a function that shows the number of verified entries on a terminal; elsewhere it does nothing."""
    if not sys.stderr.isatty():
        yield lambda entries: None
        return

    def report_progress(entries: int) -> None:
        sys.stderr.write(f"\r{entries:,} entries are valid\x1b[K")
        sys.stderr.flush()

    try:
        yield report_progress
    finally:
        sys.stderr.write("\r\x1b[K")
