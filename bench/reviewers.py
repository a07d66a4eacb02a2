"""`python -m bench.reviewers`: is the reviewer found who errs at 30 %? Orders with known truth, eight reviewers, a real ledger.

Cases are those that the current model leaves open of 20,000 orders. Seven reviewers err at 5 %, one at 30 %. Each run draws
anew who judges what, who errs, and what is judged twice or golden.
"""

import asyncio
import random
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from agent_server.cases.claims import Claim, Reviewer
from agent_server.cases.lifecycle import NewCase
from agent_server.cases.queries import one_case
from agent_server.cases.recording import RecordDecision
from agent_server.cases.verdicts import Resolve, Verdict
from agent_server.decisions.decide import decide
from agent_server.decisions.policy import Policy
from agent_server.feedback.reviewers import reviewer_quality
from agent_server.ledger import Ledger, open_engine
from agent_server.ledger.recording import DecisionContext
from bench.feedback_loop import SHOP, generated
from bench.harness.options import models_of, parser
from contract.messages import messages
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1 import case_service_pb2 as cases
from generated.vouch.v1.scoring_service_pb2 import PredictResponse
from generated.vouch.v1.transaction_pb2 import Transaction
from ml_server.registry.store import load
from ml_server.serving.scorer import FULL, Scorer
from runtime.rpc.call import Call, new_id
from testing.reports.results import entry, write

ORDERS, PEOPLE, ERRORS, BAD_ERRORS = 20_000, 8, 0.05, 0.3
SHARES = {"default": (0.05, 0.02), "more": (0.2, 0.1)}
"""Shares that are judged twice, and that are golden."""
_LEASE = 86_400 * 1_000_000


class _Nobody:
    """The call of a reviewer that no server made."""

    request_id = "reviewers"


@dataclass(frozen=True)
class Open:
    """An order that is left open, its score, and whether it is abuse."""

    order: Transaction
    prediction: PredictResponse
    is_abuse: bool


def open_orders(folder: Path, number: int, models: Path) -> list[Open]:
    """Orders of a shop that the current model leaves to people."""
    table, scorer, policy = generated(folder, number, 7, SHOP), Scorer(load(models)), Policy(0.7, 0.4)
    found = []
    for order, abuse in zip(messages(table), table["is_abuse"].to_pylist(), strict=True):
        prediction = scorer.predict(order, FULL)
        if decide(policy, order, prediction)[0].decision == pb.DECISION_REVIEW:
            found.append(Open(order, prediction, abuse))
    return found


async def judged(url: str, orders: list[Open], shares: tuple[float, float], seed: int) -> list[cases.ReviewerQuality]:
    """All orders judged once, some twice or thrice, some golden ones beside them; the quality of the reviewers."""
    ledger, chance = Ledger(open_engine(url)), random.Random(seed)
    second, golden = shares
    names = [f"reviewer-{at}" for at in range(PEOPLE)]
    truth: dict[str, bool] = {}
    for number, each in enumerate(orders):
        right = pb.DECISION_DENY if each.is_abuse else pb.DECISION_APPROVE
        await ledger.write(_kept(f"order-{number}", each, pb.DECISION_UNSPECIFIED))
        truth[f"order-{number}"] = each.is_abuse
        if chance.random() < golden:
            await ledger.write(_kept(f"golden-{number}", each, right))
            truth[f"golden-{number}"] = each.is_abuse
        now = 1 + number
        while any(
            [await _one(ledger, Reviewer(name, now), truth, chance, second) for name in _shuffled(names, chance)]
        ):
            now += 1
    answer = await ledger.read(reviewer_quality())
    ledger.close()
    return list(answer.reviewers)


def _shuffled(names: list[str], chance: random.Random) -> list[str]:
    return chance.sample(names, len(names))


def _kept(name: str, each: Open, golden: pb.Decision) -> RecordDecision:
    order = Transaction()
    order.CopyFrom(each.order)
    order.transaction_id = name
    answer, reason = decide(Policy(0.7, 0.4), order, each.prediction)
    answer.decision_id = new_id()
    answer.decided_at.CopyFrom(order.timestamp)
    asked = DecisionContext("shop", "", "")
    return RecordDecision(order, answer, asked, NewCase(new_id(), reason, golden=golden))


async def _one(ledger: Ledger, by: Reviewer, truth: dict[str, bool], chance: random.Random, second: float) -> bool:
    """One case by a reviewer, if one waits for that one."""
    claimed = await ledger.write(Claim(by, _LEASE))
    if claimed is None:
        return False
    case = await ledger.read(one_case(claimed.case_id))
    assert case is not None
    errs = chance.random() < (BAD_ERRORS if by.name == "reviewer-0" else ERRORS)
    verdict = pb.DECISION_DENY if truth[case.transaction_id] != errs else pb.DECISION_APPROVE
    nobody = cast(Call, _Nobody())
    await ledger.write(Resolve(by, Verdict(claimed, verdict), nobody, lambda: chance.random() < second))
    return True


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it and keep the figures; return the exit code."""
    own = parser("bench.reviewers", "How soon a bad reviewer is found.")
    own.add_argument("--orders", type=int, default=ORDERS)
    own.add_argument("--runs", type=int, default=10)
    options = own.parse_args(arguments)
    orders_count, run_count = (800, 1) if options.short else (options.orders, options.runs)
    entries: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="vouch-reviewers-") as name:
        folder = Path(name)
        orders = open_orders(folder, orders_count, models_of(options, folder))
        entries["cases"] = entry([float(len(orders))], "cases")
        for word, shares in SHARES.items():
            runs = [
                asyncio.run(judged(f"sqlite:///{folder / f'{word}-{seed}.db'}", orders, shares, seed))
                for seed in range(run_count)
            ]
            bad = [next(one for one in run if one.reviewer == "reviewer-0") for run in runs]
            others = [one for run in runs for one in run if one.reviewer != "reviewer-0"]
            worst = [max(run, key=lambda one: one.wrong / max(one.checked, 1)).reviewer == "reviewer-0" for run in runs]
            entries |= {
                f"{word}.found": entry([float(sum(one.stands_out for one in bad))], f"of {run_count} runs"),
                f"{word}.errs_most": entry([float(sum(worst))], f"of {run_count} runs"),
                f"{word}.others_suspected": entry([float(sum(one.stands_out for one in others))], f"of {len(others)}"),
                f"{word}.checked_of_the_bad_one": entry([float(one.checked) for one in bad], "verdicts"),
                f"{word}.error_of_the_bad_one": entry([one.wrong / max(one.checked, 1) for one in bad], ""),
                f"{word}.error_of_the_others": entry([one.wrong / max(one.checked, 1) for one in others], ""),
            }
            for title, value in entries.items():
                print(title, value)
    write("reviewers", entries, short=options.short)
    return 0


if __name__ == "__main__":
    sys.exit(main())
