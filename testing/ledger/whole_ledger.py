"""A ledger with rows in every table."""

import contextlib
from pathlib import Path
from typing import TypeVar

from agent_server.audit.signing import Signing, read_public, signature_fits
from agent_server.audit.verify import Verification, verify_ledger
from agent_server.cases.claims import Claim, Comment, Reviewer
from agent_server.cases.golden_copies import record_origin
from agent_server.cases.lifecycle import NewCase, VerdictDetails
from agent_server.cases.recording import RecordDecision
from agent_server.cases.verdicts import Resolve, Verdict
from agent_server.feedback.outcomes import RecordOutcome
from agent_server.history_store.attempts import HistoryFeatures, RecordAttempt
from agent_server.history_store.compaction import Compact
from agent_server.ledger import Ledger, open_engine, reading
from agent_server.ledger.recording import DecisionContext
from agent_server.ledger.schema import IMPORT_EXCLUSIONS
from agent_server.ledger.transaction import Write
from agent_server.privacy import Erase
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1 import case_service_pb2 as cases
from generated.vouch.v1.outcome_service_pb2 import OUTCOME_KIND_CHARGEBACK, Outcome
from runtime.errors import Unavailable
from testing.inputs.orders import message
from testing.ledger.decisions import answer_for, new_decision

LEASE = 600_000_000
T = TypeVar("T")


class _VerdictCall:
    request_id = "verdict"


class RetryingLedger(Ledger):
    """A ledger that retries writes as a client does: on a busy machine a write may exceed its timeout."""

    async def write(self, write: Write[T]) -> T:
        """Run a write, again after each UNAVAILABLE."""
        while True:
            with contextlib.suppress(Unavailable):
                return await super().write(write)


async def write_whole_ledger(url: str, key: Path | None) -> None:
    """Write rows to every table: decisions, verdicts, blind reviews, outcomes, history, totals and an erasure."""
    ledger = RetryingLedger(open_engine(url), Signing(key) if key else None)
    for number in range(6):
        order = message(transaction_id=f"t{number}", user_id=f"user-{number}", device_id=f"device-{number}")
        recalled = await ledger.write(RecordAttempt(order))
        assert isinstance(recalled, HistoryFeatures)
        answer = answer_for(order.transaction_id)
        context = DecisionContext("shop", f"request-{number}", "d" * 64, recalled.position)
        opening = NewCase(f"{number:032x}", cases.CASE_REASON_UNCERTAIN, held=number == 1)
        await ledger.write(RecordDecision(order, answer, context, opening))
    for turn, name in enumerate(("ada", "bob", "ada", "bob")):
        by = Reviewer(name, 1_000_000 * (turn + 2))
        claimed = await ledger.write(Claim(by, LEASE))
        assert claimed is not None
        await ledger.write(Comment(by, claimed.case_id, "called the customer"))
        verdict = Verdict(claimed, pb.DECISION_DENY, VerdictDetails("stolen card", "payment_fraud", "card"))
        await ledger.write(Resolve(by, verdict, _VerdictCall(), lambda: True))  # type: ignore[arg-type]
    for number in range(6):
        outcome = Outcome(transaction_id=f"t{number}", kind=OUTCOME_KIND_CHARGEBACK, source="bank")
        await ledger.write(RecordOutcome(outcome, 10 + number, "shop"))
    for amount in (9.0, 10.0):
        await ledger.write(RecordAttempt(message(transaction_id="t2", user_id="user-2", order_amount=amount)))
    await ledger.write(lambda group: record_origin(group, 3, [1, 2]))
    assert await ledger.write(Compact(0, [1]))
    await ledger.write(lambda group: group.execute(IMPORT_EXCLUSIONS.insert().values(user_id=7)))
    await ledger.write(new_decision("gone", user_id="gone"))
    assert await ledger.write(Erase(user_id="gone"))
    assert await ledger.available(0)
    ledger.close()


def verified_ledger(path: Path, key: Path | None = None) -> Verification:
    """Verify a SQLite ledger, with a public key or without."""
    public = read_public(key) if key else None
    fits = None if public is None else lambda signature, content: signature_fits(public, signature, content)
    with reading(f"sqlite:///{path}") as connection:
        return verify_ledger(connection, fits)
