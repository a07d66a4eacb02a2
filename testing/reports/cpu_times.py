"""`pytest -p testing.reports.cpu_times`: CPU seconds by test file, of the test process and the processes it started.

A fixture counts for the test that set it up or tore it down. Servers that keep running are counted when they end.
"""

import resource
from collections.abc import Iterator
from typing import Any

import pytest

from testing.servers.launching import CPU_OF_FORKED

_NAME = "cpu_seconds"
_by_file: dict[str, float] = {}


def _used() -> float:
    own, ended = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + ended.ru_utime + ended.ru_stime + CPU_OF_FORKED.seconds


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Measure one test with its fixtures."""
    before = _used()
    result = yield
    item.config.stash.setdefault(_SPENT, []).append((item.nodeid.partition("::")[0], _used() - before))
    return result


_SPENT = pytest.StashKey[list[tuple[str, float]]]()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Send the figures of a worker to the reporting process."""
    output: Any = getattr(session.config, "workeroutput", None)
    if output is not None:
        output[_NAME] = session.config.stash.get(_SPENT, [])


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Receive the figures of a worker."""
    for file, seconds in getattr(node, "workeroutput", {}).get(_NAME, []):
        _by_file[file] = _by_file.get(file, 0.0) + seconds


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print the files that take the most CPU time."""
    for file, seconds in config.stash.get(_SPENT, []):
        _by_file[file] = _by_file.get(file, 0.0) + seconds
    terminalreporter.section(f"CPU seconds: {sum(_by_file.values()):.1f}")
    for file, seconds in sorted(_by_file.items(), key=lambda each: -each[1])[:40]:
        terminalreporter.write_line(f"{seconds:8.1f} {file}")
