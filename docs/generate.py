"""Write the pages that come from the code: commands, columns, metrics, gRPC, defaults of settings, fields of history.

`python docs/generate.py` writes them. With `--check` it exits with 1 and names the pages that are out of date.
"""

import argparse
import importlib
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal, get_args, get_origin

import annotated_types
from prometheus_client.metrics import MetricWrapperBase
from pydantic.fields import FieldInfo

import vouch
from agent_server.commands.client import ClientSettings
from agent_server.settings import AgentSettings
from console.settings import ConsoleSettings
from contract.abuse_types import ALL_TYPES
from contract.fields import FIELDS, REQUIRED, Field
from contract.schema import FILE_SCHEMA
from docs.grpc_pages import grpc_pages
from history.definitions import NAMES as HISTORY_FIELDS
from history.definitions import markdown_table
from http_bridge.json.descriptions import description
from http_bridge.settings import HttpSettings
from load_test.keys import LoadSettings
from ml_server.settings import MlSettings
from runtime.process.command_line import EXIT_CODES, CommandParser
from runtime.settings import Settings, Shared
from runtime.web.settings import WebSettings
from stack.settings import EdgeSettings, StackSettings
from testing.reports.versions import read_versions, to_svg, to_table

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = ROOT / "docs" / "reference"
SETTINGS: Final[tuple[type[Settings], ...]] = (
    MlSettings, AgentSettings, HttpSettings, WebSettings, ConsoleSettings, EdgeSettings, StackSettings, ClientSettings,
    LoadSettings, Shared,
)  # fmt: skip
_NOTE = "\n\n<!-- Written by docs/generate.py. Do not edit. -->"
_SPEED: Final = f"""# Speed over versions{_NOTE}

Medians of `make bench` and the other benchmarks by the commit that was measured, from
[history.json](../bench/results/history.json), where each run adds its own. All are ratios to a baseline of the same
run; a commit followed by + had changes that were not committed. Machines differ from entry to entry, and move even
ratios by a fifth. What each figure means: [performance](explanation/performance.md). Dashed lines are targets.

![Figures over versions](images/speed.svg)"""
_METRICS_OF: Final = {"runtime": "scorer, agent", "ml_server": "scorer", "agent_server": "agent", "http_bridge": "REST"}
_EXIT_CODES: Final = "\n".join(
    ["| code | meaning |", "|---|---|", *(f"| {code} | {text} |" for code, text in EXIT_CODES.items())]
)
_TYPES: Final = {"text": "text", "number": "number", "count": "whole number", "flag": "true or false", "time": "time"}


def _cell(text: str) -> str:
    """Return a text that fits into a cell of a Markdown table."""
    escaped = re.sub(r"(?<!`)\*(?!`)", r"\\*", " ".join(text.split()))
    return escaped.replace("|", "\\|").replace("<", "&lt;")


def _arguments(parser: CommandParser) -> Iterator[str]:
    """Yield a table of the arguments of a parser, its examples and exit codes, then its actions."""
    expand = parser._get_formatter()._expand_help  # also fills in %(default)s
    rows = []
    for action in parser._actions:
        if not isinstance(action, argparse._SubParsersAction | argparse._HelpAction):
            name = action.option_strings[-1] if action.option_strings else str(action.metavar or action.dest)
            values = f" {{{','.join(map(str, action.choices))}}}" if action.choices else ""
            if not values and action.option_strings and action.nargs != 0:
                values = f" {action.metavar or action.dest.upper()}"
            rows.append(f"| `{name}{values}` | {_cell(expand(action)) if action.help else ''} |")
    if rows:
        yield "\n".join(["| argument | meaning |", "|---|---|", *rows])
    if parser.examples:
        yield "\n".join(["```text", *parser.examples, "```"])
    if parser.codes:
        codes = (f"| {code} | {_cell(text)} |" for code, text in sorted(parser.codes.items()))
        yield "\n".join(["| exit code | meaning |", "|---|---|", *codes])
    for sub in parser.actions().values():
        yield f"### `{sub.prog}`\n\n{_cell(sub.description or '')}"
        yield from _arguments(sub)


