"""Dataset files: reproducible bytes, complete or absent, audited, described, and extensible by own patterns."""

import functools
import json
import os
import resource
import signal
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pytest

from contract.tables import read_table
from data_gen.output.generator import RowGenerator, batches
from data_gen.output.manifest import manifest_path
from data_gen.output.plan import make_plan
from data_gen.output.workers import write_dataset
from data_gen.patterns import PATTERNS
from data_gen.patterns.shares import DEFAULT_RATIOS
from data_gen.quality.audit import auc, audit, difficulty
from data_gen.quality.sample import Sample
from runtime.process.files import sha256
from testing.servers.launching import launch
from testing.servers.processes import PYTHON, call, run
from testing.waiting import wait_for

SIZE = 70_000  # two chunks
GOLDEN = "82987effa25861442eaed68369cf2d68e7cd3373a2dfb1d6b22ac18044864506"
SMALL_SIZE, SMALL_CHUNK = 1200, 210  # six chunks


def test_the_bytes_are_pinned(tmp_path: Path) -> None:
    """A file of more than one chunk, made by two workers, has the same bytes as in earlier versions."""
    plan = make_plan(SIZE, DEFAULT_RATIOS, PATTERNS)
    assert len(plan.chunks) == 2
    write_dataset(RowGenerator(plan, 42), plan, tmp_path / "rows.csv", 2)
    assert sha256(tmp_path / "rows.csv") == GOLDEN
    assert read_table(tmp_path / "rows.csv").num_rows == SIZE


def test_workers_do_not_change_the_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second run, two and five workers for CSV, and three workers for every other format, give the same file."""
    monkeypatch.setattr("data_gen.output.plan.CHUNK_ROWS", SMALL_CHUNK)
    plan = make_plan(SMALL_SIZE, DEFAULT_RATIOS, PATTERNS)
    assert len(plan.chunks) == 6
    generator, digests = RowGenerator(plan, 42), dict[str, set[str]]()
    for ending in ("csv", "parquet", "csv.gz", "csv.zst"):
        for workers in (1, 1, 2, 5) if ending == "csv" else (1, 1, 3):
            path = tmp_path / f"rows.{ending}"
            write_dataset(generator, plan, path, workers)
            digests.setdefault(ending, set()).add(sha256(path))
    assert all(len(digests_of_format) == 1 for digests_of_format in digests.values())
    assert read_table(tmp_path / "rows.csv.gz").equals(read_table(tmp_path / "rows.csv.zst"))
    assert read_table(tmp_path / "rows.csv").num_rows == SMALL_SIZE


def test_a_million_rows_are_calibrated() -> None:
    """Over 1M rows the abuse in 50 bins matches the stated probabilities: chi-square p > 0.001."""
    from scipy.stats import chi2

    plan = make_plan(1_000_000, DEFAULT_RATIOS, PATTERNS)
    stated, truth = [], []
    for batch in batches(RowGenerator(plan, 11), plan):
        stated.append(batch.column("abuse_confidence").to_numpy())
        truth.append(batch.column("is_abuse").to_numpy(zero_copy_only=False))
    confidence, label = np.concatenate(stated), np.concatenate(truth)
    statistic = 0.0
    for group in np.array_split(np.argsort(confidence, kind="stable"), 50):
        variance = (confidence[group] * (1 - confidence[group])).sum()
        statistic += (label[group].sum() - confidence[group].sum()) ** 2 / max(variance, 1e-3)
    assert chi2.sf(statistic, 50) > 0.001


def test_the_manifest_says_what_made_the_file(tmp_path: Path) -> None:
    """The manifest has seed, arguments, pattern digest, counts, audit, and the digest of the file's bytes."""
    path = tmp_path / "orders.parquet"
    done = call("generate", "--size", "8000", "--output", str(path), "--days", "30", "--end-date", "2024-06-01")
    assert done.returncode == 0, done.stderr
    manifest = json.loads(manifest_path(path).read_text())
    assert manifest["sha256"] == sha256(path)
    assert manifest["rows"] == sum(manifest["counts"].values()) == 8000
    assert (manifest["seed"], manifest["arguments"]["end_date"]) == (42, "2024-06-01")
    assert 0.94 <= manifest["audit"]["limit_auc"] <= 0.98
    times = read_table(path).column("timestamp").to_pylist()
    assert str(times[0]) >= "2024-05-02"
    assert str(times[-1]) < "2024-06-01"


