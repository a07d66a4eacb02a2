"""Load generators: h2load for gRPC and HTTP/2, wrk for HTTP/1.1, both from Debian's packages."""

import json
import re
import shutil
import statistics
import subprocess
import tempfile
import uuid
from collections.abc import Sequence
from pathlib import Path

PACKAGES = {"h2load": "nghttp2-client", "wrk": "wrk"}
GRPC = ("-H", "content-type: application/grpc", "-H", "te: trailers")
JSON = ("-H", "content-type: application/json")


class LoadError(RuntimeError):
    """A load generator is missing, or the server did not answer its requests."""


def missing() -> list[str]:
    """Return a sentence for each missing load generator."""
    return [
        f"{name} is missing: apt-get install {package}" for name, package in PACKAGES.items() if not shutil.which(name)
    ]


def frame(message: bytes) -> bytes:
    """Return a gRPC message in its wire format: a flag, the length, the bytes."""
    return b"\0" + len(message).to_bytes(4, "big") + message


def h2load(
    url: str, body: Path, headers: tuple[str, ...], core: int | None, requests: int, clients: int, streams: int
) -> float:
    """Return requests a second."""
    output = _run(
        core, "h2load", "-n", str(requests), "-c", str(clients), "-m", str(streams), "-d", str(body), *headers, url
    )
    done = re.search(r"(\d+) succeeded, (\d+) failed, (\d+) errored", output)
    rate = re.search(r"finished in [^,]*, ([\d.]+) req/s", output)
    if not done or not rate or int(done[1]) != requests:
        raise LoadError(f"{url}: {output[-600:]}")
    return float(rate[1])


def h2load_p50(url: str, body: Path, headers: tuple[str, ...], core: int | None, requests: int) -> float:
    """Return the median latency of sequential requests, in microseconds."""
    with tempfile.NamedTemporaryFile() as log:
        _run(
            core, "h2load", "-n", str(requests), "-c1", "-m1", f"--log-file={log.name}", "-d", str(body), *headers, url
        )
        return statistics.median(int(line.split()[2]) for line in Path(log.name).read_text().splitlines())


def wrk(
    url: str, body: Path, core: int | None, seconds: float, connections: int, *, anew: Sequence[str] = (),
    answers: int | None = None,
) -> float:  # fmt: skip
    """Return requests a second over HTTP/1.1. Every request gets new values of the fields in `anew`, such as its id.

    It ends after `seconds`, or after this number of `answers`.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write("wrk.method='POST'\nwrk.headers['Content-Type']='application/json'\n")
        if anew:
            order = json.loads(body.read_text()) | {
                name: _NEW_VALUES.get(name, f"{uuid.uuid4().hex}-@N") for name in anew
            }
            script.write(f"local order='{_quote(json.dumps(order))}'\nlocal number=0\n{_NEW_ORDERS}")
        else:
            script.write(f"wrk.body='{_quote(body.read_text())}'\n")
        if answers is not None:
            script.write(_UNTIL_ANSWERED % answers)
        script.flush()
        output = _run(core, "wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "-s", script.name, url)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", output)
    if not rate or "Non-2xx" in output:
        raise LoadError(f"{url}: {output[-600:]}")
    return float(rate[1])


_NEW_VALUES = {"ip_address": "10.@A.@B.@C"}
_NEW_ORDERS = """
function request()
  number = number + 1
  local own = {N = number, A = math.floor(number / 65536) % 256, B = math.floor(number / 256) % 256, C = number % 256}
  return wrk.format(nil, nil, nil, (string.gsub(order, '@(%u)', own)))
end
"""

_UNTIL_ANSWERED = """
local ffi = require('ffi')
ffi.cdef('int getpid(void); int kill(int, int);')
local answered = 0
function response()
  answered = answered + 1
  if answered == %d then ffi.C.kill(ffi.C.getpid(), 2) end
end
"""
"""Ends wrk early: at SIGINT it stops and prints its results."""


def _quote(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")


def _run(core: int | None, *command: str) -> str:
    pinned = ["taskset", "-c", str(core)] if core is not None else []
    done = subprocess.run([*pinned, *command], capture_output=True, text=True, check=False, timeout=300)
    if done.returncode:
        raise LoadError(f"{command[0]}: {done.stderr[-300:]}")
    return done.stdout
