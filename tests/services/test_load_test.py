"""The documented load tests."""

import signal
from pathlib import Path

import pytest

from load_test.orders import find_dataset, read_orders
from testing.servers.processes import PYTHON, Stack, launch, run
from testing.waiting import START_SECONDS, wait_for


def test_the_load_test_counts_by_class(stack: Stack, few: Path) -> None:
    """The documented load test streams both classes and prints decisions, precision, recall and percentiles."""
    arguments = ["--api-url", stack.url("rest_agent"), "--dataset", str(few)]
    done = run("test_api.py", *arguments, "--rate", "40", "--duration", "2")
    assert done.returncode == 0, done.stderr
    for words in ("legitimate", "abuse", "deny: precision", "recall", "sent to review", "p99", "failed 0"):
        assert words in done.stdout
    assert "sent 80 in" in done.stdout


def test_ctrl_c_still_prints_the_summary(stack: Stack, few: Path, tmp_path: Path) -> None:
    """Interrupted, the load test prints one line per request and the summary, with exit code 0."""
    command = [PYTHON, "test_api.py", "--api-url", stack.url("rest_agent"), "--dataset", str(few), "--rate", "5"]
    output = tmp_path / "output"
    with output.open("wb") as written:
        process = launch(command, stdout=written.fileno())
    wait_for(lambda: output.read_text().count("\n") >= 3, what="three lines")
    process.send_signal(signal.SIGINT)
    assert process.wait(START_SECONDS) == 0
    lines = output.read_text().splitlines()
    assert all("->" in line for line in lines[:3])
    assert any("deny: precision" in line for line in lines[3:])


def test_load_tests_take_files_without_the_newer_columns(stack: Stack, few: Path, tmp_path: Path) -> None:
    """A file with only the documented columns works, and no label is ever sent."""
    from contract.fields import LABELS

    newer = [
        "accounts_on_device_30d",
        "accounts_on_ip_24h",
        "three_ds_result",
        "payment_attempts_24h",
        "cards_used_30d",
    ]
    import pyarrow.csv as pa_csv

    from contract.tables import read_table

    path = tmp_path / "older.csv"
    pa_csv.write_csv(read_table(few).slice(0, 400).drop_columns([*newer, "promo_code_used"]), path)
    assert not any(label in order.body for order in read_orders(path) for label in LABELS)
    arguments = ["--api-url", stack.url("rest_agent"), "--dataset", str(path)]
    done = run("test_api.py", *arguments, "--rate", "30", "--duration", "1")
    assert (done.returncode, "failed 0" in done.stdout) == (0, True), done.stdout
    zone = run("test_review_transactions.py", *arguments, "--count", "1")
    assert zone.returncode == 0, zone.stdout
    for words in ("decision   review by review_required", "reasoning", "evidence", "recommends"):
        assert words in zone.stdout


def test_the_datasets_of_the_workshop_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """data/abuse_dataset_<rows>.csv is read in data/ or in the current folder, else generated; other names are not."""
    monkeypatch.chdir(tmp_path)
    named = Path("data") / "abuse_dataset_600.csv"
    Path(named.name).touch()
    assert find_dataset(named) == Path(named.name)
    Path(named.name).unlink()
    assert find_dataset(named) == named and len(read_orders(named)) == 600
    for other in ("data/orders.csv", "abuse_dataset_600.csv", "elsewhere/abuse_dataset_600.csv"):
        assert find_dataset(Path(other)) == Path(other) and not Path(other).exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--rate", "0"], "--rate must be above 0"),
        (["--fraud-ratio", "1.5"], "--fraud-ratio must be from 0 to 1"),
        (["--concurrency", "0"], "--concurrency"),
        (["--dataset", "nowhere.csv"], "nowhere.csv: there is no such file"),
        (["--api-url", "localhost"], "--api-url must start with"),
    ],
)
def test_load_test_options_are_checked(arguments: list[str], words: str) -> None:
    """A bad option is exit code 2 and one line that names it."""
    done = run("test_api.py", *arguments)
    assert done.returncode == 2
    assert words in done.stderr


def test_an_absent_service_is_reported(few: Path) -> None:
    """If nothing listens, the load test reports it for each request and exits with 1."""
    arguments = ["--api-url", "http://127.0.0.1:9", "--dataset", str(few)]
    done = run("test_api.py", *arguments, "--rate", "10", "--duration", "0.5", "--retries", "0")
    assert done.returncode == 1
    assert "ConnectError" in done.stdout
