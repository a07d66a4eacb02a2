"""The policy that is in force: another one is taken when its file, or a file of its lists, changes; a broken one is refused."""

from pathlib import Path

from prometheus_client import Gauge

from agent_server.decisions.policy import Policy
from agent_server.policies.document import read_policy
from agent_server.policies.failures import RuleFailures
from agent_server.policies.nodes import PolicyError
from runtime.jobs import in_maintenance_thread
from runtime.telemetry.logging import get_logger

REFUSED = Gauge(
    "vouch_policy_refused", "1 while the policy's file is broken and an older one serves", multiprocess_mode="max"
)
_log = get_logger()
_Seen = tuple[tuple[int, int, int] | None, ...]


class CurrentPolicy:
    """The policy in force, as `policy`; one that never changes where there is no file."""

    def __init__(self, policy: Policy, failures: RuleFailures | None = None) -> None:
        self.policy, self._failures = policy, failures or RuleFailures()

    @property
    def failing_rules(self) -> list[str]:
        """Names of the policy's rules that could not be evaluated for an order lately, in this process."""
        rules = {rule.name for rule in self.policy.rules.rules} if self.policy.rules else set()
        return [name for name in self._failures.recent() if name in rules]

    async def refresh(self) -> None:
        """Read the policy again where its files changed."""


class WatchedPolicy(CurrentPolicy):
    """A policy from a file, on top of `defaults`. Raises PolicyError where the first one cannot be read."""

    def __init__(self, path: Path, defaults: Policy) -> None:
        self._path, self._defaults = path, defaults
        self._files: tuple[Path, ...] = ()
        self._seen: _Seen = ()
        self._refused, failures = "", RuleFailures()
        self._record_failure = failures.record
        super().__init__(self._read(), failures)

    def look(self) -> bool:
        """Take another policy where one is there; whether it was taken."""
        if self._looks() == self._seen and not self._refused:
            return False
        try:
            policy = self._read()
        except PolicyError as error:
            # Read again until it is mended: it may be a list that was missing, and nobody watches what is not named yet.
            if str(error) != self._refused:
                serving = self.policy.version
                _log.error("the policy is refused, the one before serves on", cause=str(error), serving=serving)
            self._refused = str(error)
            REFUSED.set(1)
            return False
        self._refused = ""
        REFUSED.set(0)
        taken = policy.digest != self.policy.digest
        if taken:
            self.policy = policy
            _log.info("policy taken", policy=policy.version, digest=policy.digest)
        return taken

    async def refresh(self) -> None:
        """Read the policy again where its files changed, in a thread of maintenance."""
        await in_maintenance_thread(self.look)

    def _read(self) -> Policy:
        """Read it; what was there before is what counts as seen, so that a change meanwhile is seen the next time."""
        seen = self._looks()
        try:
            policy, self._files = read_policy(self._path, self._defaults, self._record_failure)
        finally:
            # Files that this one names first are seen the next time: reading them once more does no harm.
            self._seen = seen
        return policy

    def _looks(self) -> _Seen:
        return tuple(map(_look, (self._path, *self._files)))


def _look(path: Path) -> tuple[int, int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def current_policy(path: Path | None, defaults: Policy) -> CurrentPolicy:
    """The policy in a file, on top of `defaults`; these alone without one. Raises PolicyError."""
    return WatchedPolicy(path, defaults) if path else CurrentPolicy(defaults)
