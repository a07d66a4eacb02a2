"""`python -m bench.card_testing`: how much of card testing is stopped, what it costs good orders, and time per review.

Two models decide a stream of orders that neither was trained on, with the policy of examples/card_testing.yaml and the
agent's own decider, history and ledger: the default model, which knows three kinds of abuse, and one that was trained
on a stream with card testing. Orders arrive as a shop sends them, without the fields that history completes.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq

from agent_server.decider import Decider
from agent_server.decisions.completion import combine, with_completed
from agent_server.decisions.policy import Policy
from agent_server.history_store.attempts import PreviewHistory
from agent_server.ledger import Ledger, open_engine
from agent_server.ledger.schema import MEMORY
from agent_server.policies.current import CurrentPolicy
from agent_server.policies.document import read_policy
from agent_server.scoring.client import ScoringClient
from bench.harness.options import models_of, parser
from contract.messages import messages
from contract.tables import read_table
from data_gen.output.plan import make_plan
from data_gen.patterns import PATTERNS
from data_gen.patterns.shares import DEFAULT_RATIOS
from data_gen.stream.generator import StreamGenerator
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1.scoring_service_pb2 import PredictResponse
from generated.vouch.v1.transaction_pb2 import Transaction
from history.definitions import NAMES
from ml_server.registry.store import load
from ml_server.serving.scorer import FULL, Scorer
from ml_server.training.parameters import Parameters
from ml_server.training.train import train
from runtime.rpc.call import Call
from testing.calls import new_call
from testing.ledger.templates import new_ledger
from testing.reports.results import add, entry

POLICY = Path(__file__).resolve().parents[1] / "examples" / "card_testing.yaml"
ROWS, TRAINING_ROWS, TIMED, DAYS = 16_000, 40_000, 1000, 16
SHARE, TRAINING_SHARE = 0.25, 0.05
SEED, TRAINING_SEED = 90_217, 7
"""The limits of the policy were chosen on a stream of seed 20,321."""
GRACE = 20
"""Attempts of a campaign that may pass."""
SIZES = (1, 10, 100, 1000)


class LocalScorer:
    """A scorer in this process, with the methods of the scoring client that a decider calls."""

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer

    async def predict(self, order: Transaction, call: Call) -> PredictResponse:
        """Return the prediction for an order."""
        return self._scorer.predict(order, FULL)

    async def predict_candidates(self, orders: Sequence[Transaction], seconds: float) -> list[PredictResponse | None]:
        """Return no predictions: a review is decided without counterfactuals."""
        return [None] * len(orders)


Decided = tuple[int, str | None]
"""A decision, and the name of the rule that was applied, if any."""


@dataclass
class Outcome:
    """Decisions on a stream."""

    attempts: Counter[int] = field(default_factory=Counter)
    """By connections of the campaign, after the first GRACE attempts of each."""
    stopped: Counter[int] = field(default_factory=Counter)
    by_rule: Counter[int] = field(default_factory=Counter)
    good: int = 0
    """Good orders in hours with attempts of a campaign."""
    touched: Counter[str] = field(default_factory=Counter)
    """Those that a rule stopped, by rule."""
    stopped_by_score: int = 0
    """Those that the score stopped: with or without the rules."""


def generate_stream(rows: int, share: float, seed: int) -> tuple[pa.Table, list[tuple[int, int]]]:
    """Return a stream with a share of card testing, and for each row its campaign and that campaign's connections."""
    ratios = {**DEFAULT_RATIOS, "card_testing": share, "legitimate": DEFAULT_RATIOS["legitimate"] - share}
    generator = StreamGenerator(make_plan(rows, ratios, PATTERNS, days=DAYS), seed)
    return pa.Table.from_batches(map(generator, generator.plan.chunks)), generator.card_tests()


def train_on_stream(folder: Path, rows: int, parameters: Parameters) -> Scorer:
    """Return a scorer whose model was trained on a stream with card testing."""
    table, _ = generate_stream(rows, TRAINING_SHARE, TRAINING_SEED)
    pq.write_table(table, folder / "stream.parquet")
    return Scorer(train(read_table(folder / "stream.parquet"), parameters).bundle)


def default_scorer(options: argparse.Namespace, folder: Path) -> Scorer:
    """Return a scorer of the model to measure."""
    return Scorer(load(models_of(options, folder)))


async def decide_stream(ledger: Ledger, scorer: Scorer, policy: Policy, orders: Sequence[Transaction]) -> list[Decided]:
    """Decide a stream in order; return for each order the decision, and the rule that was applied, if any."""
    decider = Decider(cast(ScoringClient, LocalScorer(scorer)), CurrentPolicy(policy), ledger, use_history=True)
    return [decided_of((await decider.decide(order, new_call())).answer) for order in orders]


def decided_of(answer: pb.ReviewResponse) -> Decided:
    """Return the decision of an answer, and the rule that was applied, if any."""
    return answer.decision, next((one.name for one in answer.matched_rules if not one.shadow), None)