def commands() -> str:
    """Return the page of commands."""
    parts = ["# Commands" + _NOTE, "Run each command as `.venv/bin/vouch COMMAND`, or as `uv run vouch COMMAND`."]
    parts += ["`vouch completion SHELL` prints a script for the completion of bash, zsh, fish or tcsh."]
    parts += ["\n".join(f"- [`vouch {name}`](#vouch-{name}): {text}" for name, (_, text) in vouch.COMMANDS.items())]
    parts += ["## Exit codes", _EXIT_CODES]
    for name, (_, text) in vouch.COMMANDS.items():
        parser: CommandParser = importlib.import_module(vouch.COMMANDS[name][0]).parser()
        parts.append(f"## `vouch {name}`\n\n{_cell(parser.description or text)}")
        parts += _arguments(parser)
    return "\n\n".join(parts) + "\n"


def _column(field: Field) -> str:
    kind = _TYPES.get(field.kind) or ", ".join(f"`{name}`" for name in field.numbers)
    marks = "required" if field.name in REQUIRED else "history" if field.name in HISTORY_FIELDS else ""
    meaning = _cell(description(f"vouch.v1.Transaction.{field.name}"))
    return f"| `{field.name}` | {kind} | {marks} | {meaning} |"


def columns() -> str:
    """Return the page of columns."""
    return f"""# Columns{_NOTE}

The fields of an order, from [transaction.proto](../../protos/vouch/v1/transaction.proto). They are the columns of files
too. Three fields are required. Every other field is optional; absent means unknown, which is not zero.

- `history`: the agent fills in the field from its [history](../explanation/history.md) when the request leaves it out.
- Times in files are `YYYY-MM-DD HH:MM:SS` in UTC. Enums are the lower-case names below.

| column | type or values | | meaning |
|---|---|---|---|
{chr(10).join(map(_column, FIELDS.values()))}

## Columns in files only

| column | type | meaning |
|---|---|---|
| `is_abuse` | true or false | Label: the order is abuse. |
| `abuse_type` | text | Label: {", ".join(f"`{name}`" for name in ALL_TYPES)}. |
| `abuse_confidence` | 0 to 1 | Exact probability of abuse, given what the row itself shows. |
| `difficulty_tier` | text | How hard the row is to tell from its opposite: `easy`, `medium`, `hard`. |
| `label_weight` | number | Number of orders that a row stands for; written by `vouch labels export`. |

The {len(FILE_SCHEMA)} columns that `vouch generate` writes are the fields of the order without `card_id`, the pseudonyms
`email_id`, `phone_id` and `shipping_address_id`, `automation_detected` and `hosting_ip_detected`, and the first four of
these labels. With `--stream` it writes `card_id` too.
"""


def metrics() -> str:
    """Return the page of metrics."""
    rows = set()
    for folder, service in _METRICS_OF.items():
        for metric in _metrics_of(folder):
            name = metric._name + "_total" * (metric._type == "counter")
            rows.add((name, metric._type, ", ".join(metric._labelnames), service, _cell(metric._documentation)))
    lines = [
        f"| `{name}` | {kind} | {labels} | {service} | {text} |" for name, kind, labels, service, text in sorted(rows)
    ]
    return f"""# Metrics{_NOTE}

Prometheus reads the scorer's metrics at `http://localhost:9051/metrics` and the agent's at
`http://localhost:9052/metrics`. REST serves its own at `/metrics` of its ports. Envoy's are at `/stats/prometheus` of
`VOUCH_EDGE_ADMIN_PORT`. How to collect them from several processes:
[operations](../how-to/operations.md#metrics-and-logs).

| metric | type | labels | service | meaning |
|---|---|---|---|---|
{chr(10).join(lines)}
| `vouch_workers_alive` | gauge |  | scorer, agent | Worker processes that run |
"""