@functools.cache
def _batch() -> pa.RecordBatch:
    plan = make_plan(20_000, DEFAULT_RATIOS, PATTERNS)
    return next(iter(batches(RowGenerator(plan, 1), plan)))


def _sample(**replaced: object) -> Sample:
    batch, sample = _batch(), Sample()
    sample.add(batch, 1)
    truth = batch.column("is_abuse").to_numpy(zero_copy_only=False)
    for name, make in replaced.items():
        sample.columns[name] = [pa.array(make(truth))]  # type: ignore[operator]
    return sample


def test_default_data_passes_the_audit() -> None:
    """The default mix is within all four limits."""
    found = audit(_sample())
    assert found is not None
    assert [check.name for check in difficulty(found, DEFAULT_RATIOS) if not check.passed] == []


@pytest.mark.parametrize(
    ("replaced", "failed", "named"),
    [
        ({"cards_used_30d": lambda truth: truth * 3 + 1.0}, "no single column reveals the label", "cards_used_30d"),
        ({"cards_used_30d": lambda truth: truth * 3 + 1.0}, "no depth-2 tree reveals the label", "cards_used_30d"),
        ({"abuse_confidence": lambda truth: truth * 1.0}, "limit: AUC of abuse_confidence", "1.0000"),
        (
            {"abuse_confidence": lambda truth: truth * 0.0 + 0.5},
            "share of abuse_confidence in the review zone",
            "1.0000",
        ),
    ],
)
def test_easy_data_is_refused(replaced: dict[str, object], failed: str, named: str) -> None:
    """Data that reveals the label fails the audit, and the column is named."""
    found = audit(_sample(**replaced))
    assert found is not None
    checks = {check.name: check for check in difficulty(found, DEFAULT_RATIOS)}
    assert not checks[failed].passed
    assert named in checks[failed].finding


def test_auc_is_that_of_scikit_learn() -> None:
    """Our area under the curve equals scikit-learn's, ties included."""
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(0)
    truth, score = rng.random(500) < 0.3, rng.integers(0, 20, 500).astype(np.float64)
    assert auc(score, truth) == pytest.approx(roc_auc_score(truth, score))


def test_validate_reads_foreign_files(dataset: Path, tmp_path: Path) -> None:
    """`vouch validate` accepts files without labels and without the newer columns, and fails too easy ones by name."""
    table = read_table(dataset).slice(0, 6000)
    plain = table.drop_columns(["is_abuse", "abuse_type", "abuse_confidence", "difficulty_tier", "promo_code_used"])
    pa_csv.write_csv(plain, tmp_path / "plain.csv")
    done = call("validate", str(tmp_path / "plain.csv"))
    assert (done.returncode, "ok   numeric ranges" in done.stdout) == (0, True), done.stderr
    place = table.column_names.index("cards_used_30d")
    easy = table.set_column(place, "cards_used_30d", table.column("is_abuse").cast(pa.uint8()).cast(pa.float64()))
    pa_csv.write_csv(easy, tmp_path / "easy.csv")
    done = call("validate", str(tmp_path / "easy.csv"))
    assert done.returncode == 1
    assert "cards_used_30d has AUC 1.000" in done.stderr
    done = call("validate", str(tmp_path / "none.csv"))
    assert (done.returncode, "there is no such file" in done.stderr) == (2, True)


OWN = """
from data_gen.language import yes
from data_gen.patterns.fake_account import HARD

PATTERNS = (HARD.but("coupon_ring", share=1.0, promo_code_used=yes({probability})),)
"""


