"""Every command against broken inputs: exit code 2 and one sentence that names the file, never a traceback."""

import gzip
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

import vouch
from runtime.tables import read_table
from runtime.terminal import plain
from tests.hostile import TEXTS
from tests.processes import PYTHON, ROOT, run
from tests.test_commands import FOREIGN, MAPPING

HEAD = "transaction_id,timestamp,user_id,order_amount,is_abuse\n"
ROW = "t1,2025-02-11 10:00:00,u1,10.5,false\n"

FILES: dict[str, bytes] = {
    "empty.csv": b"",
    "head.csv": HEAD.encode(),
    "nul.csv": b"\0" * 1000,
    "latin.csv": (HEAD + ROW).encode().replace(b"u1", b"\xe9\xff"),
    "ragged.csv": (HEAD + ROW + "t2,2025\n").encode(),
    "quote.csv": (HEAD + 't1,"2025-02-11').encode(),
    "twice.csv": ("user_id," + HEAD + "u," + ROW).encode(),
    "lacks.csv": b"transaction_id,user_id\nt,u\n",
    "number.csv": (HEAD + ROW.replace("10.5", "ten")).encode(),
    "negative.csv": (HEAD + ROW.replace("10.5", "-1")).encode(),
    "label.csv": (HEAD + ROW.replace("false", "perhaps")).encode(),
    "time.csv": (HEAD + ROW.replace("2025-02-11 10:00:00", "9999999-99-99")).encode(),
    "escape.csv": (HEAD + ROW.replace("10.5", "\x1b]52;c;aGk=\x07")).encode(),
    "broken.csv.gz": b"\x1f\x8b\x08\x00garbage",
    "cut.csv.gz": gzip.compress((HEAD + ROW * 5000).encode())[:200],
    "broken.csv.zst": b"\x28\xb5\x2f\xfdgarbage",
    "broken.parquet": b"PAR1garbagePAR1",
    "cut.parquet": b"PAR1",
}
MAPPINGS: dict[str, str] = {
    "no YAML": "columns: {transaction_id: [",
    "tags": "columns: !!python/object/apply:os.system [echo]",
    "a list": "- columns",
    "nothing": "",
    "a number": "7",
    "columns a list": "columns: [a]",
    "columns null": "columns:",
    "a column a number": "columns: {timestamp: 7}",
    "a column a list": "columns: {timestamp: [a]}",
    "no from": "columns: {timestamp: {format: '%d'}}",
    "from a list": "columns: {timestamp: {from: [a]}}",
    "scale null": MAPPING.replace("scale: 0.01", "scale: null"),
    "scale a text": MAPPING.replace("scale: 0.01", "scale: much"),
    "scale infinite": MAPPING.replace("scale: 0.01", "scale: .inf"),
    "values a list": MAPPING.replace("{PC: desktop, Phone: mobile}", "[PC]"),
    "values null": MAPPING.replace("{PC: desktop, Phone: mobile}", "{PC: [desktop]}"),
    "unit unknown": "columns: {timestamp: {from: placed, unit: fortnights}}",
    "since no time": "columns: {timestamp: {from: placed, unit: s, since: soon}}",
    "extra a list": MAPPING + "\nextra: [v1]",
    "extra a text": "columns: {timestamp: placed}\nextra: v1",
    "extra numbers": "columns: {timestamp: placed}\nextra: {numeric: [1, 2]}",
    "extra a text inside": "columns: {timestamp: placed}\nextra: {numeric: v1}",
    "extra twice": "columns: {timestamp: placed}\nextra: {numeric: [v1], categorical: [v1]}",
    "label a text": "columns: {timestamp: placed}\nlabel: chargeback",
    "label a list": "columns: {timestamp: placed}\nlabel: [a, b]",
    "label lacks abuse": "columns: {timestamp: placed}\nlabel: {from: a}",
    "label abuse a list": "columns: {timestamp: placed}\nlabel: {from: a, abuse: [1]}",
    "label as extra": "columns: {timestamp: placed}\nlabel: {from: v1, abuse: 1}\nextra: {numeric: [v1]}",
    "an unknown entry": "columns: {timestamp: placed}\nlables: {}",
    "an unknown field": "columns: {timestamp: placed, colour: c}",
    "a field of numbers": "columns: {7: placed}",
    "no timestamp": "columns: {user_id: a}",
    "a column that is missing": "columns: {timestamp: nowhere}\nlabel: {from: chargeback, abuse: 'Y'}",
}


def ended(capsys: pytest.CaptureFixture[str], command: str, *arguments: str) -> str:
    """Run a command; its sentence. It must exit with 2, and say it on one line behind its name."""
    module, _ = vouch.COMMANDS[command]
    main: Callable[[list[str]], int] = __import__(module, fromlist=["main"]).main
    code = main(list(arguments))
    error = capsys.readouterr().err
    assert code == 2, (arguments, error)
    lines = [line for line in error.splitlines() if not line.startswith(("scored", "generated"))]
    assert len(lines) == 1, error
    assert lines[0].isprintable()
    return lines[0]


