"""`--report`: a self-contained HTML page about a dataset."""

from collections.abc import Sequence
from pathlib import Path

import jinja2
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from contract.abuse_types import ALL_TYPES
from contract.fields import LABELS
from data_gen.arrow import texts
from data_gen.quality.audit import ZONE, Audit
from data_gen.quality.charts import colour_of, grouped_bars, grouped_lines, histogram, shares_bar
from data_gen.quality.checks import Check
from data_gen.quality.sample import Sample
from data_gen.quality.summary import Summary
from runtime.process.files import atomic_write

_BINS, _MAX_NAMES, _SAMPLE_ROWS, _STRONGEST = 28, 8, 12, 8


def write_report(
    path: Path, name: str, seed: int, summary: Summary, sample: Sample, audited: Audit | None, checks: Sequence[Check]
) -> None:
    """Write the page; raise OutputError if it cannot be written."""
    page = _page(name, seed, summary, sample, audited, checks)
    with atomic_write(path) as partial:
        partial.write_text(page, encoding="utf-8")


def _page(
    name: str, seed: int, summary: Summary, sample: Sample, audited: Audit | None, checks: Sequence[Check]
) -> str:
    shares = [
        (abuse_type, int(rows) / summary.rows)
        for abuse_type, rows in zip(ALL_TYPES, summary.rows_by_type, strict=False)
        if rows
    ]
    confidence = sample.column("abuse_confidence").to_numpy()
    legitimacy, _ = np.histogram(1 - confidence, bins=50, range=(0, 1))
    template = jinja2.Environment(loader=jinja2.PackageLoader("data_gen.quality", "."), autoescape=True)
    return template.get_template("report.html.j2").render(
        name=name,
        seed=seed,
        rows=summary.rows,
        sample_rows=sample.rows,
        mix=shares_bar(shares),
        legend=[(colour_of(ALL_TYPES.index(kind)), kind.replace("_", " ")) for kind, _ in shares],
        audit=_audit(audited) if audited else [],
        legitimacy=histogram((legitimacy / max(legitimacy.sum(), 1)).tolist(), ZONE),
        cards=[_card(column, sample, audited) for column in sample.columns if column not in LABELS],
        checks=checks,
        columns=sample.columns,
        orders=_orders(sample),
    )


def _audit(audited: Audit) -> list[tuple[str, float]]:
    strongest = sorted(audited.column_auc.items(), key=lambda item: -item[1])[:_STRONGEST]
    figures = [
        ("limit: AUC of the exact probability", audited.limit_auc),
        ("share in the review zone", audited.review_zone_share),
        (f"best tree of depth 2 ({', '.join(audited.tree_columns)})", audited.tree_auc),
        *((f"AUC of {name} alone", value) for name, value in strongest),
    ]
    return [(name, value) for name, value in figures if value is not None]


def _groups(sample: Sample) -> NDArray[np.int64]:
    codes = pc.index_in(sample.column("abuse_type").cast(pa.string()), value_set=texts(ALL_TYPES))
    result: NDArray[np.int64] = codes.combine_chunks().to_numpy(zero_copy_only=False).astype(np.int64)
    return result


def _card(name: str, sample: Sample, audited: Audit | None) -> tuple[str, float | None, str]:
    """Return a column's name, its AUC if it has one, and its chart."""
    column, groups = sample.column(name).combine_chunks(), _groups(sample)
    present = [group for group in range(len(ALL_TYPES)) if (groups == group).any()]
    kind = column.type
    is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_timestamp(kind)
    # A text column may be plain or dictionary-encoded; a column without values has no numbers to draw.
    picture = (_outlines if is_number and column.null_count < len(column) else _bars)(column, groups, present)
    return name, audited.column_auc.get(name) if audited else None, picture


def _bars(column: pa.Array, groups: NDArray[np.int64], present: Sequence[int]) -> str:
    coded = column if pa.types.is_dictionary(column.type) else column.cast(pa.string()).dictionary_encode()
    names = [str(value) for value in coded.dictionary.to_pylist()] + ["(none)"]
    codes = pc.fill_null(coded.indices, len(names) - 1).to_numpy(zero_copy_only=False).astype(np.int64)
    rows = np.bincount(codes, minlength=len(names))
    common = [int(code) for code in np.argsort(-rows)[:_MAX_NAMES] if rows[code]]
    series = []
    for group in present:
        own = np.bincount(codes[groups == group], minlength=len(names))
        series.append((ALL_TYPES[group], (own / own.sum())[common].tolist()))
    return grouped_bars(series, [names[code] for code in common])


def _outlines(column: pa.Array, groups: NDArray[np.int64], present: Sequence[int]) -> str:
    is_time = pa.types.is_timestamp(column.type)
    values = (column.cast(pa.int64()) if is_time else column).to_numpy(zero_copy_only=False).astype(np.float64)
    low, high = np.nanpercentile(values, [0, 99])
    if is_time:
        edges = np.linspace(low, np.nanmax(values), _BINS + 1)
    elif high - low <= _BINS:
        edges = np.arange(low, high + 2)
    elif low >= 0 and high > 50 * max(np.nanmedian(values), 1):
        edges = np.geomspace(max(low, 1), high, _BINS + 1)
    else:
        edges = np.linspace(low, high, _BINS + 1)
    series = []
    for group in present:
        own, _ = np.histogram(np.clip(values[groups == group], edges[0], edges[-1]), bins=edges)
        series.append((ALL_TYPES[group], (own / max(own.sum(), 1)).tolist()))
    shown = (
        [np.datetime_as_string(np.datetime64(int(e), "s"), unit="D") for e in edges]
        if is_time
        else [f"{max(e, 0):.4g}" for e in edges]
    )
    return grouped_lines(series, [str(label) for label in shown[:-1]])


def _orders(sample: Sample) -> list[list[str]]:
    """Return some rows at regular steps, as texts."""
    step = max(1, sample.rows // _SAMPLE_ROWS)
    picked = range(0, sample.rows, step)[:_SAMPLE_ROWS]
    values = [[sample.column(name)[row].as_py() for name in sample.columns] for row in picked]
    return [["" if value is None else str(value) for value in row] for row in values]
