"""`vouch conformance`: check that a deployment behaves the same over every transport."""

import contextlib
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import grpc
import httpx

from conformance.runner import Keys, run
from conformance.transports import Transport, all_transports
from conformance.vector import PATH, TRANSPORTS, read
from runtime.access.loopback import require_encryption
from runtime.process.command_line import NEGATIVE, NOT_NOW, OK, CommandParser
from runtime.process.commands import Unavailable, command
from runtime.process.port_base import add_port_base_option, use_port_base
from runtime.process.terminal import escape_unprintable
from stack.ports import read_ports


class ConformanceError(ValueError):
    """The command cannot run; the message says why."""


def parser() -> CommandParser:
    """Return the parser of the options."""
    result = CommandParser(
        prog="vouch conformance",
        description="Send the same requests over gRPC, canonical JSON (/v1) and REST (/api/v1), and compare the responses.",
        examples=("vouch conformance", "vouch conformance --port-base 9000",
            "vouch conformance --target https://vouch.example:8443 --ca ca.pem"),
        codes={NEGATIVE: "responses differ", NOT_NOW: "the target does not answer; try again"},
    )  # fmt: skip
    add_port_base_option(result)
    result.add_argument(
        "--target", help="URL of an edge (default: the edge of `vouch up` on this machine)", metavar="URL"
    )
    result.add_argument("--key", default="", help="API key of a shop, if keys are required")
    result.add_argument("--reviewer-key", default="", help="API key of a reviewer, to test that its role is enforced")
    result.add_argument("--ca", type=Path, help="CA certificate that verifies the target's certificate")
    result.add_argument("--degraded", action="store_true", help="run only the vectors for an unavailable scorer")
    result.add_argument(
        "--open-cases",
        action="store_true",
        help="also record orders that are sent to review: tests their replays, but leaves cases in the target's queue",
    )
    result.add_argument("--vectors", type=Path, default=PATH, help="file of vectors (default: the built-in vectors)")
    return result


@command("vouch conformance", ConformanceError)
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Return its exit code."""
    options = parser().parse_args(arguments)
    use_port_base(options.port_base)
    target = options.target or f"http://127.0.0.1:{read_ports()['envoy']}"
    try:
        vectors = read(options.vectors)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConformanceError(f"{options.vectors} is not a valid file of vectors: {type(error).__name__}") from error
    calls: Counter[str] = Counter()
    failed = 0
    if options.key or options.reviewer_key:
        require_encryption(target, encrypted=target.lower().startswith("https://"), advice="use an https:// target")
    with _connect(target, options.ca) as transports:
        keys = Keys(options.key, options.reviewer_key)
        try:
            for result in run(
                vectors, transports, keys, "degraded" if options.degraded else "", opens_cases=options.open_cases
            ):
                calls.update(result.outcomes.keys())
                if result.problems:
                    failed += 1
                    print(f"  {result.vector.name}: {escape_unprintable('; '.join(result.problems))}", flush=True)
        except httpx.HTTPError as error:
            raise Unavailable(f"{target} does not answer: {type(error).__name__}") from error
    counts = ", ".join(f"{calls[name]} over {name}" for name in TRANSPORTS)
    excused = sum(bool(vector.but) for vector in vectors)
    print(f"{sum(calls.values()):,} calls ({counts}); {failed} vectors failed")
    print(f"{len(vectors)} vectors in the file, {excused} of them with a known difference and its reason")
    return NEGATIVE if failed else OK


@contextlib.contextmanager
def _connect(target: str, authority: Path | None) -> Iterator[list[Transport]]:
    """Yield the transports of an edge's URL. Raises ConformanceError."""
    parts = urlsplit(target.rstrip("/"))
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConformanceError(f"{escape_unprintable(target)[:80]} is not a URL like https://shop.example:8443")
    address = f"{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}"
    if parts.scheme == "https":
        try:
            roots = authority.read_bytes() if authority else None
        except OSError as error:
            raise ConformanceError(f"{authority}: {error.strerror}") from error
        channel = grpc.secure_channel(address, grpc.ssl_channel_credentials(roots))
    else:
        channel = grpc.insecure_channel(address)
    url = target.rstrip("/")
    with channel, all_transports(channel, channel, url, url, url, str(authority) if authority else None) as found:
        yield found


if __name__ == "__main__":
    sys.exit(main())
