"""Policies swapped under reviews: none fails, and each answer follows the policy version that it names."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

import grpc

from agent_server.decisions.policy import Policy
from agent_server.policies.document import read_policy
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1.agent_service_pb2_grpc import AgentServiceStub
from testing.inputs.orders import message
from testing.servers.replicas import agent, running, scorer
from testing.waiting import wait_for

_REFUSED = "policy file rejected"
_LOWEST, _SECONDS = 1000, 10.0


@dataclass
class PolicySwapResult:
    """Counts of reviews, of policies, and of broken files that were rejected. `wrong` must be 0."""

    calls: int = 0
    served: int = 0
    refused: int = 0
    wrong: int = 0


def denying_from(amount: int) -> str:
    """Return a policy that denies orders above an amount."""
    rule = f"{{name: huge, when: order.order_amount > {amount}, then: deny, reason: r}}"
    return f"thresholds: {{approve: 0.7}}\nrules:\n- {rule}\n"


async def swap_policies(
    folder: Path, models: Path, swaps: int, seen_broken: int, pause: float = 0.0
) -> PolicySwapResult:
    """Swap policies `swaps` times, each after a broken file that is in place for a moment.

    For the first `seen_broken` it waits until the agent has rejected the broken file. A review that fails raises. There
    are `pause` seconds between two reviews.
    """
    path, limits, result, seen = folder / "policy.yaml", dict[str, int](), PolicySwapResult(), set[str]()
    for limit in range(_LOWEST, _LOWEST + swaps):
        path.write_text(denying_from(limit))
        limits[read_policy(path, Policy(0.7, 0.4))[0].version] = limit
    path.write_text(denying_from(_LOWEST))
    behind = scorer(folder, models)
    front = agent(folder, behind.address)
    front.settings = {**front.settings, "VOUCH_AGENT_POLICY": str(path)}
    with running(behind, front):
        await asyncio.to_thread(wait_for, behind.serving, what="the scorer serving")
        await asyncio.to_thread(wait_for, front.listening, what="the agent listening")
        async with grpc.aio.insecure_channel(front.address) as channel:
            stub = AgentServiceStub(channel)

            async def review() -> None:
                result.calls += 1
                amount = _LOWEST + 0.5 + result.calls % swaps
                order = message(transaction_id=f"swap-{result.calls}", order_amount=amount)
                answer = await stub.Review(pb.ReviewRequest(transaction=order), timeout=_SECONDS)
                ruled = [rule.name for rule in answer.matched_rules] == ["huge"]
                result.wrong += ruled != (amount > limits[answer.policy_version])
                seen.add(answer.policy_version)
                await asyncio.sleep(pause)

            for place, (version, limit) in enumerate(limits.items()):
                (folder / "broken.yaml").write_text("rules: 5\n")
                refused = front.log.read_text().count(_REFUSED)
                (folder / "broken.yaml").replace(path)
                while 0 < place <= seen_broken and front.log.read_text().count(_REFUSED) == refused:
                    await review()
                (folder / "next.yaml").write_text(denying_from(limit))
                (folder / "next.yaml").replace(path)
                while version not in seen:
                    await review()
        result.served, result.refused = len(seen), min(front.log.read_text().count(_REFUSED), seen_broken)
    return result
