"""Streams: customers return with their own data, rows follow their patterns, and history is counted."""

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from contract.abuse_types import ALL_TYPES
from data_gen.language import By, SameAs, always, yes
from data_gen.language.pattern import PatternError
from data_gen.language.timeline import hour_of_week
from data_gen.language.variables import AGE_BANDS, NODES
from data_gen.network.draw import RawNumbers, draw
from data_gen.network.posterior import Posterior
from data_gen.output.plan import make_plan
from data_gen.patterns import PATTERNS
from data_gen.patterns.fake_account import HARD
from data_gen.patterns.legitimate import LEGITIMATE
from data_gen.patterns.shares import DEFAULT_RATIOS
from data_gen.stream.generator import StreamGenerator
from data_gen.stream.hash_random import HashRandom
from data_gen.stream.standalone_network import HIDDEN, standalone_network
from history.definitions import NAMES
from history.table import with_history
from testing.servers.processes import call
from tests.generator.by_hand import abuse_by_hand

SIZE, CHUNK = 40_000, 15_000


@pytest.fixture(scope="module")
def stream() -> pa.Table:
    """Return forty thousand orders in three chunks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("data_gen.stream.generator.CHUNK_ROWS", CHUNK)
        generator = StreamGenerator(make_plan(SIZE, DEFAULT_RATIOS, PATTERNS), 3)
    assert len(generator.plan.chunks) == 3
    return pa.Table.from_batches([generator(chunk) for chunk in generator.plan.chunks])


@pytest.fixture(scope="module")
def frame(stream: pa.Table) -> pd.DataFrame:
    """Return the same in pandas."""
    found: pd.DataFrame = stream.to_pandas()
    return found


def test_classes_are_exact_to_the_row(frame: pd.DataFrame) -> None:
    """A stream has exactly the requested shares, ordered by time."""
    kinds = frame["abuse_type"].value_counts().to_dict()
    assert kinds == {abuse_type: round(SIZE * DEFAULT_RATIOS[abuse_type]) for abuse_type in ALL_TYPES}
    assert frame["timestamp"].is_monotonic_increasing
    assert frame["transaction_id"].is_unique


def test_nothing_contradicts_anything(frame: pd.DataFrame) -> None:
    """An account has one opening and one mail domain, a device one kind, a token one card; ages match."""
    for of, columns in {
        "user_id": ("account_created_date", "email_domain"),
        "device_id": ("device_type",),
        "card_id": ("card_bin", "card_country", "payment_method"),
    }.items():
        for column in columns:
            assert (frame.groupby(of)[column].nunique() <= 1).all(), (of, column)
    age = (frame["timestamp"] - frame["account_created_date"]).dt.days
    assert (age == frame["account_age_days"]).all()
    assert (frame["card_id"].isna() == ~frame["payment_method"].isin(["credit_card", "debit_card"])).all()
    honest = frame[frame["abuse_type"] == "legitimate"]
    verified = honest["phone_verified"].astype(int).groupby(honest["user_id"])
    assert not (verified.diff() < 0).any(), "a phone lost its verification"


def test_the_past_is_what_the_definitions_count(stream: pa.Table) -> None:
    """The history columns equal, to the bit, what `vouch history compute` finds in the file without them."""
    plain = pa.table(
        {name: column.combine_chunks() for name, column in zip(stream.column_names, stream.columns, strict=True)}
    )
    raw = plain.drop_columns([name for name in NAMES if name in plain.column_names])
    raw = raw.set_column(raw.column_names.index("ip_address"), "ip_address", raw.column("ip_address").cast(pa.string()))
    counted = with_history(raw)
    for name in (name for name in NAMES if name in stream.column_names):
        wanted = counted.column(name).combine_chunks()
        assert stream.column(name).combine_chunks().cast(wanted.type).equals(wanted), name
        assert 0.2 < 1 - stream.column(name).null_count / SIZE <= 1


def test_rows_alone_follow_their_patterns(frame: pd.DataFrame) -> None:
    """In ten bins the observed abuse is within sampling error of the stated probability despite shared entities."""
    stated, truth = frame["abuse_confidence"].to_numpy(), frame["is_abuse"].to_numpy()
    for group in np.array_split(np.argsort(stated), 10):
        expected, variance = stated[group].sum(), (stated[group] * (1 - stated[group])).sum()
        # Orders of one customer are alike: about five of them carry as much information as one.
        assert abs(truth[group].sum() - expected) < 4.5 * np.sqrt(variance * 5) + 1


@pytest.mark.parametrize("abuse_type", ["legitimate", "account_takeover", "payment_fraud", "fake_account"])
def test_ages_and_hours_are_those_of_the_pattern(frame: pd.DataFrame, abuse_type: str) -> None:
    """The age of a row determines who returns, not the reverse: bands of age and hours keep their shares."""
    members = [pattern for pattern in PATTERNS if pattern.abuse_type == abuse_type]
    rows = frame[frame["abuse_type"] == abuse_type]
    wanted = np.sum(
        [one.share * one.nodes["account_age_days"].pmf(NODES["account_age_days"], {}) for one in members], axis=0
    )
    lows = np.array([NODES["account_age_days"].label(code) for code in range(NODES["account_age_days"].size)])
    for low, high in itertools.pairwise(AGE_BANDS):
        share = wanted[(lows >= low) & (lows < high)].sum() / wanted.sum()
        observed = rows["account_age_days"].between(low, high - 1).mean()
        # A campaign's rows share their account: at least a fifth of them count.
        assert abs(observed - share) < 5 * np.sqrt(share * (1 - share) / (len(rows) / 10)) + 1e-6
    week = members[0].week.weights
    hours = np.bincount(
        hour_of_week(rows["timestamp"].to_numpy().astype("datetime64[s]").astype(np.int64)) % 24, minlength=24
    ) / len(rows)
    by_day = week.reshape(7, 24).sum(axis=0) / week.sum()
    assert np.abs(hours - by_day).max() < 5 * np.sqrt(by_day.max() / (len(rows) / 10))


def test_everybody_comes_back(frame: pd.DataFrame) -> None:
    """Customers order again, takeovers hit customers' accounts, fakes share devices, stolen cards come in series."""
    honest, orders = frame[frame["abuse_type"] == "legitimate"], frame.groupby("user_id").size()
    assert honest.groupby("user_id").size().mean() > 3
    taken = frame[frame["abuse_type"] == "account_takeover"]
    assert taken["user_id"].isin(honest["user_id"]).mean() > 0.5
    assert taken["device_id"].isin(honest["device_id"]).mean() < 0.5
    fakes = frame[frame["abuse_type"] == "fake_account"]
    assert fakes.groupby("device_id")["user_id"].nunique().max() >= 10
    cards = frame[frame["abuse_type"] == "payment_fraud"].groupby("user_id")["card_id"].nunique()
    assert cards.max() >= 5
    assert honest.groupby("device_id")["user_id"].nunique().gt(1).any(), "no family shares a device"
    assert orders.max() < SIZE / 100


