"""`python -m bench.feedback_loop`: do outcomes improve the next model? A complete loop over orders with known truth.

A first model learns from few orders. It decides 20,000 more through the real decider and ledger; reviewers resolve the
cases with errors; banks charge back approved abuse; the labels are exported and train the next model, alone and
together with the first orders. All models are compared with the exact posterior on orders that none of them was trained
on.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from google.protobuf.timestamp_pb2 import Timestamp

from agent_server.cases.claims import Claim, Reviewer
from agent_server.cases.lifecycle import NewCase
from agent_server.cases.recording import RecordDecision
from agent_server.cases.verdicts import Resolve, Verdict
from agent_server.decisions.decide import decide
from agent_server.decisions.policy import Policy, RandomisedApprovals
from agent_server.feedback.outcomes import RecordOutcome
from agent_server.ledger import Ledger, open_engine
from agent_server.ledger.recording import DecisionContext
from contract.fields import LABEL_WEIGHT
from contract.messages import messages
from contract.tables import read_table
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1 import outcome_service_pb2 as outcomes
from generated.vouch.v1.transaction_pb2 import Transaction
from ml_server.data.datasets import combine
from ml_server.evaluation.figures import against_limit, figures
from ml_server.features.table_columns import TableColumns
from ml_server.registry.bundle import Bundle
from ml_server.registry.table_scores import legitimacy
from ml_server.serving.scorer import FULL, Scorer
from ml_server.training.labels import abuse_of
from ml_server.training.parameters import Parameters
from ml_server.training.train import train
from runtime.rpc.call import Call, new_id
from testing.reports.results import entry, write
from testing.servers.processes import call

FIRST, THROUGH, UNSEEN = 3_000, 20_000, 20_000
ERRORS = 0.05
SHARES = (0.0, 0.05)
SHOP = {
    "legitimate": 0.87,
    "suspicious-but-legitimate": 0.05,
    "fake-account": 0.03,
    "account-takeover": 0.02,
    "payment-fraud": 0.03,
}
"""Shares of the types in the shop: abuse is rarer than in the training data of the first model."""
KEY = b"the key of this loop"
_AT_ONCE = 500
_DAY, _MINUTE = 86_400 * 1_000_000, 60 * 1_000_000
_CHARGEBACK_DAYS = (20, 60)


class NoCall:
    """Call of a reviewer without a server."""

    request_id = "bench"


def generate_orders(folder: Path, rows: int, seed: int, ratios: Mapping[str, float]) -> pa.Table:
    """Return generated orders; `ratios` override the generator's shares of types."""
    path = folder / f"orders-{seed}.parquet"
    shares = [part for name, ratio in ratios.items() for part in (f"--{name}-ratio", f"{ratio:g}")]
    done = call("generate", "--size", str(rows), "--seed", str(seed), "--output", str(path), *shares)
    assert done.returncode == 0, done.stderr
    return read_table(path)


async def decide_orders(
    ledger: Ledger, model: Bundle, orders: pa.Table, share: float, rng: np.random.Generator
) -> dict[str, int]:
    """Decide orders, review cases, report chargebacks; how many of each."""
    policy, scorer = Policy(0.7, 0.4, randomised=RandomisedApprovals(share, 1e9, KEY) if share else None), Scorer(model)
    counts = dict.fromkeys(("approved", "denied", "reviewed", "randomised", "chargebacks", "wrong_verdicts"), 0)
    for start in range(0, orders.num_rows, _AT_ONCE):
        rows = orders.slice(start, _AT_ONCE)
        chunk = list(zip(messages(rows), rows["is_abuse"].to_pylist(), strict=True))
        recorded = await asyncio.gather(*(ledger.write(_decision(policy, scorer, order)) for order, _ in chunk))
        approved = []
        for (order, abuse), answer in zip(chunk, (one.answer for one in recorded), strict=True):
            decision = answer.decision
            counts["randomised"] += answer.HasField("randomised_probability")
            if decision == pb.DECISION_REVIEW:
                wrong = bool(rng.random() < ERRORS)
                counts["reviewed"], counts["wrong_verdicts"] = counts["reviewed"] + 1, counts["wrong_verdicts"] + wrong
                decision = pb.DECISION_DENY if abuse != wrong else pb.DECISION_APPROVE
                await _resolve(ledger, answer.case_id, decision, order.timestamp.ToMicroseconds() + _MINUTE)
            else:
                counts["approved" if decision == pb.DECISION_APPROVE else "denied"] += 1
            if decision == pb.DECISION_APPROVE and abuse:
                approved.append(order)
        counts["chargebacks"] += len(approved)
        await asyncio.gather(*(ledger.write(_chargeback(order, rng)) for order in approved))
    return counts


