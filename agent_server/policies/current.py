"""The current policy. It is reloaded when its file or a file of its lists changes; an invalid file is rejected."""

from pathlib import Path

from prometheus_client import Gauge

from agent_server.decisions.policy import Policy
from agent_server.policies.document import read_policy
from agent_server.policies.failures import RuleFailures
from agent_server.policies.yaml_reader import PolicyError
from runtime.jobs import in_maintenance_thread
from runtime.telemetry.logging import get_logger

REFUSED = Gauge(
    "vouch_policy_refused", "1 while the policy file is invalid and an older policy serves", multiprocess_mode="max"
)
_log = get_logger()
_FileVersions = tuple[tuple[int, int, int] | None, ...]


class CurrentPolicy:
    """The current policy, as `policy`. Without a file it never changes."""

    def __init__(self, policy: Policy, failures: RuleFailures | None = None) -> None:
        self.policy, self._failures = policy, failures or RuleFailures()

    @property
    def failing_rules(self) -> list[str]:
        """Names of the policy's rules that recently could not be evaluated for some order, in this process."""
        rules = {rule.name for rule in self.policy.rules.rules} if self.policy.rules else set()
        return [name for name in self._failures.recent() if name in rules]

    async def refresh(self) -> None:
        """Reload the policy if its files changed."""


class WatchedPolicy(CurrentPolicy):
    """A policy from a file, on top of `defaults`. Raises PolicyError if it cannot be read at the start."""

    def __init__(self, path: Path, defaults: Policy) -> None:
        self._path, self._defaults = path, defaults
        self._files: tuple[Path, ...] = ()
        self._versions: _FileVersions = ()
        self._refused, failures = "", RuleFailures()
        self._record_failure = failures.record
        super().__init__(self._read(), failures)

    def reload(self) -> bool:
        """Reload the policy if its files changed; return whether the policy is another one."""
        if self._file_versions() == self._versions and not self._refused:
            return False
        try:
            policy = self._read()
        except PolicyError as error:
            # Read it again until it is valid: a missing file of a list may appear, and its path may not be watched yet.
            if str(error) != self._refused:
                serving = self.policy.version
                _log.error("policy file rejected; keeping the previous policy", cause=str(error), serving=serving)
            self._refused = str(error)
            REFUSED.set(1)
            return False
        self._refused = ""
        REFUSED.set(0)
        changed = policy.digest != self.policy.digest
        if changed:
            self.policy = policy
            _log.info("policy loaded", policy=policy.version, digest=policy.digest)
        return changed

    async def refresh(self) -> None:
        """Reload the policy if its files changed, in the maintenance thread."""
        await in_maintenance_thread(self.reload)

    def _read(self) -> Policy:
        """Read the policy. Note the file versions from before, so that a change during reading is noticed next time."""
        versions = self._file_versions()
        try:
            policy, self._files = read_policy(self._path, self._defaults, self._record_failure)
        finally:
            # Files that the policy names for the first time are noticed next time; reading them again is harmless.
            self._versions = versions
        return policy

    def _file_versions(self) -> _FileVersions:
        return tuple(map(_file_version, (self._path, *self._files)))


def _file_version(path: Path) -> tuple[int, int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def current_policy(path: Path | None, defaults: Policy) -> CurrentPolicy:
    """Return the policy in a file, on top of `defaults`; only `defaults` without a file. Raises PolicyError."""
    return WatchedPolicy(path, defaults) if path else CurrentPolicy(defaults)
