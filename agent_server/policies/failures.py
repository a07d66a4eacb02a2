"""Counts and logs the rules of a policy that could not be evaluated, and lists the recent ones."""

import threading
import time
from collections.abc import Callable
from typing import Final

from prometheus_client import Counter

from runtime.telemetry.logging import get_logger

RECENT_SECONDS: Final = 600.0
"""Time after its latest failure during which a rule counts as failing."""
LOG_SECONDS: Final = 60.0
"""Minimum interval between two log lines about the same rule."""
MAX_LABELS: Final = 200
"""Maximum number of rules with their own label: a policy that is often reloaded would add labels without limit."""
OTHERS: Final = "other rules"
FAILURES = Counter(
    "vouch_policy_rule_failures", "Evaluations of a rule that failed, so that it did not match", ["rule"]
)
_labels: set[str] = set()
_log = get_logger()


class RuleFailures:
    """The rules that failed in this process. Records only the names of rules, no values of orders."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._failed: dict[str, float] = {}
        self._logged: dict[str, float] = {}

    def record(self, rule: str, kind: str) -> None:
        """Record that a rule failed. `kind` is the kind of the error, without any value."""
        now = self._clock()
        with self._lock:
            FAILURES.labels(_label(rule)).inc()
            self._failed = {name: at for name, at in self._failed.items() if now - at < RECENT_SECONDS} | {rule: now}
            should_log = now - self._logged.get(rule, -LOG_SECONDS) >= LOG_SECONDS
            if should_log:
                self._logged = {name: at for name, at in self._logged.items() if now - at < LOG_SECONDS} | {rule: now}
        if should_log:
            _log.error("policy rule could not be evaluated and did not match", rule=rule, cause=kind)

    def recent(self) -> list[str]:
        """Return the names of the rules that failed in the last ten minutes, sorted."""
        now = self._clock()
        with self._lock:
            return sorted(name for name, at in self._failed.items() if now - at < RECENT_SECONDS)


def _label(rule: str) -> str:
    if rule not in _labels and len(_labels) >= MAX_LABELS:
        return OTHERS
    _labels.add(rule)
    return rule