def test_a_row_alone_is_summed_by_brute_force() -> None:
    """Summing over home and device row by row gives the stated posterior to 1e-9."""
    plan = make_plan(1000, DEFAULT_RATIOS, PATTERNS)
    network = standalone_network(PATTERNS)
    posterior = Posterior(network, np.array(plan.counts) / plan.rows, plan.start, plan.end)
    numbers, pattern = RawNumbers(np.random.SeedSequence(4)), np.arange(20) % len(PATTERNS)
    times = plan.start + np.arange(20) * 191_000
    codes = draw(network, pattern, lambda name: numbers.uint16(len(pattern)))
    stated = posterior.abuse(codes, times)
    assert {node.name for node in network.nodes} >= HIDDEN
    for row in range(20):
        assert stated[row] == pytest.approx(abuse_by_hand(network, plan, codes, times, row), abs=1e-9)


def test_any_number_of_workers_gives_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`vouch generate --stream` passes all its checks and writes the same file with one worker and with two."""
    monkeypatch.setattr("data_gen.stream.generator.CHUNK_ROWS", 4000)
    files = []
    for workers, unchecked in (("1", ["--no-validate"]), ("2", [])):
        files.append(tmp_path / f"{workers}.parquet")
        options = ("--size", "20000", "--workers", workers, "--output", str(files[-1]), *unchecked)
        done = call("generate", "--stream", *options)
        assert done.returncode == 0, done.stdout + done.stderr
    assert files[0].read_bytes() == files[1].read_bytes()
    assert "card_id" in pq.read_schema(files[0]).names
    assert "takes_over=True" in (tmp_path / "2.parquet.manifest.json").read_text()


@pytest.mark.parametrize("size", [1, 2, 40])
def test_small_streams(size: int) -> None:
    """A stream of a few orders has exactly that many."""
    generator = StreamGenerator(make_plan(size, DEFAULT_RATIOS, PATTERNS, days=1), 1)
    assert sum(generator(chunk).num_rows for chunk in generator.plan.chunks) == size


@pytest.mark.parametrize(
    ("pattern", "named"),
    [
        (HARD.but("x", promo_code_used=By("orders_last_24h", {0: yes(0.5)}, default=yes(0.9))), "orders_last_24h"),
        (HARD.but("x", new_device=SameAs("phone_verified", 0.5, yes(0.5))), "new_device"),
        (LEGITIMATE.but("y", orders_last_24h=By("vpn_proxy_detected", {}, default=always(0))), "orders_last_24h"),
    ],
)
def test_patterns_unfit_for_streams_are_named(pattern: object, named: str) -> None:
    """An own pattern whose columns depend on counts of the stream is refused by name."""
    with pytest.raises(PatternError, match=named):
        standalone_network((*PATTERNS, pattern))  # type: ignore[arg-type]


def test_owners_have_numbers_of_their_own() -> None:
    """A number depends on seed, owner and purpose, and is uniform over owners."""
    owners = np.arange(100_000)
    first, other = HashRandom(1).uint16(owners, "a"), HashRandom(1).uint16(owners, "b")
    assert (first == HashRandom(1).uint16(owners, "a")).all()
    assert (first != HashRandom(2).uint16(owners, "a")).mean() > 0.99
    assert abs(np.corrcoef(first, other)[0, 1]) < 0.02
    counts = np.bincount(first >> 12, minlength=16)
    assert np.abs(counts - 6250).max() < 5 * np.sqrt(6250)


@pytest.mark.parametrize("size", [1, 2, 300])
@pytest.mark.parametrize("stream", [True, False])
def test_a_report_draws_every_column(size: int, stream: bool, tmp_path: Path) -> None:
    """`--report` accepts text columns, plain or coded, and columns without values, in files of any size."""
    arguments = ["--size", str(size), "--output", str(tmp_path / "s.csv"), "--report", str(tmp_path / "s.html")]
    done = call("generate", *arguments, "--no-validate", *(["--stream"] if stream else []))
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "s.html").read_text()
    assert ("card_id" in page) == stream
    assert "order_amount" in page