def _metrics_of(folder: str) -> Iterator[MetricWrapperBase]:
    for path in sorted((ROOT / folder).rglob("*.py")):
        if "prometheus_client" in path.read_text():
            module = importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
            for metric in vars(module).values():
                if isinstance(metric, MetricWrapperBase):
                    yield metric


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    return "none" if value is None or value in ((), "") else str(value)


def _allowed(field: FieldInfo) -> str:
    """Return the limits or choices of a setting; empty where there are none to state."""
    annotation, metadata = field.annotation, list(field.metadata)
    for part in get_args(annotation):
        metadata += getattr(part, "__metadata__", ())
    if get_origin(annotation) is Literal:
        return ", ".join(map(str, get_args(annotation)))
    limits = list[Any]()
    for one in metadata:
        limits += getattr(one, "metadata", [one]) if isinstance(one, FieldInfo) else [one]
    low = next((f"{one.ge:,}" for one in limits if isinstance(one, annotated_types.Ge)), "")
    above = next((f"{one.gt:,}" for one in limits if isinstance(one, annotated_types.Gt)), "")
    high = next((f"{one.le:,}" for one in limits if isinstance(one, annotated_types.Le)), "")
    if low and high:
        return f"{low} to {high}"
    if above:
        return f"above {above}" + (f", at most {high}" if high else "")
    return f"{low} or more" if low else ""


def settings(page: str) -> str:
    """Return the page of settings with the defaults and limits of the code; names and meanings are the page's own."""
    known: dict[str, FieldInfo] = {}
    for cls in SETTINGS:
        known |= {variable: cls.model_fields[name] for name, variable in cls.variables().items()}

    def row(match: re.Match[str]) -> str:
        fields = [known[name] for name in re.findall(r"`(VOUCH_[A-Z_]+)`", match[1]) if name in known]
        defaults = list(dict.fromkeys(_shown(field.default) for field in fields)) or ["none"]
        allowed = list(dict.fromkeys(_allowed(field) for field in fields)) or [""]
        return (
            f"| {match[1].strip()} | {match[2].strip()} | {', '.join(defaults)} | {', '.join(filter(None, allowed))} |"
        )

    return re.sub(r"^\|( `VOUCH_[^|]+)\|([^|]*)\|[^|]*\|[^|\n]*\|$", row, page, flags=re.MULTILINE)


def history(page: str) -> str:
    """Return the page of history with the table of its fields."""
    return re.sub(
        r"(?<=^## The fields\n\n).*?(?=\n\n## )", lambda _: markdown_table(), page, flags=re.MULTILINE | re.DOTALL
    )


def speed(table: str) -> str:
    """Return the page of figures over versions."""
    return f"{_SPEED}\n\n{table}\n"


def pages() -> Mapping[Path, str]:
    """Return the content of each page by its path."""
    edited = {REFERENCE / "settings.md": settings, REFERENCE.parent / "explanation" / "history.md": history}
    made: Iterable[tuple[str, Callable[[], str]]] = (
        ("cli.md", commands),
        ("columns.md", columns),
        ("metrics.md", metrics),
    )
    written = {REFERENCE / name: write() for name, write in made}
    entries = read_versions()
    written[REFERENCE.parent / "images" / "speed.svg"] = to_svg(entries)
    written[REFERENCE.parent / "speed.md"] = speed(to_table(entries))
    written |= {REFERENCE / "grpc" / name: text for name, text in grpc_pages().items()}
    return written | {path: edit(path.read_text()) for path, edit in edited.items()}


def main(arguments: list[str]) -> int:
    """Write the pages, or check them."""
    wrong = [path for path, text in pages().items() if not path.exists() or path.read_text() != text]
    if arguments == ["--check"]:
        for path in wrong:
            print(f"{path.relative_to(ROOT)} is out of date: run `make reference`", file=sys.stderr)
        return int(bool(wrong))
    for path, text in pages().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
