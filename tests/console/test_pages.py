"""The pages without scripts: everything works by links and forms, and computed numbers add up."""

import os
import re

import httpx
from hypothesis import given
from hypothesis import strategies as st

from console.views.formatting import format_duration
from console.views.orders import GROUPS, group_fields
from console.views.plots import logit, waterfall
from contract.fields import FIELDS
from generated.vouch.v1 import agent_service_pb2 as pb
from testing.inputs.orders import message
from testing.servers.processes import run
from tests.console.conftest import Desk
from tests.console.test_access import csrf


def claim_next(client: httpx.Client) -> str:
    """Claim the next case; return the path of its page below /console."""
    answer = client.post("/next", data={"csrf": csrf(client)})
    assert answer.status_code == 303, answer.text
    return answer.headers["location"].removeprefix("/console")


def test_a_case_without_a_script(desk: Desk) -> None:
    """A case is claimed, read, commented and resolved, and the decision names the reviewer."""
    desk.order(order_amount=1e6)  # the most urgent one: other tests leave cases whose ids are no plain text
    ada = desk.signed_in("ada")
    path = claim_next(ada)
    page = ada.get(path).text
    transaction = re.search(r"<h1><bdi[^>]*>([^<]+)", page)
    assert transaction
    for words in ("Approve", "Release", "Evidence", "What would change the decision", "Device and network"):
        assert words in page
    assert ada.post(f"{path}/comment", data={"csrf": csrf(ada), "text": "Called the customer."}).status_code == 303
    answer = ada.post(f"{path}/resolve", data={"csrf": csrf(ada), "verdict": "deny", "abuse_type": "payment_fraud"})
    assert answer.headers["location"] == "/console/queue"
    assert "Order denied." in ada.get("/queue").text
    assert "Order denied." not in ada.get("/queue").text, "a message is shown once"
    page = ada.get(path).text
    assert "Called the customer." in page
    assert "payment fraud" in page
    decision = ada.get(f"/decisions/{transaction[1]}").text
    assert "human" in decision
    assert 'class="badge deny"' in decision


def test_a_lost_claim_keeps_the_note(desk: Desk) -> None:
    """A reviewer who resolves a case without holding it gets an error, and the input is still there."""
    desk.order()
    ada, ben = desk.signed_in("ada"), desk.signed_in("ben")
    path = claim_next(ada)
    answer = ben.post(f"{path}/resolve", data={"csrf": csrf(ben), "verdict": "approve", "note": "Typed for a while"})
    assert answer.status_code == 409
    assert "Typed for a while" in answer.text
    assert ada.post(f"{path}/renew", data={"csrf": csrf(ada)}).json()["until"]
    assert ben.post(f"{path}/renew", data={"csrf": csrf(ben)}).status_code == 409
    assert ada.post(f"{path}/resolve", data={"csrf": csrf(ada), "verdict": "perhaps"}).status_code == 400
    answer = ada.post(f"{path}/resolve", data={"csrf": csrf(ada), "verdict": "approve", "reason_code": "NOT OK"})
    assert answer.status_code == 400
    assert ada.post(f"{path}/release", data={"csrf": csrf(ada)}).status_code == 303


def test_filters_are_in_the_address(desk: Desk) -> None:
    """Status, reason, order and reviewer each filter the list, and the page shows the chosen filters."""
    desk.order()
    ada = desk.signed_in("ada")
    assert "No matching cases." not in ada.get("/queue?status=open").text
    assert "No matching cases." in ada.get("/queue?status=open&reason=unscored").text
    page = ada.get("/queue?status=any&order=newest").text
    assert "<option selected>newest</option>" in page
    assert ada.get("/queue?page=nonsense").status_code == 400
    assert ada.get("/decisions?since=nonsense").status_code == 400
    assert ada.get("/decisions?since=2020-01-01&decision=review").text.count("<tr data-row>") > 0
    assert "No matching decisions." in ada.get("/decisions?user_id=nobody").text
    assert ada.get("/decisions/none").status_code == 404


