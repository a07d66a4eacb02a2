"""`vouch audit`: is the ledger what was written? Verify it, export it, make the key that signs its end."""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from agent_server.audit.exports import ExportError, read_export, write_export
from agent_server.audit.signing import Signing, make_key, read_public, signature_fits
from agent_server.audit.verify import Anchor, Fits, Verification, read_head, rows_of, verify, verify_ledger
from agent_server.database.engine import writing
from agent_server.ledger import LedgerError, open_engine, reading
from agent_server.ledger.transaction import sign_head
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
    check.add_argument(
        "--end", type=_anchor, metavar="N:N:DIGEST", help="an end that was printed earlier: the ledger must have had it"
    )
    export = actions.add_parser("export", help="write all entries to a file that verifies by itself")
    export.add_argument("--output", type=Path, required=True, help=".parquet or .jsonl")
    sign = actions.add_parser("sign", help="verify the ledger and sign its end: once, where a key is new to it")
    sign.add_argument("--key", type=Path, help="private key (default: VOUCH_AGENT_LEDGER_KEY)")
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
    if options.action == "sign":
        if key is None:
            raise LedgerError("there is no key: set VOUCH_AGENT_LEDGER_KEY, or give --key")
        return _sign(settings.ledger_url, key)
    fits = _fits(key) if key else None
    if options.file:
        if options.end is not None:
            raise LedgerError("--end goes with a ledger: an export does not hold all that it covers")
        verified = _verify_file(options.file, fits)
    else:
        verified = _verify_ledger(settings.ledger_url, fits, options.end)
    return _tell(verified, with_key=fits is not None)


def _anchor(text: str) -> Anchor:
    entries, rows, digest = text.split(":")
    return Anchor(int(entries), int(rows), bytes.fromhex(digest))


def _fits(path: Path) -> Fits:
    key = read_public(path)
    return lambda signature, content: signature_fits(key, signature, content)


def _verify_ledger(url: str, fits: Fits | None, anchor: Anchor | None) -> Verification:
    with reading(url) as connection, telling() as tell:
        return verify_ledger(connection, fits, tell, anchor)


def _sign(url: str, path: Path) -> int:
    """Verify the ledger, and sign its end with a key that did not sign it so far."""
    signer = Signing(path)
    engine = open_engine(url, signer)
    try:
        with writing(engine) as connection, connection.begin(), telling() as tell:
            verified = verify_ledger(connection, None, tell)
            if not verified.broken:
                sign_head(connection, signer)
    finally:
        engine.dispose()
    if not verified.broken:
        print(f"the end of {verified.entries:,} entries is signed")
        return HOLDS
    return _tell(verified, with_key=False)


def _verify_file(path: Path, fits: Fits | None) -> Verification:
    with telling() as tell:
        rows, end = read_export(path)
        return verify(rows, end, fits, tell)


def _export(url: str, path: Path) -> int:
    with reading(url) as connection:
        number = write_export(path, rows_of(connection), read_head(connection))
    print(f"{path}: {number:,} entries; `vouch audit verify {path}` verifies them")
    return HOLDS


def _tell(verified: Verification, *, with_key: bool) -> int:
    if verified.broken:
        print(plain(f"vouch audit: {verified.broken}; the {verified.entries:,} before it hold"), file=sys.stderr)
        return BROKEN
    ends = "its end is signed" if with_key else (
        "without a key it may have been computed anew" + (" (it is signed: give --key)" if verified.signed else "")
    )  # fmt: skip
    print(f"{verified.entries:,} entries hold; {ends}")
    if verified.head:
        print(f"{verified.rows:,} rows of cases, case events and outcomes hold")
        print(f"end {verified.entries}:{verified.links}:{verified.head.hex()} (keep it elsewhere, for verify --end)")
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
