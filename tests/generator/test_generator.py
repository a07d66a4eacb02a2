"""The generator: exact counts, reproducible bytes, checks that can fail, and errors that name the cause."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from disposable_email_domains import blocklist
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.abuse_types import ALL_TYPES
from contract.fields import FIELDS, LABELS, POLICY_ONLY, PSEUDONYMS
from contract.schema import FILE_SCHEMA, REQUIRED_COLUMNS
from data_gen.language.distributions import By, Choice, Geometric, LogNormal, Mix, Poisson, SameAs, Uniform, always, yes
from data_gen.language.domains import Bins, Categories, counts
from data_gen.language.pattern import PatternError
from data_gen.language.vocabulary import DISPOSABLE_MAIL
from data_gen.network.compile import QUANTA, Network, quantise
from data_gen.output.generator import RowGenerator, batches
from data_gen.output.plan import make_plan, pattern_counts
from data_gen.patterns import PATTERNS
from data_gen.patterns.legitimate import LEGITIMATE
from data_gen.patterns.shares import DEFAULT_RATIOS
from data_gen.quality.checks import validate
from data_gen.quality.summary import Summary
from testing.servers.processes import call, run


def make(size: int, seed: int = 42) -> pa.Table:
    """Return a table of `size` rows."""
    plan = make_plan(size, DEFAULT_RATIOS, PATTERNS)
    return pa.Table.from_batches(list(batches(RowGenerator(plan, seed), plan)))


@pytest.fixture(scope="module")
def rows() -> pa.Table:
    """Return thirty thousand rows."""
    return make(30_000)


def test_columns_are_those_of_the_contract(rows: pa.Table) -> None:
    """The file has every field of Transaction but tokens, pseudonyms and derived flags, and the labels: 48 columns."""
    assert set(rows.column_names) == {*FIELDS, *LABELS} - {"card_id", "exchange_rate", *PSEUDONYMS, *POLICY_ONLY}
    assert len(rows.column_names) == 48


def test_classes_are_exact_to_the_row(rows: pa.Table) -> None:
    """Families have exactly the requested shares."""
    kinds = rows.column("abuse_type").to_pandas().value_counts().to_dict()
    assert kinds == {abuse_type: round(30_000 * share) for abuse_type, share in DEFAULT_RATIOS.items()}


@given(
    st.integers(1, 5000),
    st.lists(st.integers(0, 20), min_size=len(ALL_TYPES), max_size=len(ALL_TYPES)).filter(lambda parts: sum(parts) > 0),
)
@settings(max_examples=60, deadline=None)
def test_counts_always_add_up(size: int, parts: list[int]) -> None:
    """For any size and mix the rows add up and no type is off by a whole row."""
    ratios = {abuse_type: part / sum(parts) for abuse_type, part in zip(ALL_TYPES, parts, strict=True)}
    found = pattern_counts(size, ratios, PATTERNS)
    assert sum(found) == size
    for abuse_type in ALL_TYPES:
        members = sum(count for count, pattern in zip(found, PATTERNS, strict=True) if pattern.abuse_type == abuse_type)
        assert abs(members - size * ratios[abuse_type]) < 1


def test_identifiers_are_unique_and_rows_ordered(rows: pa.Table) -> None:
    """Transaction ids are unique, and times never decrease."""
    assert len(set(rows.column("transaction_id").to_pylist())) == rows.num_rows
    times = rows.column("timestamp").cast(pa.int64()).to_numpy()
    assert (np.diff(times) >= 0).all()


def test_a_seed_decides_every_byte() -> None:
    """The same seed gives the same rows, another seed others."""
    first = make(2000)
    assert first.equals(make(2000))
    assert not first.equals(make(2000, seed=43))


def test_rows_are_consistent(rows: pa.Table) -> None:
    """Fields that depend on one another agree in every row."""
    frame = rows.to_pandas()
    assert (frame.orders_last_7d >= frame.orders_last_24h).all()
    assert (frame.total_orders_lifetime >= frame.orders_last_7d).all()
    assert (frame.days_since_account_first_purchase <= frame.account_age_days).all()
    assert ((frame.avg_order_value > 0) == (frame.total_orders_lifetime > 0)).all()
    assert not (frame.billing_shipping_match & (frame.billing_country != frame.shipping_country)).any()
    by_card = frame.payment_method.isin(["credit_card", "debit_card"])
    for column in ("card_bin", "card_country", "avs_result", "three_ds_result"):
        assert (frame[column].notna() == by_card).all(), column
    opened = (frame.timestamp - frame.account_created_date).dt.days
    assert (opened == frame.account_age_days).all()


def test_disposable_domains_are_on_the_list() -> None:
    """Disposable domains come from the list, except the two documented ones."""
    assert set(DISPOSABLE_MAIL) - set(blocklist) <= {"tempmail.net", "throwaway.email"}


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30).filter(lambda parts: sum(parts) > 1e-3))
def test_quantising_keeps_all_quanta(parts: list[float]) -> None:
    """Quantised probabilities always sum to the whole and are off by less than one quantum."""
    exact = np.array(parts) / sum(parts)
    shares = quantise(exact)
    assert shares.sum() == QUANTA
    assert np.abs(shares - exact * QUANTA).max() < 1


@pytest.mark.parametrize(
    "distribution",
    [
        LogNormal(30, 1.0),
        Geometric(2),
        Poisson(3),
        Uniform(2, 9),
        Mix(0.3, Geometric(1), Poisson(5)),
    ],
)
def test_distributions_sum_to_one(distribution: object) -> None:
    """Every number distribution has all its mass in the bins, tails included."""
    assert distribution.pmf(counts(12), {}).sum() == pytest.approx(1)  # type: ignore[attr-defined]


def test_conditions_choose_the_branch() -> None:
    """By and SameAs read the value of their variable."""
    colours = Categories(("red", "blue"))
    branch = By("dark", {True: always("blue")}, default=always("red"))
    assert branch.pmf(colours, {"dark": True}).tolist() == [0, 1]
    assert branch.pmf(colours, {"dark": False}).tolist() == [1, 0]
    same = SameAs("other", 0.75, Choice({"red": 0.5, "blue": 0.5}))
    assert same.pmf(colours, {"other": "red"}).tolist() == [0.875, 0.125]


@pytest.mark.parametrize(
    ("nodes", "words"),
    [
        ({"phone_verified": Choice({True: 0.5, False: 0.4})}, "node phone_verified: probabilities"),
        ({"no_such": yes(0.5)}, "node no_such: there is no such column"),
        ({"new_device": By("no_such", {True: yes(0.1)})}, "node new_device: there is no variable 'no_such'"),
        (
            {"new_device": By("high_risk_category", {True: yes(0.1), False: yes(0.2)}),
             "high_risk_category": By("new_device", {True: yes(0.1), False: yes(0.2)})},
            "dependency cycle",
        ),
        ({"order_amount": LogNormal(-1, 0.5)}, "node order_amount"),
        ({"device_type": always("fridge")}, "node device_type: 'fridge'"),
    ],
)  # fmt: skip
def test_wrong_declarations_name_the_node(nodes: dict[str, object], words: str) -> None:
    """An invalid declaration is refused with the node's name."""
    with pytest.raises(PatternError, match=words.replace("(", "\\(")):
        Network([LEGITIMATE.but("wrong", **nodes)])  # type: ignore[arg-type]