def _decision(policy: Policy, scorer: Scorer, order: Transaction) -> RecordDecision:
    answer, reason = decide(policy, order, scorer.predict(order, FULL))
    answer.decision_id = new_id()
    answer.decided_at.CopyFrom(order.timestamp)
    context = DecisionContext("shop", "", policy.digest)
    return RecordDecision(order, answer, context, NewCase(new_id(), reason))


async def _resolve(ledger: Ledger, case_id: str, verdict: pb.Decision, at: int) -> None:
    ada, call = Reviewer("ada", at), cast(Call, NoCall())
    claimed = await ledger.write(Claim(ada, _DAY, case_id))
    assert claimed is not None
    await ledger.write(Resolve(ada, Verdict(claimed, verdict), call))


def _chargeback(order: Transaction, rng: np.random.Generator) -> RecordOutcome:
    at = order.timestamp.ToMicroseconds() + int(rng.uniform(*_CHARGEBACK_DAYS) * _DAY)
    outcome = outcomes.Outcome(
        transaction_id=order.transaction_id,
        kind=outcomes.OUTCOME_KIND_CHARGEBACK,
        occurred_at=Timestamp(seconds=at // 1_000_000),
        source="bank",
    )
    return RecordOutcome(outcome, at, "bank")


def measure(model: Bundle, unseen: pa.Table) -> dict[str, float]:
    """Return log-loss, its distance from that of the exact posterior, and ranking metrics."""
    scores, is_abuse = legitimacy(model, unseen), abuse_of(unseen)
    confidence = TableColumns(unseen).number("abuse_confidence")
    own, limit = figures(scores, is_abuse), against_limit(scores, is_abuse, confidence)
    apart = np.abs((1 - scores) - confidence).mean()
    return {
        "log_loss": own["log_loss"],
        "above_the_posterior": own["log_loss"] - limit["limit_log_loss"],
        "mean_distance_from_the_posterior": float(apart),
        "roc_auc": own["roc_auc"],
        "ece": own["ece"],
    }


def once(
    folder: Path, first: Bundle, orders: pa.Table, known: pa.Table, unseen: pa.Table, share: float, how: Parameters
) -> dict[str, Any]:
    """Run the loop with one share of randomised approvals."""
    url = f"sqlite:///{folder / f'ledger-{share:g}.db'}"
    ledger = Ledger(open_engine(url))
    counts = asyncio.run(decide_orders(ledger, first, orders, share, np.random.default_rng(1)))
    ledger.close()
    path = folder / f"labels-{share:g}.parquet"
    done = call("labels", "--ledger", url, "export", "--output", str(path), "--matured", "60d")
    assert done.returncode == 0, done.stderr
    labels = read_table(path)
    result: dict[str, Any] = {"counts": counts, "labels": labels.num_rows}
    result["weight"] = float(np.sum(TableColumns(labels).number(LABEL_WEIGHT)))
    for name, table in (("labels_alone", labels), ("with_the_first", combine([labels, known], [1.0, 1.0]))):
        result[name] = measure(train(table, how).bundle, unseen)
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark and write the results; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.feedback_loop")
    parser.add_argument("--short", action="store_true", help="run everything once with few orders and write no results")
    parser.add_argument("--orders", type=int, default=THROUGH)
    parser.add_argument("--seeds", type=int, default=1)
    options = parser.parse_args(arguments)
    through, unseen_rows, first_rows = (300, 300, 300) if options.short else (options.orders, UNSEEN, FIRST)
    how = Parameters(form="tables", rounds=3) if options.short else Parameters(form="tables")
    runs = []
    for seed in range(options.seeds):
        with tempfile.TemporaryDirectory(prefix="vouch-loop-") as name:
            folder = Path(name)
            known = generate_orders(folder, first_rows, 100 * seed + 1, {})
            orders, unseen = (
                generate_orders(folder, rows, 100 * seed + place, SHOP)
                for place, rows in ((2, through), (3, unseen_rows))
            )
            pq.write_table(known, folder / "known.parquet")
            first = train(known, how).bundle
            run: dict[str, Any] = {"first_model": measure(first, unseen)}
            run |= {
                f"randomised_{round(100 * share)}_percent": once(folder, first, orders, known, unseen, share, how)
                for share in SHARES
            }
            runs.append(run)
            print(json.dumps(run, indent=2), flush=True)
    write(
        "loop",
        {name: entry([_at(run, name) for run in runs], unit) for name, unit in _flatten(runs[0])},
        short=options.short,
    )
    return 0


def _flatten(run: dict[str, Any], before: str = "") -> list[tuple[str, str]]:
    """Return all results of a run by their path, with their unit."""
    result = []
    for name, value in run.items():
        path = f"{before}{name}"
        result += (
            _flatten(value, f"{path}.")
            if isinstance(value, dict)
            else [(path, "" if isinstance(value, float) else "orders")]
        )
    return result


def _at(run: dict[str, Any], path: str) -> float:
    value: Any = run
    for name in path.split("."):
        value = value[name]
    return float(value)


if __name__ == "__main__":
    sys.exit(main())
