"""The figures of `make chaos`, and those that exceed their limits."""

from collections.abc import Sequence

from chaos.casework import RaceResult
from chaos.ledger.backups import BackupResult
from chaos.ledger.erasures import ErasureResult
from chaos.ledger.kills import LedgerResult
from chaos.ledger.power_loss import PowerLossResult
from chaos.overload import OverloadResult
from testing.load import Outcome
from testing.reports.results import entry

MEGABYTE = 1e6


class Report:
    """Collects figures and the names of those that exceed their limits."""

    def __init__(self) -> None:
        self.entries: dict[str, dict[str, object]] = {}
        self.failed: list[str] = []

    def record(self, name: str, values: float | Sequence[float], unit: str, limit: float | None = None) -> None:
        """Record a figure; with `limit`, fail if its largest value is above it."""
        numbers = [float(value) for value in values] if isinstance(values, Sequence) else [float(values)]
        self.entries[name] = entry(numbers, unit)
        if limit is not None and not max(numbers) <= limit:
            self.failed.append(f"{name} is {max(numbers):g} {unit}, above the limit of {limit:g}")

    def outcome(self, name: str, outcome: Outcome) -> None:
        """Record the calls of a scenario: none may fail or be lost."""
        self.record(f"{name}_calls", outcome.sent, "calls")
        self.record(f"{name}_failures", outcome.failures.total(), "calls", 0)
        self.record(f"{name}_lost", outcome.lost, "calls", 0)

    def ledger(self, name: str, result: LedgerResult) -> None:
        """Record the acknowledged calls and the differences of the ledger."""
        self.record(f"{name}_calls", result.outcome.sent, "calls")
        self.record(f"{name}_acknowledged", len(result.outcome.answers), "calls")
        for what in ("missing", "different", "doubled", "lost_cases", "other_answers", "other_history"):
            self.record(f"{name}_{what}", getattr(result, what), "records", 0)
        self.record(f"{name}_filled_fields", result.completed, "fields")
        if result.broken:
            self.failed.append(f"{name}: {result.broken}")

    def cut(self, name: str, result: PowerLossResult) -> None:
        """Record the power failures of a ledger."""
        for what in ("cuts", "torn", "restarts"):
            self.record(f"{name}_{what}", getattr(result, what), "times")
        self.record(f"{name}_missing", result.missing, "records", 0)
        self.failed += [f"{name}: {broken}" for broken in result.broken]

    def race(self, raced: RaceResult) -> None:
        """Record the race of reviewers for cases."""
        for what in ("resolved", "late_refused", "cut_off"):
            self.record(f"casework_{what}", getattr(raced, what), "calls")
        for what in ("unresolved", "resolved_twice", "forged_accepted", "late_accepted", "other_verdict", "disorder"):
            self.record(f"casework_{what}", getattr(raced, what), "cases", 0)

    def flood(self, name: str, overloaded: OverloadResult, limit: float | None) -> None:
        """Record an overload; `limit` bounds p99 of accepted calls as a multiple of the unloaded p99."""
        self.record(f"{name}_p99_ratio", overloaded.p99_ratio, "ratio", limit)
        self.record(f"{name}_unloaded_p99", overloaded.unloaded_p99 * 1000, "ms")
        self.record(f"{name}_capacity", overloaded.capacity, "calls/s")
        self.record(f"{name}_accepted", len(overloaded.flood.answers), "calls")
        self.record(f"{name}_refused", overloaded.flood.failures["RESOURCE_EXHAUSTED"], "calls")
        others = overloaded.flood.failures.total() - overloaded.flood.failures["RESOURCE_EXHAUSTED"]
        self.record(f"{name}_other_failures", others, "calls", 0)
        self.record(f"{name}_without_retry_info", len(overloaded.flood.errors) - overloaded.with_retry_info, "calls", 0)
        growth = (overloaded.resident_peak - overloaded.resident_before) / MEGABYTE
        self.record(f"{name}_growth", growth, "MB", 100)
        self.record(f"{name}_failures_1s_after", overloaded.after.failures.total(), "calls", 0)
        self.record(f"{name}_p99_1s_after_ratio", overloaded.after.latency(0.99) / overloaded.unloaded_p99, "ratio")

    def erased(self, name: str, erased: ErasureResult) -> None:
        """Record the erasures beside readers."""
        self.record(f"{name}_persons", erased.persons, "persons")
        self.record(f"{name}_not_found_before", erased.persons - erased.found, "persons", 0)
        self.record(f"{name}_reviews", erased.reviews, "calls")
        self.record(f"{name}_retried", erased.retried, "calls")
        self.record(f"{name}_failed", erased.failed, "calls", 0)
        for what in ("early", "unfinished"):
            self.record(f"{name}_{what}", getattr(erased, what), "erasures", 0)
        for what in ("left", "logged"):
            self.record(f"{name}_{what}", getattr(erased, what), "files", 0)
        if erased.broken:
            self.failed.append(f"{name}: {erased.broken}")

    def backed(self, name: str, backed: BackupResult) -> None:
        """Record the backups and restores under load."""
        self.outcome(name, backed.outcome)
        self.record(f"{name}_retried", backed.retried, "calls")
        for what in ("complete", "killed"):
            self.record(f"{name}_{what}", getattr(backed, what), "backups")
        self.record(f"{name}_restores_killed", backed.restores_killed, "restores")
        self.record(f"{name}_restores_not_refused", backed.unwanted, "restores", 0)
        self.record(f"{name}_failed", backed.failed, "commands", 0)
        for what in ("missing", "lost"):
            self.record(f"{name}_{what}", getattr(backed, what), "records", 0)
        self.failed += [f"{name}: {broken}" for broken in backed.broken]
