"""A policy in a real agent: reloaded while it serves, rejected if broken, and reported over every transport."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from chaos.policies import denying_from, swap_policies
from load_test.orders import read_orders
from testing.inputs.orders import DOCUMENTED
from testing.requests import BOTH, post
from testing.servers.processes import Stack, call
from testing.waiting import wait_for

SWAPS, SEEN_BROKEN = 6, 2
"""The first swaps wait until the agent has rejected the broken file; for later ones it may never see it."""


@pytest.fixture(scope="module")
def agent_with_policy(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Run a scorer and an agent with a policy from a file."""
    folder = tmp_path_factory.mktemp("policed")
    running = Stack(folder, models, settings={"VOUCH_AGENT_POLICY": str(folder / "policy.yaml")})
    (folder / "policy.yaml").write_text(denying_from(1000))
    try:
        running.start("ml", "agent", "rest_agent")
        running.wait_until_healthy()
        yield running
    finally:
        running.close()


async def test_swaps_under_load_lose_nothing(models: Path, tmp_path: Path) -> None:
    """While the file changes no call fails, and each answer follows the policy that it names."""
    swapped = await swap_policies(tmp_path, models, SWAPS, SEEN_BROKEN, pause=0.02)
    assert (swapped.served, swapped.wrong, swapped.refused) == (SWAPS, 0, SEEN_BROKEN)


def test_rules_and_changes_are_returned_over_rest(agent_with_policy: Stack, few: Path) -> None:
    """REST returns the rules that matched, and the changes that would get an approval."""
    ruled, changes = list[Any](), list[Any]()
    for number, order in enumerate(read_orders(few)):
        answer = post(agent_with_policy, BOTH[1], order.body | {"transaction_id": f"told-{number}"}).json()
        ruled += [answer] if answer["matched_rules"] else []
        changes += answer["agent_analysis"]["counterfactuals"] if answer["decision"] == "review" else []
        if ruled and len(changes) >= 10:
            break
    assert ruled and all(answer["matched_rules"][0]["effect"] == "deny" for answer in ruled)
    assert changes and all(change["legitimacy_score"] >= 0.7 and change["changes"] for change in changes)
    assert changes[0]["sentence"].startswith("approve if ")


def test_the_command_checks_shows_and_tests(
    agent_with_policy: Stack, few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`check` reports the place of a mistake; `test` compares with the current policy on data and ledger."""
    path = tmp_path / "new.yaml"
    path.write_text("rules:\n- name: big\n  when: order.order_amont > 5\n  then: deny\n  reason: r\n")
    refused = call("policy", "check", str(path))
    assert refused.returncode == 1 and f"{path}:3:9: rule big: unknown name order.order_amont" in refused.stderr
    path.write_text('rules:\n- {name: big, when: order.order_amount > 5, then: deny, reason: "a\\e[31m"}\n')
    accepted = call("policy", "check", str(path))
    assert accepted.returncode == 0 and f"{path}: ok, 1 rule, " in accepted.stdout
    checked = json.loads(call("policy", "check", str(path), "--json").stdout)
    assert checked["ok"] and [rule["name"] for rule in checked["rules"]] == ["big"]
    shown = call("policy", "show", str(path)).stdout
    assert "big (deny): order.order_amount > 5" in shown and "\x1b" not in shown
    monkeypatch.setenv("VOUCH_AGENT_SCORER", agent_with_policy.address("ml"))
    tested = call("policy", "test", str(path), "--dataset", str(few))
    assert tested.returncode == 0, tested.stderr
    assert "good orders stopped" in tested.stdout and "big:" in tested.stdout
    as_json = json.loads(call("policy", "test", str(path), "--dataset", str(few), "--json").stdout)
    moved = sum(count for row in as_json["moves"].values() for count in row.values())
    assert as_json["orders"] == moved == 600 and as_json["rules"]["big"] > 0
    page = tmp_path / "page.html"
    assert call("policy", "test", str(path), "--dataset", str(few), "--html", str(page)).returncode == 0
    content = page.read_text()
    assert content.count("<svg") >= 3 and "good orders stopped" in content and "src=" not in content
    assert call("policy", "test", str(path), "--dataset", str(few), "--html", str(tmp_path)).returncode == 2
    assert post(agent_with_policy, BOTH[1], DOCUMENTED | {"transaction_id": "kept-for-the-test"}).status_code == 200
    monkeypatch.setenv("VOUCH_AGENT_LEDGER_URL", f"sqlite:///{agent_with_policy.folder / 'ledger.db'}")
    from_ledger = call("policy", "test", str(path), "--ledger", "--since", "1d")
    assert from_ledger.returncode == 0 and "reviews a day" in from_ledger.stdout, from_ledger.stderr


FAILING = """\
rules:
- {name: odd-ids, when: int(order.user_id) > 5, then: deny, reason: r}
- {name: all-others, when: order.order_amount > 0, then: review, reason: "Everything is looked at."}
"""


def test_a_failing_rule_is_reported_and_blocks_nothing(agent_with_policy: Stack) -> None:
    """If a rule cannot be evaluated for an order, the others decide it; health and the agent name the rule."""
    url = agent_with_policy.url("rest_agent")
    swap(agent_with_policy.folder / "policy.yaml", FAILING)
    wait_for(lambda: "rules=2@" in httpx.get(f"{url}/api/v1/agent/info").json()["policy_version"], what="the policy")
    assert httpx.get(f"{url}/api/v1/health").json()["status"] == "healthy"
    for number in range(20):  # until rules are evaluated together
        order = DOCUMENTED | {"transaction_id": f"odd-{number}"}
        answer = post(agent_with_policy, BOTH[1], order).json()
        assert (answer["decision"], answer["matched_rules"][0]["name"]) == ("review", "all-others")
    health = httpx.get(f"{url}/api/v1/health").json()
    assert (health["status"], health["failing_rules"]) == ("degraded", ["odd-ids"])
    assert (health["ml_service_available"], health["ledger_available"]) == (True, True)
    info = httpx.get(f"{url}/api/v1/agent/info").json()
    assert (info["agent_status"], info["failing_rules"]) == ("degraded", ["odd-ids"])
    log = (agent_with_policy.folder / "agent.log").read_text()
    assert log.count("could not be evaluated") == 1 and DOCUMENTED["user_id"] not in log
    swap(agent_with_policy.folder / "policy.yaml", denying_from(1000))
    wait_for(agent_with_policy.agent_is("healthy"), what="health without the rule")


def swap(path: Path, text: str) -> None:
    """Replace a file in one step."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.rename(path)