def test_own_patterns_are_added(tmp_path: Path) -> None:
    """A file with PATTERNS adds a pattern to its type, and the manifest counts its rows."""
    (tmp_path / "mine.py").write_text(OWN.format(probability="0.99"))
    arguments = ["--size", "4000", "--output", str(tmp_path / "rows.csv"), "--patterns", str(tmp_path / "mine.py")]
    done = call("generate", *arguments)
    assert done.returncode == 0, done.stderr
    manifest = json.loads((tmp_path / "rows.csv.manifest.json").read_text())
    assert manifest["counts"]["coupon_ring"] == 200


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (OWN.format(probability="1.5"), "pattern coupon_ring, node promo_code_used: probabilities"),
        ("PATTERNS = 3", "it must define PATTERNS"),
        ("import no_such_module", "ModuleNotFoundError"),
        ("PATTERNS = (", "SyntaxError"),
    ],
)
def test_wrong_patterns_are_named(tmp_path: Path, text: str, words: str) -> None:
    """A wrong patterns file is exit code 2 with the node or the file named, and nothing is written."""
    (tmp_path / "mine.py").write_text(text)
    arguments = ["--size", "100", "--output", str(tmp_path / "rows.csv"), "--patterns", str(tmp_path / "mine.py")]
    done = call("generate", *arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert {path.name for path in tmp_path.iterdir()} <= {"mine.py", "__pycache__"}


def test_the_report_is_one_complete_page(tmp_path: Path) -> None:
    """The report has class mix, audit, every column and sample rows, and loads nothing."""
    page = tmp_path / "report.html"
    arguments = ["--size", "6000", "--output", str(tmp_path / "rows.csv"), "--report", str(page)]
    done = call("generate", *arguments)
    assert done.returncode == 0, done.stderr
    text = page.read_text()
    for words in ("Class mix", "limit: AUC", "review zone", "email_domain", "Sample rows", "<svg"):
        assert words in text
    assert "http" not in text.replace("http://www.w3.org", "")
    assert "<script" not in text
    assert text.count("<svg") > 40


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_stopped_run_leaves_no_half_file(tmp_path: Path, number: signal.Signals) -> None:
    """After any signal no file has the final name; after one that can be handled, no file is left at all."""
    folder, log = tmp_path / "files", tmp_path / "log"
    folder.mkdir()
    options = ["--size", "10000000", "--workers", "2", "--output", str(folder / "x.parquet")]
    with log.open("wb") as errors:
        process = launch([PYTHON, "vouch.py", "generate", *options], stderr=errors.fileno())
    try:
        # The first of many chunks is there: most of the work is still to do.
        wait_for(lambda: any(file.stat().st_size > 1 << 20 for file in folder.iterdir()), what="half a file")
        process.send_signal(number)
        code = process.wait(60)
    finally:
        process.kill()
    assert code == (130 if number != signal.SIGKILL else -signal.SIGKILL), log.read_text()
    assert not (folder / "x.parquet").exists()
    if number != signal.SIGKILL:
        assert list(folder.iterdir()) == []


def test_a_full_disk_is_a_clear_error(tmp_path: Path) -> None:
    """If the disk is full, exit code 2 with file and cause, and nothing is left."""
    output, (soft, hard) = tmp_path / "x.csv", resource.getrlimit(resource.RLIMIT_FSIZE)
    assert signal.getsignal(signal.SIGXFSZ) == signal.SIG_IGN  # as in every Python program
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
    try:
        done = call("generate", "--size", "8000", "--output", str(output))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert done.returncode == 2, done.stderr
    assert str(output) in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_unwritable_folder_is_a_clear_error(tmp_path: Path) -> None:
    """A folder that cannot be written to is exit code 2 with its name."""
    tmp_path.chmod(0o500)
    done = call("generate", "--size", "100", "--output", str(tmp_path / "x.csv"))
    tmp_path.chmod(0o700)
    assert (done.returncode, str(tmp_path) in done.stderr) == (2, True)


def test_time_does_not_matter(tmp_path: Path) -> None:
    """Two runs of the program at different moments give the same file and the same manifest."""
    contents = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        done = run("-m", "data_gen", "--size", "300", "--no-validate", "--output", str(tmp_path / name / "x.csv"))
        assert done.returncode == 0
        contents.append([path.read_bytes() for path in sorted((tmp_path / name).iterdir())])
        if name == "a":
            time.sleep(1.1)  # the second run begins in another second
    assert contents[0] == contents[1]
