"""`vouch demo`: a model and a dataset, all services, a stream of orders, and a clean end."""

import signal
from pathlib import Path

import pytest

from testing.servers.processes import PYTHON, call, launch, run
from testing.waiting import START_SECONDS, wait_for
from tests.services.test_production import all_ended, descendants, environment_with_ports

SERVICES = ("ml", "agent", "bridge_ml", "bridge_agent", "console", "envoy")


def demo_environment(folder: Path, models: Path, dataset: Path) -> dict[str, str]:
    """Return the environment of a demo, with a small dataset in its folder."""
    rows = dataset.read_text().splitlines(keepends=True)[:601]
    (folder / "abuse_dataset_5000_v2.csv").write_text("".join(rows))
    return environment_with_ports(models)


@pytest.mark.envoy
def test_the_demo_shows_decisions(models: Path, dataset: Path, tmp_path: Path) -> None:
    """Orders of both classes are streamed without failures, the services log to the file only, and all exit with 0."""
    environment = demo_environment(tmp_path, models, dataset)
    done = run("-m", "vouch", "demo", "--seconds", "2", cwd=tmp_path, env=environment, seconds=4 * START_SECONDS)
    assert done.returncode == 0, done.stdout + done.stderr
    output = done.stdout
    assert "capacity: about" in output and "failed 0" in output, output
    table = [line.split() for line in output[output.index("Summary") :].splitlines()]
    assert ["approve", "deny", "review", "total"] in table
    totals = {row[0]: int(row[4]) for row in table if len(row) == 5 and row[0] in ("legitimate", "abuse")}
    assert set(totals) == {"legitimate", "abuse"} and sum(totals.values()) > 0, output
    assert "Envoy: 50 orders as gRPC and as JSON, scores agree" in output
    assert "vouch_demo.log" in output
    log = (tmp_path / "vouch_demo.log").read_text()
    for name in SERVICES:
        assert f"{name} started" in log and f"{name} stopped" in log, name
    assert "vouch is up" in log
    for words in ("started (pid=", "vouch is up", '"listening"'):
        assert words not in output + done.stderr, words


@pytest.mark.envoy
def test_a_demo_that_is_terminated_leaves_nothing(models: Path, dataset: Path, tmp_path: Path) -> None:
    """After SIGTERM while its services start, it ends, and every service with it."""
    environment = demo_environment(tmp_path, models, dataset)
    process = launch([PYTHON, "-m", "vouch", "demo", "--seconds", "3600"], cwd=tmp_path, env=environment)
    log = tmp_path / "vouch_demo.log"
    wait_for(lambda: log.exists() and "ml started" in log.read_text(), what="the first service")
    started = descendants(process.pid)
    assert started
    process.send_signal(signal.SIGTERM)
    assert process.wait(START_SECONDS) == 130, log.read_text()
    wait_for(lambda: all_ended(started), what="the end of all services")
    assert "Traceback" not in log.read_text()


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf", "soon"])
def test_a_demo_of_no_length_is_refused(seconds: str) -> None:
    """The error is exit code 2 with the option's name, before anything starts."""
    with pytest.raises(SystemExit) as caught:
        call("demo", "--seconds", seconds)
    assert caught.value.code == 2