def test_a_good_file_passes_all_checks(rows: pa.Table) -> None:
    """The generator's own rows pass every check, and the pattern checks ran."""
    found = list(validate(summary_of(rows), DEFAULT_RATIOS))
    assert [check.name for check in found if not check.passed] == []
    assert sum(check.name.startswith("pattern of") for check in found) >= 10


def summary_of(table: pa.Table) -> Summary:
    """Return a table's summary."""
    summary = Summary()
    for batch in table.to_batches():
        summary.add(batch)
    return summary


@pytest.mark.parametrize(
    ("column", "spoil", "check"),
    [
        ("user_id", lambda column: [None, *column[1:]], "no nulls in required fields"),
        ("order_amount", lambda column: [-1.0, *column[1:]], "numeric ranges"),
        ("timestamp", lambda column: column[::-1], "rows are ordered in time"),
        ("abuse_type", lambda column: ["legitimate"] * len(column), "class distribution"),
        ("new_device", lambda column: [False] * len(column), "pattern of account_takeover: new_device"),
    ],
)
def test_each_check_can_fail(rows: pa.Table, column: str, spoil: object, check: str) -> None:
    """A spoiled column fails its check, by name."""
    place = rows.column_names.index(column)
    values = spoil(rows.column(column).to_pylist())  # type: ignore[operator]
    field = pa.field(column, rows.schema.field(column).type)
    spoiled = rows.set_column(place, field, pa.array(values, field.type))
    failed = [each.name for each in validate(summary_of(spoiled), DEFAULT_RATIOS) if not each.passed]
    assert check in failed


def test_parquet_and_csv_say_the_same(tmp_path: Path) -> None:
    """Both formats have the same rows, as read by the one reader."""
    from contract.tables import read_table

    for name in ("a.csv", "a.parquet", "a.csv.gz", "a.csv.zst"):
        done = call("generate", "--size", "500", "--no-validate", "--output", str(tmp_path / name))
        assert done.returncode == 0, done.stderr
    frames = [read_table(tmp_path / name).to_pandas() for name in ("a.csv", "a.parquet", "a.csv.gz", "a.csv.zst")]
    for frame in frames[1:]:
        assert frames[0].equals(frame[frames[0].columns])
    assert pq.read_schema(tmp_path / "a.parquet").names == list(FILE_SCHEMA.names)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--size", "0"], "size must be at least 1"),
        (["--size", "-5"], "size must be at least 1"),
        (["--fake-account-ratio", "0.5"], "ratios must sum to 1"),
        (["--fake-account-ratio", "-0.1"], "ratio of fake_account"),
        (["--output", "orders.xlsx"], "the name must end in"),
        (["--output", "no/such/folder/orders.csv"], "does not exist"),
        (["--seed", "-1"], "seed must be 0 or more"),
    ],
)
def test_bad_arguments_are_clear_errors(tmp_path: Path, arguments: list[str], words: str) -> None:
    """A bad argument is exit code 2, one line of error, and no file."""
    done = run("-m", "data_gen", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert words in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_default_name_holds_the_size(tmp_path: Path) -> None:
    """Without --output the file is abuse_dataset_<size>.csv, and required columns have no empty cell."""
    done = run("-m", "data_gen", "--size", "700", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    from contract.tables import read_table

    table = read_table(tmp_path / "abuse_dataset_700.csv")
    assert all(table.column(name).null_count == 0 for name in REQUIRED_COLUMNS)


def test_bins_find_their_values() -> None:
    """A value is in the bin whose edges enclose it; one outside is an error."""
    bins = Bins((0, 1, 5, 10))
    assert [bins.code(value) for value in (0, 1, 4, 9)] == [0, 1, 1, 2]
    with pytest.raises(ValueError, match="outside"):
        bins.code(10)
