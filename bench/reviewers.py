"""`python -m bench.reviewers`: is a reviewer with 30 % errors detected? Known truth, eight reviewers, a real ledger.

Cases are those of 20,000 orders that the current model does not decide. Seven reviewers have 5 % errors, one has 30 %.
Each run draws anew who judges which case, who errs, and which cases are reviewed twice or golden.
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
from bench.feedback_loop import SHOP, NoCall, generate_orders
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
"""Shares of cases that are reviewed twice, and that are golden."""
_LEASE = 86_400 * 1_000_000


@dataclass(frozen=True)
class Undecided:
    """An order that the model does not decide, its score, and whether it is abuse."""

    order: Transaction
    prediction: PredictResponse
    is_abuse: bool


def undecided_orders(folder: Path, number: int, models: Path) -> list[Undecided]:
    """Return orders of a shop that the current model sends to reviewers."""
    table, scorer, policy = generate_orders(folder, number, 7, SHOP), Scorer(load(models)), Policy(0.7, 0.4)
    found = []
    for order, abuse in zip(messages(table), table["is_abuse"].to_pylist(), strict=True):
        prediction = scorer.predict(order, FULL)
        if decide(policy, order, prediction)[0].decision == pb.DECISION_REVIEW:
            found.append(Undecided(order, prediction, abuse))
    return found


async def judge_orders(
    url: str, orders: list[Undecided], shares: tuple[float, float], seed: int
) -> list[cases.ReviewerQuality]:
    """Judge all orders once, some two or three times, with golden cases; return the quality of the reviewers."""
    ledger, chance = Ledger(open_engine(url)), random.Random(seed)
    second, golden = shares
    names = [f"reviewer-{at}" for at in range(PEOPLE)]
    truth: dict[str, bool] = {}
    for number, each in enumerate(orders):
        right = pb.DECISION_DENY if each.is_abuse else pb.DECISION_APPROVE
        await ledger.write(_record_decision(f"order-{number}", each, pb.DECISION_UNSPECIFIED))
        truth[f"order-{number}"] = each.is_abuse
        if chance.random() < golden:
            await ledger.write(_record_decision(f"golden-{number}", each, right))
            truth[f"golden-{number}"] = each.is_abuse
        now = 1 + number
        while any([await _one(ledger, Reviewer(name, now), truth, chance, second) for name in _shuffle(names, chance)]):
            now += 1
    answer = await ledger.read(reviewer_quality())
    ledger.close()
    return list(answer.reviewers)


def _shuffle(names: list[str], chance: random.Random) -> list[str]:
    return chance.sample(names, len(names))


def _record_decision(name: str, each: Undecided, golden: pb.Decision) -> RecordDecision:
    order = Transaction()
    order.CopyFrom(each.order)
    order.transaction_id = name
    answer, reason = decide(Policy(0.7, 0.4), order, each.prediction)
    answer.decision_id = new_id()
    answer.decided_at.CopyFrom(order.timestamp)
    context = DecisionContext("shop", "", "")
    return RecordDecision(order, answer, context, NewCase(new_id(), reason, golden=golden))


async def _one(ledger: Ledger, by: Reviewer, truth: dict[str, bool], chance: random.Random, second: float) -> bool:
    """Let a reviewer resolve one case; return whether there was one."""
    claimed = await ledger.write(Claim(by, _LEASE))
    if claimed is None:
        return False
    case = await ledger.read(one_case(claimed.case_id))
    assert case is not None
    errs = chance.random() < (BAD_ERRORS if by.name == "reviewer-0" else ERRORS)
    verdict = pb.DECISION_DENY if truth[case.transaction_id] != errs else pb.DECISION_APPROVE
    call = cast(Call, NoCall())
    await ledger.write(Resolve(by, Verdict(claimed, verdict), call, lambda: chance.random() < second))
    return True


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark and write the results; return the exit code."""
    own = parser("bench.reviewers", "Detection of a bad reviewer.")
    own.add_argument("--orders", type=int, default=ORDERS)
    own.add_argument("--runs", type=int, default=10)
    options = own.parse_args(arguments)
    orders_count, run_count = (800, 1) if options.short else (options.orders, options.runs)
    entries: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="vouch-reviewers-") as name:
        folder = Path(name)
        orders = undecided_orders(folder, orders_count, models_of(options, folder))
        entries["cases"] = entry([float(len(orders))], "cases")
        for word, shares in SHARES.items():
            runs = [
                asyncio.run(judge_orders(f"sqlite:///{folder / f'{word}-{seed}.db'}", orders, shares, seed))
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