@pytest.fixture
def trained(models: Path, tmp_path: Path) -> Path:
    """A folder of models of one's own, to be damaged."""
    version = (models / "current").resolve()
    shutil.copytree(version, tmp_path / "models" / version.name)
    (tmp_path / "models" / "current").symlink_to(version.name)
    return tmp_path / "models"


@pytest.mark.parametrize("name", [*FILES, "missing.csv", "folder.csv"])
def test_files(name: str, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is empty, cut, mistyped, compressed wrongly or none at all, to every command that reads one."""
    path = tmp_path / name
    if name in FILES:
        path.write_bytes(FILES[name])
    elif name == "folder.csv":
        path.mkdir()
    known, file = ["--models-dir", str(trained)], str(path)
    for command, arguments in (
        ("train", ["--dataset", file, *known]),
        ("evaluate", ["--dataset", file, *known]),
        ("score", [file, "--output", str(tmp_path / "scores.csv"), *known]),
        ("load", ["--dataset", file]),
        ("review-zone", ["--dataset", file]),
    ):
        if command == "score" and name in ("label.csv", "head.csv", "twice.csv"):
            continue  # labels are not read; the others are below
        sentence = ended(capsys, command, *arguments)
        assert path.name in sentence or command == "train", (command, sentence)
    if name not in ("negative.csv",):
        assert path.name in ended(capsys, "validate", file)
    assert not (tmp_path / "scores.csv").exists()


@pytest.mark.parametrize("name", MAPPINGS)
def test_mappings(name: str, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A mapping that is no YAML, of wrong shape, or does not fit the file."""
    (tmp_path / "m.yaml").write_text(MAPPINGS[name])
    (tmp_path / "foreign.csv").write_text(FOREIGN)
    given = ["--mapping", str(tmp_path / "m.yaml"), "--models-dir", str(trained)]
    data = str(tmp_path / "foreign.csv")
    sentence = ended(capsys, "train", "--dataset", data, *given)
    assert "m.yaml" in sentence or "foreign.csv" in sentence
    ended(capsys, "evaluate", "--dataset", data, *given)
    ended(capsys, "score", data, "--output", str(tmp_path / "s.csv"), *given)


@pytest.mark.parametrize(
    "name", ["broken.csv.gz", "cut.csv.gz", "broken.csv.zst", "broken.parquet", "nul.csv", "twice.csv"]
)
def test_foreign_files(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A broken file through a mapping."""
    (tmp_path / name).write_bytes(FILES[name])
    (tmp_path / "m.yaml").write_text(MAPPING)
    given = ["--mapping", str(tmp_path / "m.yaml"), "--models-dir", str(tmp_path / "models")]
    assert name in ended(capsys, "train", "--dataset", str(tmp_path / name), *given)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "metadata empty": lambda folder: (folder / "metadata.json").write_text(""),
    "metadata a list": lambda folder: (folder / "metadata.json").write_text("[]"),
    "metadata lacks figures": lambda folder: (folder / "metadata.json").write_text('{"dataset": {"rows": "x"}}'),
    "metadata null": lambda folder: (folder / "metadata.json").write_text('{"metrics": null, "dataset": null}'),
    "metadata no text": lambda folder: (folder / "metadata.json").write_bytes(b"\xff\xfe"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_models(damage: str, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Damaged metadata: the list shows the other versions and names this one; it is neither promoted nor used."""
    version = (trained / "current").resolve()
    shutil.copytree(version, trained / "good")
    DAMAGES[damage](version)
    known = ["--models-dir", str(trained)]
    module = __import__("ml_server.models_cli", fromlist=["main"])
    assert module.main([*known]) == 2
    shown = capsys.readouterr()
    assert f"{version.name}" in shown.err
    assert "good" in shown.out
    assert version.name in ended(capsys, "models", *known, "promote", version.name)
    ended(capsys, "score", str(tmp_path / "x.csv"), "--output", str(tmp_path / "s.csv"), *known)


@pytest.mark.parametrize("version", ["current", ".", "..", "../models", "none", "", "a/b", "x" * 100])
def test_no_version_is_promoted_that_is_none(version: str, trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`current` and other names that are no version are refused, and what serves stays what it is."""
    before = os.readlink(trained / "current")
    ended(capsys, "models", "--models-dir", str(trained), "promote", version)
    assert os.readlink(trained / "current") == before
    assert (trained / "current").is_dir()


def test_a_current_that_is_a_folder_stays(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where somebody made `current` a folder, promoting says so and touches nothing."""
    version = os.readlink(trained / "current")
    (trained / "current").unlink()
    (trained / "current").mkdir()
    assert "is a folder" in ended(capsys, "models", "--models-dir", str(trained), "promote", version)
    assert (trained / "current").is_dir()
    assert not list(trained.glob(".current*"))


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"nonsense\n", "line 1"), (b"\xff\xfe", "cannot be read"), (b"a:" + b"0" * 64 + b"\na:" + b"0" * 64, "twice")],
)
def test_keys(content: bytes, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A damaged file of keys, a bad name, a name taken or missing; before and behind the action."""
    file = tmp_path / "keys"
    file.write_bytes(content)
    for arguments in (
        ["--file", str(file), "list"],
        ["add", "shop", "--file", str(file)],
        ["remove", "a", "--file", str(file)],
    ):
        assert words in ended(capsys, "keys", *arguments)
    file.unlink()
    for name in ("", "a b", "a:b", "\x1b[2J", "é"):
        ended(capsys, "keys", "add", name, "--file", str(file))
    assert not file.exists()
    ended(capsys, "keys", "remove", "nobody", "--file", str(file))
    ended(capsys, "keys", "add", "shop", "--file", str(tmp_path / "no" / "folder"))


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("VOUCH_ML_LISTEN", "127.0.0.1:99999"),
        ("VOUCH_ML_LISTEN", "127.0.0.1:-1"),
        ("VOUCH_ML_LISTEN", "127.0.0.1:"),
        ("VOUCH_ML_LISTEN", ":50051"),
        ("VOUCH_ML_LISTEN", "50051"),
        ("VOUCH_ML_LISTEN", ""),
        ("VOUCH_ML_LISTEN", "127.0.0.1:5\u0661"),
        ("VOUCH_ML_METRICS_LISTEN", "127.0.0.1:65536"),
        ("VOUCH_AGENT_LISTEN", "localhost:http"),
        ("VOUCH_AGENT_SCORER", "127.0.0.1:99999"),
        ("VOUCH_AGENT_MINIMUM_EVIDENCE", "-1"),
        ("VOUCH_STACK_EDGE_PORT", "0"),
        ("VOUCH_EDGE_TLS_KEY", "key.pem"),
    ],
)
def test_settings(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An address or a number that cannot be is told before anything starts, with the variable's name."""
    monkeypatch.setenv(variable, value)
    assert variable in ended(capsys, "up")


def test_the_end_of_a_pipe_is_no_fault(dataset: Path, tmp_path: Path) -> None:
    """`| head` closes the pipe: no traceback, whatever the command was about to say."""
    small = tmp_path / "small.csv"
    pa_csv.write_csv(read_table(dataset).slice(0, 500), small)
    unreached = ["--api-url", "http://127.0.0.1:9", "--rate", "50", "--duration", "1", "--dataset"]
    for arguments in (["test_api.py", *unreached], ["-m", "vouch", "validate"]):
        command = ["bash", "-c", '"$@" | head -n 1', "-", PYTHON, *arguments, str(small)]
        piped = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
        assert "Traceback" not in piped.stderr
        assert "BrokenPipe" not in piped.stderr


def test_nothing_strange_reaches_the_terminal() -> None:
    """What a stranger wrote is shown with escapes, as one line, and plain text as it is."""
    for text in TEXTS:
        assert plain(text).isprintable()
    assert plain("order 2024/0001, \u00e9\u4e2d\U0001f600") == "order 2024/0001, \u00e9\u4e2d\U0001f600"
    assert plain("\x1b[2J\u202e\n") == "\\x1b[2J\\u202e\\n"


def test_values_of_a_dataset_reach_the_terminal_plain(stack: object, dataset: Path, tmp_path: Path) -> None:
    """Escape sequences in ids of a file are shown as text by the load test and the review zone."""
    table = read_table(dataset).slice(0, 60)
    names = [f"\x1b]52;c;aGk=\x07{number}" for number in range(60)]
    place = table.column_names.index("transaction_id")
    pa_csv.write_csv(table.set_column(place, "transaction_id", [names]), tmp_path / "evil.csv")
    url = stack.url("rest_agent")  # type: ignore[attr-defined]
    given = ["--api-url", url, "--dataset", str(tmp_path / "evil.csv")]
    shown = [run("test_api.py", *given, "--rate", "10", "--duration", "1"), run("test_review_transactions.py", *given)]
    for done in shown:
        assert "\\x1b]52" in done.stdout
        assert "\x1b" not in done.stdout + done.stderr


def test_equal_ids_are_found(dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`vouch validate` counts rows that repeat an id, and passes a file without any."""
    from data_gen.validate_cli import main

    table = read_table(dataset).slice(0, 800)
    place = table.column_names.index("transaction_id")
    pq.write_table(table.set_column(place, "transaction_id", [["same"] * 800]), tmp_path / "same.parquet")
    assert main([str(tmp_path / "same.parquet")]) == 1
    assert "transaction ids are unique: 799 rows repeat an id" in capsys.readouterr().err
    pq.write_table(table, tmp_path / "good.parquet")
    main([str(tmp_path / "good.parquet")])
    assert "ok   transaction ids are unique" in capsys.readouterr().out


def test_a_model_is_not_praised_for_what_it_was_fitted_on(
    models: Path, dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`vouch evaluate` on the training file measures the held-out part and says so; the regret is that of training."""
    from ml_server.evaluate_cli import main

    assert main(["--dataset", str(dataset), "--models-dir", str(models)]) == 0
    shown = capsys.readouterr().out
    assert "is the file that model" in shown
    assert "held-out part alone, the last 3,000 of 20,000 rows" in shown
    metrics = json.loads((models / "current" / "metadata.json").read_text())["metrics"]
    assert f"{metrics['roc_auc']:.4f}" in shown
