"""The figures of `make chaos`, and those that exceed their limits."""

from collections.abc import Sequence

from chaos.casework import Race
from chaos.ledger.backups import BackedUp
from chaos.ledger.erasures import ErasedUnderLoad
from chaos.ledger.kills import LedgerResult
from chaos.overload import Overloaded
from testing.load import Outcome
from testing.reports.results import entry

MEGABYTE = 1e6


class Report:
    """Collects figures and the names of those that exceed their limits."""

    def __init__(self) -> None:
        self.entries: dict[str, dict[str, object]] = {}
        self.failed: list[str] = []

    def keep(self, name: str, values: float | Sequence[float], unit: str, most: float | None = None) -> None:
        """Record a figure; with `most`, fail if its largest value is above it."""
        numbers = [float(value) for value in values] if isinstance(values, Sequence) else [float(values)]
        self.entries[name] = entry(numbers, unit)
        if most is not None and not max(numbers) <= most:
            self.failed.append(f"{name} is {max(numbers):g} {unit}, at most {most:g} was wanted")

    def outcome(self, name: str, outcome: Outcome) -> None:
        """Record the calls of a scenario: none may fail or be lost."""
        self.keep(f"{name}_calls", outcome.sent, "calls")
        self.keep(f"{name}_failures", outcome.failures.total(), "calls", 0)
        self.keep(f"{name}_lost", outcome.lost, "calls", 0)

    def ledger(self, name: str, result: LedgerResult) -> None:
        """Record the acknowledged calls and the differences of the ledger."""
        self.keep(f"{name}_calls", result.outcome.sent, "calls")
        self.keep(f"{name}_acknowledged", len(result.outcome.answers), "calls")
        for what in ("missing", "different", "doubled", "lost_cases", "other_answers", "other_history"):
            self.keep(f"{name}_{what}", getattr(result, what), "records", 0)
        self.keep(f"{name}_filled_fields", result.completed, "fields")
        if result.broken:
            self.failed.append(f"{name}: {result.broken}")

    def race(self, raced: Race) -> None:
        """Record the race of reviewers for cases."""
        for what in ("resolved", "late_refused", "cut_off"):
            self.keep(f"casework_{what}", getattr(raced, what), "calls")
        for what in ("unresolved", "resolved_twice", "forged_accepted", "late_accepted", "other_verdict", "disorder"):
            self.keep(f"casework_{what}", getattr(raced, what), "cases", 0)

    def flood(self, name: str, overloaded: Overloaded, most: float | None) -> None:
        """Record an overload; `most` limits p99 of accepted calls as a multiple of the unloaded p99."""
        self.keep(f"{name}_p99_ratio", overloaded.p99_ratio, "ratio", most)
        self.keep(f"{name}_unloaded_p99", overloaded.unloaded_p99 * 1000, "ms")
        self.keep(f"{name}_capacity", overloaded.capacity, "calls/s")
        self.keep(f"{name}_accepted", len(overloaded.flood.answers), "calls")
        self.keep(f"{name}_refused", overloaded.flood.failures["RESOURCE_EXHAUSTED"], "calls")
        others = overloaded.flood.failures.total() - overloaded.flood.failures["RESOURCE_EXHAUSTED"]
        self.keep(f"{name}_other_failures", others, "calls", 0)
        self.keep(f"{name}_without_retry_info", len(overloaded.flood.errors) - overloaded.with_retry_info, "calls", 0)
        growth = (overloaded.resident_peak - overloaded.resident_before) / MEGABYTE
        self.keep(f"{name}_growth", growth, "MB", 100)
        self.keep(f"{name}_failures_1s_after", overloaded.after.failures.total(), "calls", 0)
        self.keep(f"{name}_p99_1s_after_ratio", overloaded.after.latency(0.99) / overloaded.unloaded_p99, "ratio")

    def erased(self, name: str, erased: ErasedUnderLoad) -> None:
        """Record the erasures beside readers."""
        self.keep(f"{name}_persons", erased.persons, "persons")
        self.keep(f"{name}_not_found_before", erased.persons - erased.found, "persons", 0)
        self.keep(f"{name}_reviews", erased.reviews, "calls")
        self.keep(f"{name}_retried", erased.retried, "calls")
        self.keep(f"{name}_failed", erased.failed, "calls", 0)
        for what in ("early", "unfinished"):
            self.keep(f"{name}_{what}", getattr(erased, what), "erasures", 0)
        for what in ("left", "logged"):
            self.keep(f"{name}_{what}", getattr(erased, what), "files", 0)
        if erased.broken:
            self.failed.append(f"{name}: {erased.broken}")

    def backed(self, name: str, backed: BackedUp) -> None:
        """Record the backups and restores under load."""
        self.outcome(name, backed.outcome)
        self.keep(f"{name}_retried", backed.retried, "calls")
        for what in ("complete", "killed"):
            self.keep(f"{name}_{what}", getattr(backed, what), "backups")
        self.keep(f"{name}_restores_killed", backed.restores_killed, "restores")
        self.keep(f"{name}_restores_not_refused", backed.unwanted, "restores", 0)
        self.keep(f"{name}_failed", backed.failed, "commands", 0)
        for what in ("missing", "lost"):
            self.keep(f"{name}_{what}", getattr(backed, what), "records", 0)
        self.failed += [f"{name}: {broken}" for broken in backed.broken]
