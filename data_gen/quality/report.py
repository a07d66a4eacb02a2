"""`--report`: one page about a dataset, complete in itself."""

from collections.abc import Sequence
from html import escape
from pathlib import Path

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
from runtime.process.files import complete_or_nothing

_BINS, _MOST_NAMES, _SAMPLE_ROWS = 28, 8, 12
_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;color:#223;background:#fafafc;margin:0}
main{max-width:960px;margin:0 auto;padding:32px 20px}
h1{font-size:26px;margin:0 0 4px}
h2{font-size:18px;margin:36px 0 10px}
p{margin:4px 0 12px;color:#556}
.grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(300px,1fr));gap:16px}
.card{background:#fff;border:1px solid #e4e4ee;border-radius:8px;padding:10px 12px}
.card b{font-size:13px}
.card i{float:right;font-style:normal;color:#889;font-size:12px}
.card svg{max-width:100%}
.legend span{display:inline-block;margin-right:16px;font-size:13px}
.legend s{display:inline-block;width:11px;height:11px;border-radius:3px;margin-right:5px}
table{border-collapse:collapse;font-size:12px;width:100%}
td,th{text-align:left;padding:3px 8px;border-bottom:1px solid #eee;white-space:nowrap}
.scroll{overflow-x:auto;background:#fff;border:1px solid #e4e4ee;border-radius:8px}
.ok{color:#2a7d4f}
.bad{color:#c22;font-weight:600}
"""


def write_report(
    path: Path, name: str, seed: int, summary: Summary, sample: Sample, found: Audit | None, checks: Sequence[Check]
) -> None:
    """Write the page; raise OutputError when it cannot be written."""
    page = _page(name, seed, summary, sample, found, checks)
    with complete_or_nothing(path) as partial:
        partial.write_text(page, encoding="utf-8")


def _page(name: str, seed: int, summary: Summary, sample: Sample, found: Audit | None, checks: Sequence[Check]) -> str:
    shares = [
        (abuse_type, int(rows) / summary.rows)
        for abuse_type, rows in zip(ALL_TYPES, summary.rows_by_type, strict=False)
        if rows
    ]
    legend = "".join(
        f'<span><s style="background:{colour_of(ALL_TYPES.index(abuse_type))}"></s>{abuse_type.replace("_", " ")}</span>'
        for abuse_type, _ in shares
    )
    confidence = sample.column("abuse_confidence").to_numpy()
    legitimacy, _ = np.histogram(1 - confidence, bins=50, range=(0, 1))
    parts = [
        f"<h1>{escape(name)}</h1>",
        f"<p>{summary.rows:,} rows, seed {seed}. Distributions are of {sample.rows:,} rows taken evenly.</p>",
        f'<h2>Class mix</h2>{shares_bar(shares)}<p class="legend">{legend}</p>',
        "<h2>How hard it is</h2>" + _audit(found),
        "<p>Exact legitimacy of every row, on a square-root scale. What lies in the zone nobody can decide for certain.</p>",
        histogram((legitimacy / max(legitimacy.sum(), 1)).tolist(), ZONE),
        f'<h2>Columns by class</h2><p class="legend">{legend}</p>',
        f'<div class="grid">{"".join(_card(column, sample, found) for column in sample.columns if column not in LABELS)}</div>',
        "<h2>Checks</h2>" + _checks(checks),
        f"<h2>Sample rows</h2>{_rows(sample)}",
    ]
    head = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(name)}</title><style>{_STYLE}</style>'
    return f"{head}<main>{''.join(parts)}</main></html>\n"


def _audit(found: Audit | None) -> str:
    if found is None:
        return "<p>Too few rows for an audit.</p>"
    strongest = sorted(found.column_auc.items(), key=lambda item: -item[1])[:8]
    rows = [
        ("limit: AUC of the exact probability", found.limit_auc),
        ("share in the review zone", found.review_zone_share),
    ]
    rows += [(f"best tree of depth 2 ({', '.join(found.tree_columns)})", found.tree_auc)]
    rows += [(f"AUC of {name} alone", value) for name, value in strongest]
    cells = "".join(
        f"<tr><td>{escape(name)}</td><td>{value:.4f}</td></tr>" for name, value in rows if value is not None
    )
    return f'<div class="scroll"><table>{cells}</table></div>'


def _checks(checks: Sequence[Check]) -> str:
    cells = "".join(
        f'<tr><td class="{"ok" if check.passed else "bad"}">{"holds" if check.passed else "fails"}</td>'
        f"<td>{escape(check.name)}</td><td>{escape(check.finding)}</td></tr>"
        for check in checks
    )
    return f'<div class="scroll"><table>{cells}</table></div>'


def _groups(sample: Sample) -> NDArray[np.int64]:
    places = pc.index_in(sample.column("abuse_type").cast(pa.string()), value_set=texts(ALL_TYPES))
    result: NDArray[np.int64] = places.combine_chunks().to_numpy(zero_copy_only=False).astype(np.int64)
    return result


def _card(name: str, sample: Sample, found: Audit | None) -> str:
    column, groups = sample.column(name).combine_chunks(), _groups(sample)
    present = [place for place in range(len(ALL_TYPES)) if (groups == place).any()]
    if pa.types.is_dictionary(column.type) or pa.types.is_boolean(column.type):
        picture = _named(column, groups, present)
    else:
        picture = _numbers(column, groups, present)
    value = f"<i>AUC {found.column_auc[name]:.2f}</i>" if found and name in found.column_auc else ""
    return f'<div class="card">{value}<b>{escape(name)}</b><br>{picture}</div>'


def _named(column: pa.Array, groups: NDArray[np.int64], present: Sequence[int]) -> str:
    coded = column if pa.types.is_dictionary(column.type) else column.cast(pa.string()).dictionary_encode()
    names = [str(value) for value in coded.dictionary.to_pylist()] + ["(none)"]
    codes = pc.fill_null(coded.indices, len(names) - 1).to_numpy(zero_copy_only=False).astype(np.int64)
    rows = np.bincount(codes, minlength=len(names))
    common = [int(code) for code in np.argsort(-rows)[:_MOST_NAMES] if rows[code]]
    series = []
    for place in present:
        own = np.bincount(codes[groups == place], minlength=len(names))
        series.append((ALL_TYPES[place], (own / own.sum())[common].tolist()))
    return grouped_bars(series, [names[code] for code in common])


def _numbers(column: pa.Array, groups: NDArray[np.int64], present: Sequence[int]) -> str:
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
    for place in present:
        own, _ = np.histogram(np.clip(values[groups == place], edges[0], edges[-1]), bins=edges)
        series.append((ALL_TYPES[place], (own / max(own.sum(), 1)).tolist()))
    shown = (
        [np.datetime_as_string(np.datetime64(int(e), "s"), unit="D") for e in edges]
        if is_time
        else [f"{max(e, 0):.4g}" for e in edges]
    )
    return grouped_lines(series, [str(label) for label in shown[:-1]])


def _rows(sample: Sample) -> str:
    names = list(sample.columns)
    step = max(1, sample.rows // _SAMPLE_ROWS)
    picked = [[sample.column(name)[row].as_py() for name in names] for row in range(0, sample.rows, step)][
        :_SAMPLE_ROWS
    ]
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape('' if v is None else str(v))}</td>" for v in row) + "</tr>" for row in picked
    )
    return f'<div class="scroll"><table><tr>{head}</tr>{body}</table></div>'
