"""Rules of a policy that could not be evaluated: counted, logged now and then, and named for a while."""

import threading
import time
from collections.abc import Callable
from typing import Final

from prometheus_client import Counter

from runtime.telemetry.logging import get_logger

RECENT_SECONDS: Final = 600.0
"""How long after its latest failure a rule counts as failing."""
LOG_SECONDS: Final = 60.0
"""At most one line of the log for each rule in that time."""
MOST_NAMED: Final = 200
"""Rules that have a label of their own; a policy that is swapped often would otherwise add labels without end."""
OTHERS: Final = "other rules"
FAILURES = Counter(
    "vouch_policy_rule_failures", "Evaluations of a rule that failed, so that it did not match", ["rule"]
)
_labels: set[str] = set()
_log = get_logger()


class RuleFailures:
    """The rules that failed in this process. Names of rules are the shop's own; no value of an order is kept."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._failed: dict[str, float] = {}
        self._logged: dict[str, float] = {}

    def record(self, rule: str, kind: str) -> None:
        """Note that a rule failed; `kind` is the kind of the error, without any value."""
        now = self._clock()
        with self._lock:
            FAILURES.labels(_label(rule)).inc()
            self._failed = {name: at for name, at in self._failed.items() if now - at < RECENT_SECONDS} | {rule: now}
            told = now - self._logged.get(rule, -LOG_SECONDS) >= LOG_SECONDS
            if told:
                self._logged = {name: at for name, at in self._logged.items() if now - at < LOG_SECONDS} | {rule: now}
        if told:
            _log.error("a rule of the policy could not be evaluated and did not match", rule=rule, cause=kind)

    def recent(self) -> list[str]:
        """Rules that failed in the last ten minutes, by name."""
        now = self._clock()
        with self._lock:
            return sorted(name for name, at in self._failed.items() if now - at < RECENT_SECONDS)


def _label(rule: str) -> str:
    if rule not in _labels and len(_labels) >= MOST_NAMED:
        return OTHERS
    _labels.add(rule)
    return rule
