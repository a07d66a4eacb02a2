"""Statistics of responses: decisions by true class, precision and recall of deny, latencies."""

from collections import Counter
from dataclasses import dataclass, field

DECISIONS = ("approve", "deny", "review")


@dataclass(frozen=True)
class Outcome:
    """One answered or failed request; `seconds` counts from its due time."""

    transaction_id: str
    is_abuse: bool
    seconds: float
    decision: str = ""
    score: float | None = None
    error: str = ""
    retries: int = 0


@dataclass
class Tally:
    """Counts of all outcomes so far."""

    sent: int = 0
    retried: int = 0
    """Orders that were sent more than once."""
    decisions: Counter[tuple[bool, str]] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        """Count one outcome."""
        self.sent += 1
        self.retried += outcome.retries > 0
        if outcome.error:
            self.errors[outcome.error] += 1
        else:
            self.decisions[outcome.is_abuse, outcome.decision] += 1
            self.latencies.append(outcome.seconds)

    def decided(self, abuse: bool | None = None, decision: str | None = None) -> int:
        """Return the number of decisions of a class and kind; None means any."""
        return sum(
            count
            for (was_abuse, kind), count in self.decisions.items()
            if abuse in (None, was_abuse) and decision in (None, kind)
        )

    def percentile(self, share: float) -> float:
        """Return the latency quantile `share` in seconds; NaN without responses."""
        ordered = sorted(self.latencies)
        return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else float("nan")


def ratio(part: int, whole: int) -> str:
    """Return part / whole in percent; a dash if `whole` is 0."""
    return f"{part / whole:.1%}" if whole else "-"


def summary(tally: Tally, elapsed: float) -> list[str]:
    """Return the summary as lines of text."""
    answered, denied = tally.decided(), tally.decided(decision="deny")
    abuse = tally.decided(abuse=True)
    caught = tally.decided(abuse=True, decision="deny")
    lines = [
        "",
        f"sent {tally.sent:,} in {elapsed:.1f} s ({tally.sent / max(elapsed, 1e-9):.1f}/s), answered {answered:,}, "
        f"failed {sum(tally.errors.values()):,}" + (f", retried {tally.retried:,}" if tally.retried else ""),
        f"{'':12}" + "".join(f"{name:>10}" for name in (*DECISIONS, "total")),
    ]
    for name, kind in (("legitimate", False), ("abuse", True)):
        row = [tally.decided(kind, decision) for decision in DECISIONS]
        lines.append(f"{name:12}" + "".join(f"{count:>10,}" for count in (*row, sum(row))))
    lines += [
        f"deny: precision {ratio(caught, denied)}, recall {ratio(caught, abuse)}; "
        f"abuse not approved {ratio(abuse - tally.decided(True, 'approve'), abuse)}; "
        f"sent to review {ratio(tally.decided(decision='review'), answered)}",
        "latency from the due time: "
        + ", ".join(f"p{share * 100:.0f} {tally.percentile(share) * 1000:.1f} ms" for share in (0.5, 0.95, 0.99)),
    ]
    lines += [f"error: {count:,} x {error}" for error, count in tally.errors.most_common()]
    return lines
