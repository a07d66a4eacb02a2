"""`vouch conformance`: whether a deployment behaves alike at every door."""

import argparse
import contextlib
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import grpc
import httpx

from conformance.running import Keys, Result, run
from conformance.transports import Transport, all_transports
from conformance.vector import DOORS, PATH, read
from runtime.access.loopback import require_encryption
from runtime.process.commands import command
from runtime.process.terminal import plain
from stack.ports import read_ports


class ConformanceError(ValueError):
    """It cannot run; the message says why."""


def parser() -> argparse.ArgumentParser:
    """The options."""
    result = argparse.ArgumentParser(
        prog="vouch conformance",
        description="Ask the same at every door, and compare: gRPC, canonical JSON (/v1), REST (/api/v1).",
    )  # fmt: skip
    result.add_argument("--target", help="URL of an edge (default: that of `vouch up` on this machine)", metavar="URL")
    result.add_argument("--key", default="", help="API key of a shop, where keys are set")
    result.add_argument("--reviewer-key", default="", help="API key of a reviewer: what it must not do is asked too")
    result.add_argument("--ca", type=Path, help="certificate of the authority that signed the target's")
    result.add_argument("--degraded", action="store_true", help="only what is to be said while the scorer is away")
    result.add_argument(
        "--open-cases",
        action="store_true",
        help="record orders that go to people as well: proves their replays, and leaves cases in the queue of the target",
    )
    result.add_argument("--vectors", type=Path, default=PATH, help="another file of vectors")
    return result


@command("vouch conformance", ConformanceError)
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code: 0 all alike, 1 something is not, 2 it could not run."""
    options = parser().parse_args(arguments)
    target = options.target or f"http://127.0.0.1:{read_ports()['envoy']}"
    try:
        vectors = read(options.vectors)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConformanceError(f"{options.vectors} holds no vectors: {type(error).__name__}") from error
    asked: Counter[str] = Counter()
    wrong: list[Result] = []
    if options.key or options.reviewer_key:
        require_encryption(target, encrypted=target.lower().startswith("https://"), advice="use an https:// target")
    with _doors(target, options.ca) as doors:
        keys = Keys(options.key, options.reviewer_key)
        try:
            for result in run(
                vectors, doors, keys, "degraded" if options.degraded else "", opens_cases=options.open_cases
            ):
                asked.update(result.outcomes.keys())
                if result.problems:
                    wrong.append(result)
                    print(f"  {result.vector.name}: {plain('; '.join(result.problems))}", flush=True)
        except httpx.HTTPError as error:
            raise ConformanceError(f"{target} does not answer: {type(error).__name__}") from error
    told = ", ".join(f"{asked[door]} at {door}" for door in DOORS)
    excused = sum(bool(vector.but) for vector in vectors)
    print(f"{sum(asked.values()):,} calls ({told}); {len(wrong)} vectors are not as they should be")
    print(
        f"{len(vectors)} vectors in the file, {excused} of them with a door that is excused, with the reason beside it"
    )
    return 1 if wrong else 0


@contextlib.contextmanager
def _doors(target: str, authority: Path | None) -> Iterator[list[Transport]]:
    """The doors behind one URL. Raises ConformanceError."""
    where = urlsplit(target.rstrip("/"))
    if where.scheme not in ("http", "https") or not where.hostname:
        raise ConformanceError(f"{plain(target)[:80]} is no URL like https://shop.example:8443")
    address = f"{where.hostname}:{where.port or (443 if where.scheme == 'https' else 80)}"
    if where.scheme == "https":
        try:
            roots = authority.read_bytes() if authority else None
        except OSError as error:
            raise ConformanceError(f"{authority}: {error.strerror}") from error
        channel = grpc.secure_channel(address, grpc.ssl_channel_credentials(roots))
    else:
        channel = grpc.insecure_channel(address)
    url = target.rstrip("/")
    with channel, all_transports(channel, channel, url, url, url, str(authority) if authority else None) as doors:
        yield doors


if __name__ == "__main__":
    sys.exit(main())
