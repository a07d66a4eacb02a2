"""`python -m bench.policy`: cost of a rule, and of a hundred rules in a review.

A rule is timed alone, without score and ledger. Reviews run alternately over two agents on one scorer, one with a
hundred rules that never match, the other with none.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from agent_server.decisions.policy import Policy
from agent_server.policies.document import read_policy
from bench.harness.options import models_of, parser
from generated.vouch.v1.scoring_service_pb2 import PredictResponse
from testing.inputs.orders import message
from testing.load import Call, capacity, until_answered
from testing.reports.results import entry, write
from testing.servers.clients import review
from testing.servers.replicas import agent, running, scorer
from testing.waiting import wait_for

RULES, LISTED, ROUNDS, SECONDS, CALLERS = 100, 100_000, 5, 3.0, 16
_TIMED = 2000
_CONDITIONS = (
    "order.order_amount > {} && order.account_age_days < 3",
    "order.device_id in lists.blocked && score < 0.0{}",
    "abuse.payment_fraud > 0.99 && order.card_country != order.billing_country && order.order_amount > {}",
    "order.email_domain == 'nowhere{}.example' || order.vpn_proxy_detected && score < 0.001",
)


def policy_of(folder: Path, rules: int, listed: int) -> Path:
    """Write a policy of `rules` rules that do not match the documented order, and a list of `listed` entries."""
    (folder / "blocked.txt").write_text("\n".join(f"device-{number}" for number in range(listed)))
    lines = ["lists: {blocked: {file: blocked.txt}}", "rules:" if rules else "rules: []"]
    for number in range(rules):
        condition = _CONDITIONS[number % len(_CONDITIONS)].format(90_000 + number)
        lines.append(f'- {{name: r{number}, when: "{condition}", then: deny, reason: r}}')
    path = folder / f"policy-{rules}.yaml"
    path.write_text("\n".join(lines) + "\n")
    return path


def rule_cost(folder: Path, rounds: int, timed: int, listed: int) -> list[float]:
    """Return the microseconds that each rule adds, in rounds of `timed` decisions."""
    order = message(device_id="dev-1", card_country="US", billing_country="US", vpn_proxy_detected=False)
    prediction, plain = PredictResponse(legitimacy_score=0.9), Policy(0.7, 0.4)
    policies = [read_policy(policy_of(folder, rules, listed), plain)[0] for rules in (0, RULES)]
    costs = []
    for _ in range(rounds):
        took = []
        for policy in policies:
            begun = time.perf_counter()
            for _ in range(timed):
                assert not policy.evaluate(order, prediction).matched
            took.append(time.perf_counter() - begun)
        costs.append((took[1] - took[0]) / timed / RULES * 1e6)
    return costs


@asynccontextmanager
async def reviewing(folder: Path, models: Path, listed: int, warm_up: float) -> AsyncIterator[list[Call]]:
    """Yield calls that review with no rule and with a hundred."""
    behind, fronts = scorer(folder, models), []
    for rules in (0, RULES):
        (folder / str(rules)).mkdir()
        front = agent(folder / str(rules), behind.address)
        front.settings = {**front.settings, "VOUCH_AGENT_POLICY": str(policy_of(folder, rules, listed))}
        fronts.append(front)
    with running(behind, *fronts):
        await asyncio.to_thread(wait_for, behind.serving, what="the scorer serving")
        for front in fronts:
            await asyncio.to_thread(wait_for, front.listening, what="the agent listening")
        async with review(fronts[0].address) as without, review(fronts[1].address) as with_rules:
            for call in (without, with_rules):
                await until_answered(call)
                await capacity(call, 4, warm_up)
            yield [without, with_rules]


async def ratios(
    folder: Path, models: Path, listed: int, warm_up: float, rounds: int, callers: int, seconds: float
) -> list[float]:
    """Return reviews a second with a hundred rules as a share of those with none, by rounds."""
    async with reviewing(folder, models, listed, warm_up) as calls:
        rates = [[await capacity(call, callers, seconds) for call in calls] for _ in range(rounds)]
    return [with_rules / without for without, with_rules in rates]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark and write the results; return 1 if a target is missed."""
    options = parser("bench.policy", "Cost of a rule.").parse_args(arguments)
    rounds, timed, listed = (1, 20, 100) if options.short else (ROUNDS, _TIMED, LISTED)
    warm_up, callers, seconds = (0.01, 2, 0.01) if options.short else (1.0, CALLERS, SECONDS)
    with tempfile.TemporaryDirectory(prefix="vouch-policy-") as name:
        folder = Path(name)
        costs = rule_cost(folder, rounds, timed, listed)
        shares = asyncio.run(ratios(folder, models_of(options, folder), listed, warm_up, rounds, callers, seconds))
    figures = {"rule": entry(costs, "us"), "review_with_100_rules": entry(shares, "ratio")}
    write("policy", figures, short=options.short)
    if options.short:
        return 0
    return 0 if figures["rule"]["median"] <= 20 and figures["review_with_100_rules"]["median"] >= 0.8 else 1


if __name__ == "__main__":
    sys.exit(main())
