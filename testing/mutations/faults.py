"""Twenty faults, five each in ledger, guard, policy and history, with the tests that must find them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Fault:
    """A text that occurs once in a file, its faulty replacement, and the tests that must fail with it."""

    topic: str
    what: str
    file: str
    text: str
    fault: str
    tests: Sequence[str]


def _in(topic: str, file: str, tests: Sequence[str], *faults: tuple[str, str, str]) -> list[Fault]:
    return [Fault(topic, what, file, text, fault, tests) for what, text, fault in faults]


_INDENT: Final = 16 * " "
_LEDGER: Final = (
    "tests/agent/ledger/test_tampering.py",
    "tests/agent/ledger/test_forged_chains.py",
    "tests/agent/ledger/test_ledger.py",
    "tests/agent/ledger/test_writes.py",
)
_GUARD: Final = (
    "tests/runtime/rpc/test_guard.py",
    "tests/runtime/rpc/test_grpc_tuning.py",
    "tests/agent/services/test_overload.py",
    "tests/agent/services/test_scorer_failures.py",
    "tests/agent/services/test_roles.py",
    "tests/transports/test_rest_work.py",
    "tests/transports/test_grpc_work.py",
)
_POLICY: Final = (
    "tests/agent/policies/test_policy.py",
    "tests/agent/policies/test_randomised.py",
    "tests/agent/cases/test_blind.py",
)
_HISTORY: Final = (
    "tests/history",
    "tests/agent/history_store/test_history.py",
    "tests/agent/history_store/test_order_identity.py",
)

FAULTS: Final = [
    *_in(
        "ledger",
        "agent_server/ledger/chain.py",
        _LEDGER,
        (
            "the chain does not cover the facts of a decision",
            'b"".join((before, numbers, name, facts, commitment))',
            'b"".join((before, numbers, name, commitment))',
        ),
    ),
    *_in(
        "ledger",
        "agent_server/ledger/transaction/head.py",
        _LEDGER,
        (
            "a foreign end of the chain is appended to",
            "if (head.sequence or head.rows_number) and not",
            "if head.rows_number and not",
        ),
    ),
    *_in(
        "ledger",
        "agent_server/ledger/writer.py",
        _LEDGER,
        (
            "a write is recorded although its caller got an error",
            "pending = [one for one in pending if not one[2].done()]",
            "pending = list(pending)",
        ),
        (
            "a write that breaks a rule of the tables fails those that share its transaction",
            "return [result for write in writes for result in self._commit([write])]",
            "return [error for _ in writes]",
        ),
    ),
    *_in(
        "ledger",
        "agent_server/ledger/recording.py",
        _LEDGER,
        ("the same order with other content gets the answer to the first", "if known.content_digest == digest]", "]"),
    ),
    *_in(
        "guard",
        "runtime/rpc/guard.py",
        _GUARD,
        ("work begins after the deadline", "remaining <= 0:", "remaining < -5:"),
        ("a stream that ended keeps its place", "                streams.in_use -= 1\n", "                pass\n"),
        (
            "bytes are read before the key",
            f"{_INDENT}admit(call, path)\n{_INDENT}message = read(request)",
            f"{_INDENT}message = read(request)\n{_INDENT}admit(call, path)",
        ),
        (
            "a call without a row in the roles table is open to shops",
            "self._roles.get(path, ())",
            'self._roles.get(path, ("shop",))',
        ),
        (
            "the text of an unknown exception reaches the caller",
            "VouchError(INTERNAL_MESSAGE, request_id=request_id)",
            "VouchError(str(error), request_id=request_id)",
        ),
    ),
    *_in(
        "policy",
        "agent_server/decisions/policy.py",
        _POLICY,
        ("the denial threshold is exclusive", "if score <= deny_up_to:", "if score < deny_up_to:"),
        ("the approval threshold is exclusive", "elif score >= approve_from:", "elif score > approve_from:"),
        (
            "one field more is needed than documented",
            "if known < self.minimum_evidence:",
            "if known <= self.minimum_evidence:",
        ),
        (
            "an order of just the highest amount is never drawn",
            "amount > self.up_to:",
            "amount >= self.up_to:",
        ),
        (
            "an order of just the amount needs one reviewer",
            "amount >= self.two_reviewers_from",
            "amount > self.two_reviewers_from",
        ),
    ),
    *_in(
        "history",
        "history/replay.py",
        _HISTORY,
        (
            "an attempt at the beginning of a window is outside",
            "begun = bisect_left(latest",
            "begun = bisect_right(latest",
        ),
        ("one attempt of a key too few is looked at", "end - LATEST) : end", "end - LATEST + 1) : end"),
    ),
    *_in(
        "history",
        "history/definitions.py",
        _HISTORY,
        ("an account opened when memory began is unknown", "opened >= since", "opened > since"),
        (
            "a masked address is a key",
            "(name == Key.ADDRESS.value and _is_no_key(text))",
            "(name == Key.DEVICE.value and _is_no_key(text))",
        ),
    ),
    *_in(
        "history",
        "agent_server/ledger/attempts.py",
        _HISTORY,
        (
            "a denied order counts",
            "tx.set_counts(number, counts=not denied)",
            "tx.set_counts(number, counts=True)",
        ),
    ),
]
