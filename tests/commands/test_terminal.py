"""Output of commands: no control characters, and no error when a pipe is closed."""

import os
from pathlib import Path

import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from contract.tables import read_table
from runtime.process.terminal import escape_unprintable
from testing.inputs.hostile import TEXTS
from testing.servers.launching import launch
from testing.servers.processes import PYTHON, run
from testing.waiting import START_SECONDS


def test_a_closed_pipe_is_no_error(dataset: Path, tmp_path: Path) -> None:
    """When `| head` closes the pipe there is no traceback, for any output."""
    small = tmp_path / "small.csv"
    pa_csv.write_csv(read_table(dataset).slice(0, 500), small)
    unreached = ["--api-url", "http://127.0.0.1:9", "--rate", "50", "--duration", "1", "--retries", "0", "--dataset"]
    for arguments in (
        ["test_api.py", *unreached, str(small)],
        ["-m", "vouch", "validate", str(small)],
        ["-m", "vouch", "--help"],
    ):
        reading, writing = os.pipe()
        with (tmp_path / "errors").open("w+") as errors:
            process = launch([PYTHON, *arguments], stdout=writing, stderr=errors.fileno())
            os.close(writing)
            with os.fdopen(reading, "rb") as pipe:
                assert pipe.readline()
            process.wait(START_SECONDS)
            errors.seek(0)
            text = errors.read()
        assert "Traceback" not in text
        assert "BrokenPipe" not in text


def test_control_characters_do_not_reach_the_terminal() -> None:
    """Foreign text is printed with escapes, on one line, and plain text unchanged."""
    for text in TEXTS:
        assert escape_unprintable(text).isprintable()
    assert escape_unprintable("order 2024/0001, \u00e9\u4e2d\U0001f600") == "order 2024/0001, \u00e9\u4e2d\U0001f600"
    assert escape_unprintable("\x1b[2J\u202e\n") == "\\x1b[2J\\u202e\\n"


def test_values_of_a_dataset_reach_the_terminal_plain(stack: object, dataset: Path, tmp_path: Path) -> None:
    """Escape sequences in ids of a file are printed as text by the load test and in the review zone."""
    table = read_table(dataset).slice(0, 300)
    names = [f"\x1b]52;c;aGk=\x07{number}" for number in range(300)]
    place = table.column_names.index("transaction_id")
    pa_csv.write_csv(table.set_column(place, "transaction_id", [names]), tmp_path / "evil.csv")
    url = stack.url("rest_agent")  # type: ignore[attr-defined]
    given = ["--api-url", url, "--dataset", str(tmp_path / "evil.csv")]
    shown = [run("test_api.py", *given, "--rate", "10", "--duration", "1"), run("test_review_transactions.py", *given)]
    for done in shown:
        assert "\\x1b]52" in done.stdout
        assert "\x1b" not in done.stdout + done.stderr


def test_equal_ids_are_found(dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`vouch validate` counts rows that repeat an id, and accepts a file without any."""
    from data_gen.commands.validate import main

    table = read_table(dataset).slice(0, 800)
    place = table.column_names.index("transaction_id")
    pq.write_table(table.set_column(place, "transaction_id", [["same"] * 800]), tmp_path / "same.parquet")
    assert main([str(tmp_path / "same.parquet")]) == 1
    assert "transaction ids are unique: 799 rows repeat an id" in capsys.readouterr().err
    pq.write_table(table, tmp_path / "good.parquet")
    main([str(tmp_path / "good.parquet")])
    assert "ok   transaction ids are unique" in capsys.readouterr().out