def test_pages_of_the_team(desk: Desk) -> None:
    """Overview, policy, model and reviewers show the services' data."""
    desk.order()
    boss = desk.signed_in("boss")
    assert "sent to review" in boss.get("/overview").text
    assert "thresholds: {approve: 1.00, deny: 0.00}" in boss.get("/policy").text
    assert "roc auc" in boss.get("/model").text.lower()
    assert "Reviewers" in boss.get("/reviewers").text


@given(
    st.lists(st.floats(-8, 8), min_size=1, max_size=5), st.floats(1e-6, 1 - 1e-6),
)  # fmt: skip
def test_a_waterfall_adds_up(contributions: list[float], score: float) -> None:
    """The steps add up to the score's log-odds for any groups, and no bar leaves the plot."""
    evidence = [pb.Evidence(group=number + 1, contribution=one) for number, one in enumerate(contributions)]  # type: ignore[arg-type]
    steps = waterfall(evidence, score)
    assert abs(sum(step.contribution for step in steps) - logit(score)) < 1e-9
    assert abs(steps[-1].total - logit(score)) < 1e-9
    assert all(-0.1 <= step.left <= step.left + step.width <= 562 for step in steps)


def test_every_field_of_the_contract_is_shown() -> None:
    """A new field of the contract is shown, by default under Also; an absent one is unknown."""
    lines = [
        line
        for group in group_fields(message(extra_texts={"shelf": "b"}), {"orders_last_24h": "3"}).values()
        for line in group
    ]
    assert [line.name for line in lines if line.name in FIELDS].sort() == list(FIELDS).sort()
    by_name = {line.name: line for line in lines}
    assert set(by_name) >= {*FIELDS, "shelf"}
    assert set(FIELDS) - {name for names in GROUPS.values() for name in names} == set()
    assert (by_name["card_country"].value, by_name["card_country"].known) == ("unknown", False)
    assert by_name["orders_last_24h"].completed


def test_lengths_of_time() -> None:
    """Durations have two units at most."""
    assert [format_duration(seconds) for seconds in (0, 59, 60, 3725, 90_000)] == [
        "0 s",
        "59 s",
        "1 min",
        "1 h 2 min",
        "1 d 1 h",
    ]


def test_a_case_shows_who_shares_its_keys(desk: Desk) -> None:
    """The graph and the list name another customer with the same device, and link to their decisions."""
    desk.order(user_id="neighbour", device_id="their-device", transaction_id="theirs")
    case_id = desk.order(user_id="own", device_id="their-device", transaction_id="ours").case_id
    page = desk.signed_in("ada").get(f"/cases/{case_id}").text
    assert '<svg class="graph"' in page and "customer neighbour, 1 orders, 0 denied" in page
    assert 'href="/console/decisions?user_id=neighbour"' in page
    assert re.search(r'href="/console/decisions/theirs".*same device', page)


def test_a_decision_is_verified_in_the_chain(desk: Desk) -> None:
    """On request the page says that the entry is unchanged, and shows its hash."""
    desk.order(transaction_id="verified")
    client = desk.signed_in("ada")
    assert "Verified: unchanged" not in client.get("/decisions/verified").text
    page = client.get("/decisions/verified?verify=yes").text
    assert "Verified: unchanged" in page and re.search("<code>[0-9a-f]{64}</code>", page)


def test_the_model_shows_all_that_it_learned(desk: Desk) -> None:
    """A curve and a table for every feature, pairs, calibration, costs and versions are shown, also to a reviewer."""
    page = desk.signed_in("ada").get("/model").text
    assert page.count('<path class="curve"') > 30 and page.count('<svg class="heat"') == 6
    assert "<dt>Form</dt><dd>tables over pairs of features</dd>" in page
    assert "Stated score and observed share" in page and "Mean cost of an order" in page
    assert ">current</span>" in page


def test_a_taken_port_is_reported(desk: Desk) -> None:
    """One line names the address and the setting, with exit code 2."""
    address = desk.stack.address("console")
    done = run("-m", "console", env=os.environ | {"VOUCH_CONSOLE_LISTEN": address})
    assert done.returncode == 2 and address in done.stderr and "VOUCH_CONSOLE_LISTEN" in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
