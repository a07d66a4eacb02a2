"""HTML report of a policy test: figures and charts; all charts are also shown as tables."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader

from agent_server.decisions.comparison import Comparison, Tally
from agent_server.decisions.policy import Policy
from contract.fields import short_names
from contract.prices import Prices
from generated.vouch.v1 import agent_service_pb2 as pb

WIDTH = 640.0
_DECISIONS = short_names(pb.Decision.DESCRIPTOR)
_COLOURS = {"approve": "#3b8f5c", "deny": "#c0504d", "review": "#d9a441"}


@dataclass(frozen=True)
class Bar:
    """A segment of a bar; `start` and `width` are in pixels."""

    word: str
    count: int
    start: float
    width: float
    colour: str


def figures(comparison: Comparison) -> list[tuple[str, float, float]]:
    """Return the compared figures: name, value of the current policy, value of the tested policy."""
    now, then, days = comparison.now, comparison.then, comparison.days
    return [
        ("abuse let through", now.abuse_let_through, then.abuse_let_through),
        ("its amount", now.abuse_amount, then.abuse_amount),
        ("good orders stopped", now.good_stopped, then.good_stopped),
        ("reviews a day", *(tally.decisions[pb.DECISION_REVIEW] / days for tally in (now, then))),  # type: ignore[list-item]
        ("cost", now.cost, then.cost),
    ]


def render_page(comparison: Comparison, today: Policy, other: Policy, prices: Prices) -> str:
    """Return a self-contained HTML page."""
    environment = Environment(loader=PackageLoader("agent_server.commands", "."), autoescape=True)
    return environment.get_template("policy_report.html.j2").render(
        comparison=comparison,
        today=today.version,
        other=other.version,
        prices=prices,
        bars=[("current", _bars(comparison.now)), ("tested", _bars(comparison.then))],
        moves=[
            [word, *(comparison.moves[decision, then] for then in _DECISIONS.values())]  # type: ignore[index]
            for word, decision in _DECISIONS.items()
        ],
        decisions=list(_DECISIONS),
        scores=_scores(comparison),
        figures=[(name, now, then, _pairs(now, then)) for name, now, then in figures(comparison)],
        rules=comparison.then.rules.most_common(),
        width=WIDTH,
    )


def write_page(path: Path, content: str) -> None:
    """Write the page. Raises OSError."""
    path.write_text(content, encoding="utf-8")


def _bars(tally: Tally) -> list[Bar]:
    whole, start, bars = max(tally.decisions.total(), 1), 0.0, []
    for word, decision in _DECISIONS.items():
        count = tally.decisions[decision]  # type: ignore[index]
        width = WIDTH * count / whole
        bars.append(Bar(word, count, start, width, _COLOURS[word]))
        start += width
    return bars


def _pairs(now: float, then: float) -> tuple[float, float]:
    """Return the lengths of two bars; the longer one is 200 pixels."""
    longest = max(now, then) or 1.0
    return 200 * now / longest, 200 * then / longest


def _scores(comparison: Comparison) -> Sequence[tuple[str, int, int, float, float]]:
    """Return per score bin the orders, those with another decision, and the heights of both bars, up to 120 pixels."""
    most = max(comparison.scores.values(), default=1)
    return [
        (
            f"{place / 20:.2f}", comparison.scores[place], comparison.moved[place],
            120 * comparison.scores[place] / most, 120 * comparison.moved[place] / most,
        )
        for place in range(20)
    ]  # fmt: skip
