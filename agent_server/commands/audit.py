"""`vouch audit`: is the ledger what was written? Verify it, export it, make the key that signs its end."""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from agent_server.audit.exports import ExportError, read_export, write_export
from agent_server.audit.signing import make_key, read_public, signature_fits
from agent_server.audit.verify import Fits, Verified, end_of, rows_of, stray_payload, verify
from agent_server.ledger import LedgerError, open_engine
from agent_server.settings import AgentSettings
from runtime.process.commands import command
from runtime.process.terminal import plain

HOLDS, BROKEN = 0, 1


def parser() -> argparse.ArgumentParser:
    """The actions and their options."""
    result = argparse.ArgumentParser(prog="vouch audit", description="Verify, export and sign the ledger.")
    result.add_argument("--ledger", help="URL (default: VOUCH_AGENT_LEDGER_URL)")
    actions = result.add_subparsers(dest="action", required=True)
    check = actions.add_parser("verify", help="walk the chain and name the first entry that is not what was written")
    check.add_argument("file", nargs="?", type=Path, help="an export instead of the ledger")
    check.add_argument(
        "--key", type=Path, help="key that signs the ledger, either half (default: VOUCH_AGENT_LEDGER_KEY)"
    )
    export = actions.add_parser("export", help="write all entries to a file that verifies by itself")
    export.add_argument("--output", type=Path, required=True, help=".parquet or .jsonl")
    actions.add_parser("key", help="make a key; its public half stands beside it").add_argument("file", type=Path)
    return result


@command("vouch audit", LedgerError, ExportError)
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code: 0 all entries hold, 1 one does not, 2 it could not run."""
    options = parser().parse_args(arguments)
    if options.action == "key":
        print(f"{options.file} signs (VOUCH_AGENT_LEDGER_KEY), {make_key(options.file)} verifies")
        return HOLDS
    settings = AgentSettings.read(**({"ledger_url": options.ledger} if options.ledger else {}))
    if options.action == "export":
        return _export(settings.ledger_url, options.output)
    key = options.key or settings.ledger_key
    fits = _fits(key) if key else None
    verified = _verify_file(options.file, fits) if options.file else _verify_ledger(settings.ledger_url, fits)
    return _tell(verified, with_key=fits is not None)


def _fits(path: Path) -> Fits:
    key = read_public(path)
    return lambda signature, content: signature_fits(key, signature, content)


def _verify_ledger(url: str, fits: Fits | None) -> Verified:
    engine = open_engine(url)
    try:
        with engine.connect() as connection, telling() as tell:
            end = end_of(connection)
            stray = stray_payload(connection)
            verified = verify(rows_of(connection), end, fits, tell)
    finally:
        engine.dispose()
    if stray is not None and not verified.broken:
        return Verified(verified.entries, f"entry {stray} is missing: an order without a decision stands there")
    return verified


def _verify_file(path: Path, fits: Fits | None) -> Verified:
    with telling() as tell:
        rows, end = read_export(path)
        return verify(rows, end, fits, tell)


def _export(url: str, path: Path) -> int:
    engine = open_engine(url)
    try:
        with engine.connect() as connection:
            number = write_export(path, rows_of(connection), end_of(connection))
    finally:
        engine.dispose()
    print(f"{path}: {number:,} entries; `vouch audit verify {path}` verifies them")
    return HOLDS


def _tell(verified: Verified, *, with_key: bool) -> int:
    if verified.broken:
        print(plain(f"vouch audit: {verified.broken}; the {verified.entries:,} before it hold"), file=sys.stderr)
        return BROKEN
    ends = "its end is signed" if with_key else (
        "without a key a cut at its end cannot be seen" + (" (it is signed: give --key)" if verified.signed else "")
    )  # fmt: skip
    print(f"{verified.entries:,} entries hold; {ends}")
    return HOLDS


@contextmanager
def telling() -> Iterator[Callable[[int], None]]:
    """Told now and then how many entries were seen: a line that moves on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda entries: None
        return

    def tell(entries: int) -> None:
        sys.stderr.write(f"\r{entries:,} entries hold\x1b[K")
        sys.stderr.flush()

    try:
        yield tell
    finally:
        sys.stderr.write("\r\x1b[K")
