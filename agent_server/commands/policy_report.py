"""What another policy would have done, as a page: numbers, and pictures of them that stand there as tables too."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader

from agent_server.decisions.comparing import Comparison, Tally
from agent_server.decisions.policy import Policy
from contract.fields import short_names
from contract.prices import Prices
from generated.vouch.v1 import agent_service_pb2 as pb

WIDTH = 640.0
_DECISIONS = short_names(pb.Decision.DESCRIPTOR)
_COLOURS = {"approve": "#3b8f5c", "deny": "#c0504d", "review": "#d9a441"}


@dataclass(frozen=True)
class Bar:
    """A part of a bar, from `start` on, in pixels."""

    word: str
    count: int
    start: float
    width: float
    colour: str


def figures_of(comparison: Comparison) -> list[tuple[str, float, float]]:
    """What is compared: its name, today's value and the other one's."""
    now, then, days = comparison.now, comparison.then, comparison.days
    return [
        ("abuse let through", now.abuse_let_through, then.abuse_let_through),
        ("its amount", now.abuse_amount, then.abuse_amount),
        ("good orders stopped", now.good_stopped, then.good_stopped),
        ("reviews a day", *(tally.decisions[pb.DECISION_REVIEW] / days for tally in (now, then))),  # type: ignore[list-item]
        ("cost", now.cost, then.cost),
    ]


def page(comparison: Comparison, today: Policy, other: Policy, prices: Prices) -> str:
    """The page, whole: nothing is loaded from anywhere."""
    environment = Environment(loader=PackageLoader("agent_server.commands", "."), autoescape=True)
    return environment.get_template("policy_report.html.j2").render(
        comparison=comparison,
        today=today.version,
        other=other.version,
        prices=prices,
        bars=[("today", _bars(comparison.now)), ("it would be", _bars(comparison.then))],
        moves=[
            [word, *(comparison.moves[decision, then] for then in _DECISIONS.values())]  # type: ignore[index]
            for word, decision in _DECISIONS.items()
        ],
        decisions=list(_DECISIONS),
        scores=_scores(comparison),
        figures=[(name, now, then, _pairs(now, then)) for name, now, then in figures_of(comparison)],
        rules=comparison.then.rules.most_common(),
        width=WIDTH,
    )


def write_page(path: Path, content: str) -> None:
    """Write it. Raises OSError."""
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
    """Lengths of two bars, the longer one of them 200."""
    longest = max(now, then) or 1.0
    return 200 * now / longest, 200 * then / longest


def _scores(comparison: Comparison) -> Sequence[tuple[str, int, int, float, float]]:
    """Orders by score, and those of them that were decided otherwise, with heights of up to 120."""
    most = max(comparison.scores.values(), default=1)
    return [
        (
            f"{place / 20:.2f}", comparison.scores[place], comparison.moved[place],
            120 * comparison.scores[place] / most, 120 * comparison.moved[place] / most,
        )
        for place in range(20)
    ]  # fmt: skip
