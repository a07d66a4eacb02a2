"""`vouch demo`: a model and a dataset, all services, a stream of orders, and a clean end."""

import json
import os
import signal
from pathlib import Path

import pytest

from runtime.settings import PORT_BASE
from testing.servers.processes import PYTHON, call, launch
from testing.waiting import START_SECONDS, free_port_base, wait_for
from tests.services.test_production import all_ended, descendants, environment_with_ports

SERVICES = ("ml", "agent", "bridge_ml", "bridge_agent", "console", "envoy")


def demo_environment(folder: Path, models: Path, dataset: Path) -> dict[str, str]:
    """Return the environment of a demo, with a small dataset in its folder."""
    rows = dataset.read_text().splitlines(keepends=True)[:601]
    (folder / "abuse_dataset_5000_v2.csv").write_text("".join(rows))
    return environment_with_ports(models)


@pytest.mark.envoy
def test_the_demo_shows_decisions(models: Path, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Orders of both classes are streamed without failures, the services log to the file only, and all exit with 0.

    With `--port-base` all services move together: addresses, status, load tester and edge follow.
    """
    demo_environment(tmp_path, models, dataset)
    clean = {name: value for name, value in os.environ.items() if not name.startswith("VOUCH_")}
    base, printed, errors = free_port_base(), tmp_path / "output", tmp_path / "errors"
    command = [PYTHON, "-m", "vouch", "demo", "--seconds", "2", "--port-base", str(base)]
    with printed.open("wb") as out, errors.open("wb") as error:
        process = launch(
            command,
            cwd=tmp_path,
            env=clean | {"VOUCH_MODELS_DIR": str(models)},
            stdout=out.fileno(),
            stderr=error.fileno(),
        )
    wait_for(lambda: (tmp_path / "vouch_demo.log").exists() or process.poll() is not None, what="the services' log")
    log_file = tmp_path / "vouch_demo.log"
    wait_for(lambda: "vouch is up" in log_file.read_text() or process.poll() is not None, what="all services")
    monkeypatch.setenv(PORT_BASE, "1")  # set back to what it was, whatever the command below sets
    status = call("status", "--port-base", str(base), "--json")
    assert status.returncode == 0, status.stdout
    urls = {one["service"]: one["url"] for one in json.loads(status.stdout)}
    assert urls == {
        name: f"http://127.0.0.1:{base + offset}"
        for name, offset in (("scorer", 0), ("agent", 1), ("edge", 80), ("console", 2))
    }
    assert process.wait(4 * START_SECONDS) == 0, printed.read_text() + errors.read_text()
    output = printed.read_text()
    assert f"http://localhost:{base + 2}/" in output
    assert "capacity: about" in output and "failed 0" in output, output
    table = [line.split() for line in output[output.index("Summary") :].splitlines()]
    assert ["approve", "deny", "review", "total"] in table
    totals = {row[0]: int(row[4]) for row in table if len(row) == 5 and row[0] in ("legitimate", "abuse")}
    assert set(totals) == {"legitimate", "abuse"} and sum(totals.values()) > 0, output
    assert "Envoy: 50 orders as gRPC and as JSON, scores agree" in output
    assert "vouch_demo.log" in output
    log = log_file.read_text()
    assert (
        f"REST http://localhost:{base + 1}/docs     gRPC localhost:{base + 4}" in log
        and f"http://localhost:{base + 80}" in log
    )
    for name in SERVICES:
        assert f"{name} started" in log and f"{name} stopped" in log, name
    assert "vouch is up" in log
    for words in ("started (pid=", "vouch is up", '"listening"'):
        assert words not in output + errors.read_text(), words


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
