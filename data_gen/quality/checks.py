"""Checks of a file, each with a name and an actionable finding."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from contract.abuse_types import ALL_TYPES
from contract.schema import FILE_SCHEMA, REQUIRED_COLUMNS
from data_gen.quality.summary import Summary
from history.definitions import DEFINITIONS

# With fewer rows of a type the check of its pattern is skipped, since it would be noise.
ENOUGH_ROWS = 300


@dataclass(frozen=True)
class Check:
    """One check: its name, whether it passed, and what was found."""

    name: str
    passed: bool
    finding: str


@dataclass(frozen=True)
class Characteristic:
    """A type's mean of a column is at least `factor` times that of honest orders (at most, if factor < 1)."""

    abuse_type: str
    column: str
    factor: float


CHARACTERISTICS = (
    Characteristic("fake_account", "account_age_days", 0.2),
    Characteristic("fake_account", "phone_verified", 0.8),
    Characteristic("fake_account", "accounts_on_device_30d", 1.5),
    Characteristic("fake_account", "vpn_proxy_detected", 2),
    Characteristic("account_takeover", "new_device", 1.8),
    Characteristic("account_takeover", "failed_login_attempts_24h", 2),
    Characteristic("account_takeover", "order_amount", 1.5),
    Characteristic("payment_fraud", "cvv_check_result", 3),
    Characteristic("payment_fraud", "avs_result", 2),
    Characteristic("payment_fraud", "payment_attempts_24h", 1.4),
    Characteristic("payment_fraud", "high_risk_category", 1.5),
    Characteristic("card_testing", "order_amount", 0.6),
    Characteristic("card_testing", "cvv_check_result", 3),
    Characteristic("card_testing", "payment_processor_response", 3),
    Characteristic("card_testing", "accounts_on_ip_24h", 1.4),
)

_WHOLE_PAST = {one.name for one in DEFINITIONS if one.window is None}
_NUMBERS = {field.name for field in FILE_SCHEMA if str(field.type) in ("int32", "double")}
_LOWEST = {"order_amount": 0.01, "accounts_on_device_30d": 1, "accounts_on_ip_24h": 1, "payment_attempts_24h": 1}
_HIGHEST = {"abuse_confidence": 1.0, "account_age_days": 36_500}


def validate(summary: Summary, ratios: Mapping[str, float] | None = None) -> Iterator[Check]:
    """Yield all checks that apply; `ratios` are the requested class shares, if known."""
    yield _no_nulls(summary)
    yield from _ranges(summary)
    yield Check(
        "rows are ordered in time", summary.ordered, "" if summary.ordered else "a timestamp is before the one above"
    )
    if not summary.labelled:
        return
    if ratios is not None:
        yield _class_distribution(summary, ratios)
    yield from _characteristics(summary)


def _no_nulls(summary: Summary) -> Check:
    missing = [name for name in REQUIRED_COLUMNS if name in summary.columns and summary.columns[name].nulls]
    finding = ", ".join(f"{name} has {summary.columns[name].nulls:,} empty values" for name in missing)
    return Check("no nulls in required fields", not missing, finding)


def _class_distribution(summary: Summary, ratios: Mapping[str, float]) -> Check:
    shares = dict(zip(ALL_TYPES, summary.rows_by_type[:-1] / max(summary.rows, 1), strict=True))
    # The plan is exact to the row: rounding moves a type by less than one row.
    off = [name for name in ALL_TYPES if abs(shares[name] - ratios[name]) * summary.rows >= 1]
    finding = ", ".join(f"{name} is {shares[name]:.4%} instead of {ratios[name]:.4%}" for name in off)
    return Check("class distribution", not off, finding)


def _ranges(summary: Summary) -> Iterator[Check]:
    bad = []
    for name in sorted(_NUMBERS & summary.columns.keys()):
        column = summary.columns[name]
        low, high = _LOWEST.get(name, 0), _HIGHEST.get(name, float("inf"))
        if column.present.sum() and (column.lowest < low or column.highest > high):
            bad.append(f"{name} spans {column.lowest:g} to {column.highest:g}, allowed is {low:g} to {high:g}")
    yield Check("numeric ranges", not bad, "; ".join(bad))


def _characteristics(summary: Summary) -> Iterator[Check]:
    for characteristic in CHARACTERISTICS:
        if characteristic.column not in summary.columns:
            continue
        if characteristic.column in _WHOLE_PAST and summary.columns[characteristic.column].nulls:
            continue  # history has these values for new accounts only, which differ less
        rows = [
            summary.columns[characteristic.column].present[ALL_TYPES.index(name)]
            for name in (characteristic.abuse_type, "legitimate")
        ]
        if min(rows) < ENOUGH_ROWS:
            continue
        abuse, honest = (
            summary.mean(characteristic.column, characteristic.abuse_type),
            summary.mean(characteristic.column, "legitimate"),
        )
        passed = (
            abuse > honest * characteristic.factor
            if characteristic.factor > 1
            else abuse < honest * characteristic.factor
        )
        side = "more than" if characteristic.factor > 1 else "less than"
        relation = f"{abuse:.3g} against {honest:.3g} of honest orders, expected {side}"
        yield Check(
            f"pattern of {characteristic.abuse_type}: {characteristic.column}",
            passed,
            f"{relation} {characteristic.factor:g} times",
        )


STATISTICS = (
    "order_amount",
    "account_age_days",
    "phone_verified",
    "new_device",
    "vpn_proxy_detected",
    "failed_login_attempts_24h",
    "high_risk_category",
    "abuse_confidence",
)


def statistics(summary: Summary) -> Iterator[str]:
    """Yield a table of means by abuse type, as lines of text."""
    names = [name for name in STATISTICS if name in summary.columns]
    yield f"{'mean by abuse type':27}{'rows':>9}" + "".join(f"{name[:14]:>16}" for name in names)
    for type_code, abuse_type in enumerate(ALL_TYPES):
        if rows := int(summary.rows_by_type[type_code]):
            yield f"{abuse_type:27}{rows:9,}" + "".join(f"{summary.mean(name, abuse_type):16.3f}" for name in names)
