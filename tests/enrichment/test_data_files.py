"""Data files: what is derived from addresses and cards, the same for tables, and the errors of damaged files."""

from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from enrichment.cards import CardBins
from enrichment.derive import DERIVED, FILES, DataFiles, load_data_files
from enrichment.errors import DataFileError
from enrichment.network import NetworkDatabase, derive_anonymity, derive_country, public_address
from enrichment.table import derive_columns
from testing.inputs.data_files import ANONYMITY, COUNTRIES, FRENCH, GERMAN, HOSTING, VPN, card_bins, mmdb


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return one file of each kind, by its variable."""
    folder = tmp_path_factory.mktemp("data-files")
    made = (
        mmdb(folder / "countries.mmdb", COUNTRIES),
        mmdb(folder / "anonymity.mmdb", ANONYMITY),
        card_bins(folder / "bins.csv"),
    )
    return dict(zip(FILES, made, strict=True))


@pytest.fixture(scope="module")
def files(paths: dict[str, Path]) -> DataFiles:
    """Return the files, read."""
    return load_data_files(paths, Path.read_bytes)


@pytest.mark.parametrize(
    ("address", "country"),
    [
        (GERMAN, "DE"), (FRENCH, "FR"), (f"::ffff:{GERMAN}", "DE"), ("1.2.3.4", "AU"), ("1.2.4.4", "NZ"), ("81.7.3.0", "DE"),
        ("1.2.5.4", None), ("9.9.9.9", None), ("10.1.2.3", None), ("127.0.0.1", None), ("169.254.1.1", None), ("::1", None),
        ("fe80::1", None), ("fd00::1", None), ("81.7.xxx.xxx", None), ("224.0.0.1", None), ("999.1.1.1", None), ("", None),
    ],
)  # fmt: skip
def test_countries(files: DataFiles, address: str, country: str | None) -> None:
    """A full public address has the country of its record, in each vendor's form; a private or masked one has none."""
    assert files.countries is not None
    assert derive_country(files.countries, address) == country


@pytest.mark.parametrize(
    ("address", "vpn", "hosting"),
    [
        (VPN, True, None), (HOSTING, False, True), ("5.9.3.1", True, False), (GERMAN, False, None), (FRENCH, False, None),
        ("5.9.1.0", None, None), ("10.0.0.1", None, None), ("5.9.x.x", None, None),
    ],
)  # fmt: skip
def test_anonymity(files: DataFiles, address: str, vpn: bool | None, hosting: bool | None) -> None:
    """A listed address is a VPN or hosted as its record says, one that is not listed is no VPN."""
    assert files.anonymity is not None
    found = derive_anonymity(files.anonymity, address)
    assert (found.get("vpn_proxy_detected"), found.get("hosting_ip_detected")) == (vpn, hosting)


def test_a_database_of_ipv4(tmp_path: Path) -> None:
    """A database without IPv6 knows nothing of IPv6, which is no error."""
    database = NetworkDatabase(mmdb(tmp_path / "4.mmdb", COUNTRIES, 4).read_bytes())
    assert (derive_country(database, GERMAN), derive_country(database, FRENCH)) == ("DE", None)


def test_cards() -> None:
    """A BIN has the country of its rows, longer ones by their first six digits; contradictions are unknown."""
    cards = CardBins(
        b"\xef\xbb\xbfBIN,brand,alpha_2\n424242,visa,us\n45391234,visa,DE\n453912,,DE\n5,,\n601100,,US\n60110012,,CA\n"
    )
    assert [cards.country(one) for one in ("424242", "453912", "601100", "999999")] == ["US", "DE", None, None]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"bin;country\n424242;US\n", "needs the columns bin and country"),
        (b"bin,country\n424242,US\n42,DE\n", "row 2: expected a bin of 6 to 8 digits and a country of two letters"),
        (b"bin,country\n424242,United States\n", "row 1: expected"),
        (b"\xff\xfe", "is not a CSV file in UTF-8"),
    ],
)
def test_damaged_tables_of_cards(content: bytes, problem: str) -> None:
    """The error says what is wrong, and in which row."""
    with pytest.raises(DataFileError, match=problem):
        CardBins(content)


def test_damaged_databases(paths: dict[str, Path]) -> None:
    """A file that is empty, cut or no database is an error that names the variable and the file."""
    variable, path = next(iter(paths.items()))
    content = path.read_bytes()
    for damaged in (b"", b"no database", content[: len(content) // 2], content[:-200], content[200:]):
        with pytest.raises(
            DataFileError, match=rf"{variable}: .*countries.mmdb is not a valid MMDB file; download it again"
        ):
            load_data_files({variable: path}, {path: damaged}.__getitem__)
    with pytest.raises(DataFileError, match=r"VOUCH_CARD_BINS: .*nowhere cannot be read: No such file"):
        load_data_files({"VOUCH_CARD_BINS": Path("nowhere")}, Path.read_bytes)


@given(st.data())
def test_flipped_bytes(paths: dict[str, Path], data: st.DataObject) -> None:
    """A database with wrong bytes is refused, or gives answers of the right form: no lookup fails."""
    content = bytearray(next(iter(paths.values())).read_bytes())
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=20)):
        content[place] = data.draw(st.integers(0, 255))
    try:
        database = NetworkDatabase(bytes(content))
    except DataFileError:
        return
    for address in (GERMAN, FRENCH, VPN, "1.2.3.4"):
        country = derive_country(database, address)
        assert country is None or (len(country) == 2 and country.isupper())
        assert all(isinstance(value, bool) for value in derive_anonymity(database, address).values())


@given(
    st.lists(
        st.sampled_from([GERMAN, FRENCH, VPN, HOSTING, "81.7.x.x", "10.0.0.1", "", None, "424242", "curl/8"]),
        max_size=30,
    )
)
def test_tables_and_orders_agree(files: DataFiles, texts: list[str | None]) -> None:
    """Each cell of a table gets what an order with the same text gets, also in a table of several chunks."""
    half = len(texts) // 2
    column = pa.chunked_array([texts[:half], texts[half:]], pa.string())
    columns = derive_columns(pa.table(dict.fromkeys(DERIVED, column)), files)
    for field, names in DERIVED.items():
        for name in names:
            one_by_one = [files.derive(field, text).get(name) if text else None for text in texts]
            expected = [None if one is None else one.value for one in one_by_one]
            assert (columns[name].to_pylist() if name in columns else [None] * len(texts)) == expected


def test_only_the_public_internet() -> None:
    """Addresses of private and reserved networks are not public."""
    for text in (
        "0.1.2.3",
        "100.64.0.1",
        "192.168.1.1",
        "172.20.0.1",
        "255.255.255.255",
        "ff02::1",
        "::",
        "::ffff:10.0.0.1",
    ):
        assert public_address(text) is None