def outcome_of(
    orders: Sequence[Transaction], tests: Sequence[tuple[int, int]], labels: Sequence[bool], answers: Sequence[Decided]
) -> Outcome:
    """Count what was stopped, of attempts by size of the campaign and of good orders."""
    outcome, seen = Outcome(), Counter[int]()
    attacked = {order.timestamp.seconds // 3600 for order, (campaign, _) in zip(orders, tests, strict=True) if campaign}
    for order, (campaign, connections), abuse, (decision, rule) in zip(orders, tests, labels, answers, strict=True):
        is_stopped = decision != pb.DECISION_APPROVE
        if campaign:
            seen[campaign] += 1
            if seen[campaign] > GRACE:
                outcome.attempts[connections] += 1
                outcome.stopped[connections] += is_stopped
                outcome.by_rule[connections] += is_stopped and rule is not None
        elif not abuse and order.timestamp.seconds // 3600 in attacked:
            outcome.good += 1
            if is_stopped and rule is not None:
                outcome.touched[rule] += 1
            outcome.stopped_by_score += is_stopped and rule is None
    return outcome


def ledger_in(folder: Path, since: int) -> Ledger:
    """Return a new ledger whose history began at a moment."""
    engine = open_engine(new_ledger(folder / "ledger.db"))
    with engine.begin() as connection:
        connection.execute(MEMORY.update().values(since=since))
    return Ledger(engine)


async def measure(
    ledger: Ledger, scorer: Scorer, policy: Policy, table: pa.Table, tests: Sequence[tuple[int, int]], timed: int
) -> tuple[Outcome, Mapping[str, list[float]]]:
    """Decide a stream; return the outcome, and the CPU milliseconds that the rules add to a review."""
    orders = raw_orders(table)
    answers = await decide_stream(ledger, scorer, policy, orders)
    times = await time_rules(ledger, scorer, policy, orders[-timed:])
    ledger.close()
    return outcome_of(orders, tests, table["is_abuse"].to_pylist(), answers), times


def raw_orders(table: pa.Table) -> list[Transaction]:
    """Return orders without the fields that history completes."""
    return list(messages(table.drop_columns([name for name in NAMES if name in table.column_names])))


async def time_rules(
    ledger: Ledger, scorer: Scorer, policy: Policy, orders: Sequence[Transaction]
) -> dict[str, list[float]]:
    """Return the CPU milliseconds that rules add to history and to the policy, by order, in turns."""
    took = defaultdict[str, list[float]](list)
    plain = Policy(policy.approve_from, policy.deny_up_to)
    for number, order in enumerate(orders):
        spent: dict[bool, tuple[float, float]] = {}
        for used in (plain, policy) if number % 2 else (policy, plain):
            begun = time.process_time()
            history = await ledger.write(PreviewHistory(order, counts=used.counts))
            read = time.process_time() - begun
            prediction = scorer.predict(with_completed(order, combine(history.values, {}).values()), FULL)
            begun = time.process_time()
            used.evaluate(order, prediction, counts=history.counts)
            spent[used is policy] = (read, time.process_time() - begun)
        for part, name in enumerate(("history", "policy")):
            took[name].append((spent[True][part] - spent[False][part]) * 1000)
    took["review"] = [history + rules for history, rules in zip(took["history"], took["policy"], strict=True)]
    return took


def figures_of(name: str, outcome: Outcome, times: Mapping[str, Sequence[float]]) -> dict[str, dict[str, Any]]:
    """Return the figures of a stream for the results file."""
    shares = {size: outcome.stopped[size] / outcome.attempts[size] for size in SIZES if outcome.attempts[size]}
    result = {f"{name}_stopped_{size}_addresses": entry([share], "share") for size, share in shares.items()}
    for size in shares:
        result[f"{name}_stopped_by_rule_{size}_addresses"] = entry(
            [outcome.by_rule[size] / outcome.attempts[size]], "share"
        )
    everything = sum(outcome.stopped.values()) / max(sum(outcome.attempts.values()), 1)
    result[f"{name}_stopped"] = entry([everything], "share")
    result[f"{name}_attempts"] = entry([sum(outcome.attempts.values())], "attempts")
    good = max(outcome.good, 1)
    result[f"{name}_good_orders"] = entry([outcome.good], "orders")
    result[f"{name}_good_touched_by_rules"] = entry([sum(outcome.touched.values()) / good], "share")
    result[f"{name}_good_stopped_by_score"] = entry([outcome.stopped_by_score / good], "share")
    for rule, count in outcome.touched.items():
        result[f"{name}_good_touched_by_{rule}"] = entry([count / good], "share")
    return result | {f"{name}_added_to_{part}": entry(values, "ms") for part, values in times.items()}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark and write the results; return 1 if a target is missed."""
    options = parser("bench.card_testing", "Card testing that is stopped.").parse_args(arguments)
    rows, training, timed = (1500, 4000, 10) if options.short else (ROWS, TRAINING_ROWS, TIMED)
    parameters = Parameters(rounds=20) if options.short else Parameters()
    policy, _ = read_policy(POLICY, Policy(0.7, 0.4))
    table, tests = generate_stream(rows, SHARE, SEED)
    met = True
    with tempfile.TemporaryDirectory(prefix="vouch-card-testing-") as name:
        for model in ("default", "trained"):
            folder = Path(name) / model
            folder.mkdir()
            scorer = (
                default_scorer(options, folder) if model == "default" else train_on_stream(folder, training, parameters)
            )
            ledger = ledger_in(folder, int(table["timestamp"][0].as_py().timestamp()))
            figures = figures_of(model, *asyncio.run(measure(ledger, scorer, policy, table, tests, timed)))
            add("card_testing", figures, short=options.short)
            met = met and (
                figures[f"{model}_stopped"]["median"] >= 0.97
                and figures[f"{model}_good_touched_by_rules"]["median"] <= 0.001
                and figures[f"{model}_added_to_review"]["median"] <= 0.3
            )
    return 0 if met or options.short else 1


if __name__ == "__main__":
    sys.exit(main())
