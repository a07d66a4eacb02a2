"""gRPC: reflection, errors with details, batches."""

from collections.abc import Callable
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_status import rpc_status

from contract.messages import messages
from generated.vouch.v1 import agent_service_pb2 as agent
from generated.vouch.v1 import privacy_service_pb2 as privacy
from generated.vouch.v1 import scoring_service_pb2 as scoring
from generated.vouch.v1.agent_service_pb2_grpc import AgentServiceStub
from generated.vouch.v1.privacy_service_pb2_grpc import PrivacyServiceStub
from generated.vouch.v1.scoring_service_pb2_grpc import ScoringServiceStub
from testing.inputs.orders import message
from testing.servers.processes import Stack
from testing.waiting import START_SECONDS


def test_reflection_lists_the_services(stack: Stack) -> None:
    """Both servers list their services by reflection, and health by service name."""
    wanted = {"ml": "vouch.v1.ScoringService", "agent": "vouch.v1.AgentService"}
    for name, service in wanted.items():
        with grpc.insecure_channel(stack.address(name)) as channel:
            stub = reflection_pb2_grpc.ServerReflectionStub(channel)
            request = reflection_pb2.ServerReflectionRequest(list_services="")
            answer = next(stub.ServerReflectionInfo(iter([request]), timeout=START_SECONDS))
            assert service in [each.name for each in answer.list_services_response.service]
            check = health_pb2_grpc.HealthStub(channel).Check
            assert check(health_pb2.HealthCheckRequest(service=service), timeout=START_SECONDS).status == 1


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"order_amount": float("nan")}, "transaction.order_amount"),
        ({"cards_used_30d": -1}, "transaction.cards_used_30d"),
        ({"device_type": 42}, "transaction.device_type"),
        ({"transaction_id": ""}, "transaction.transaction_id"),
    ],
)
def test_grpc_errors_carry_details(stack: Stack, changed: dict[str, Any], field: str) -> None:
    """INVALID_ARGUMENT has one ErrorInfo of domain vouch and the violations by field, from both services."""
    order = message(**changed)
    with grpc.insecure_channel(stack.address("ml")) as ml, grpc.insecure_channel(stack.address("agent")) as decider:
        calls: list[Any] = [
            lambda: ScoringServiceStub(ml).Predict(scoring.PredictRequest(transaction=order), timeout=START_SECONDS),
            lambda: AgentServiceStub(decider).Review(agent.ReviewRequest(transaction=order), timeout=START_SECONDS),
        ]
        for call in calls:
            with pytest.raises(grpc.RpcError) as caught:
                call()
            assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
            status = rpc_status.from_call(caught.value)
            info, violations = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
            assert status.details[0].Unpack(info)
            assert status.details[1].Unpack(violations)
            assert (info.reason, info.domain) == ("INVALID_REQUEST", "vouch")
            assert next(each.field for each in violations.field_violations) == field


def test_a_missing_transaction_is_named(stack: Stack) -> None:
    """A request without a transaction is INVALID_ARGUMENT, not an empty order."""
    with grpc.insecure_channel(stack.address("ml")) as channel, pytest.raises(grpc.RpcError) as caught:
        ScoringServiceStub(channel).Predict(scoring.PredictRequest(), timeout=START_SECONDS)
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_a_huge_message_is_refused(stack: Stack) -> None:
    """Ten megabytes over gRPC are refused by size, and the server continues."""
    with grpc.insecure_channel(stack.address("ml")) as channel:
        stub = ScoringServiceStub(channel)
        with pytest.raises(grpc.RpcError) as caught:
            stub.Predict(
                scoring.PredictRequest(transaction=message(user_agent="x" * 10_000_000)), timeout=START_SECONDS
            )
        assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert stub.Predict(scoring.PredictRequest(transaction=message()), timeout=START_SECONDS).legitimacy_score > 0


def batch(stack: Stack, orders: list[Any], **options: Any) -> scoring.PredictBatchResponse:
    """Score a batch over gRPC."""
    with grpc.insecure_channel(stack.address("ml")) as channel:
        request = scoring.PredictBatchRequest(transactions=orders, **options)
        answer: scoring.PredictBatchResponse = ScoringServiceStub(channel).PredictBatch(request, timeout=START_SECONDS)
        return answer


def test_a_batch_is_scored_like_its_orders(stack: Stack, table: Any) -> None:
    """Sparse and full orders of a batch get, in order, the answers of single calls, with and without reasons."""
    orders = [message(), *messages(table.slice(0, 60)), message(new_device=None)]
    with grpc.insecure_channel(stack.address("ml")) as channel:
        alone = [
            ScoringServiceStub(channel).Predict(scoring.PredictRequest(transaction=each, explain=True))
            for each in orders
        ]
    together = batch(stack, orders, explain=True)
    assert [each.index for each in together.results] == list(range(len(orders)))
    for one, result in zip(alone, together.results, strict=True):
        assert result.prediction.legitimacy_score == pytest.approx(one.legitimacy_score, abs=1e-12)
        assert [r.feature for r in result.prediction.reasons] == [r.feature for r in one.reasons]
    assert not batch(stack, orders[:2]).results[0].prediction.reasons


def test_levels_of_explanation(stack: Stack) -> None:
    """The level sets how much is explained, alone and in a batch; an unknown level is refused by name."""
    with grpc.insecure_channel(stack.address("ml")) as channel:
        predict = ScoringServiceStub(channel).Predict
        for level, reasons, contributions in (
            (scoring.EXPLAIN_LEVEL_NONE, False, False),
            (scoring.EXPLAIN_LEVEL_REASONS, True, False),
            (scoring.EXPLAIN_LEVEL_FULL, True, True),
        ):
            alone = predict(
                scoring.PredictRequest(transaction=message(), explain=True, explain_level=level), timeout=START_SECONDS
            )
            together = batch(stack, [message()], explain_level=level).results[0].prediction
            assert alone == together
            assert (bool(alone.reasons), bool(alone.explanation.contributions)) == (reasons, contributions)
        with pytest.raises(grpc.RpcError, match="explain_level") as caught:
            predict(scoring.PredictRequest(transaction=message(), explain_level=99), timeout=START_SECONDS)  # type: ignore[arg-type]
        assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_a_bad_order_of_a_batch_fails_as_chosen(stack: Stack) -> None:
    """A bad order fails the call, named by its index, or only itself; an empty and a too large batch are refused."""
    orders = [message(), message(order_amount=-1.0), message()]
    with pytest.raises(grpc.RpcError) as caught:
        batch(stack, orders)
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "transactions[1].order_amount" in caught.value.details()  # type: ignore[operator]
    found = batch(stack, orders, error_policy=scoring.BATCH_ERROR_POLICY_FAIL_ITEM).results
    assert [each.WhichOneof("outcome") for each in found] == ["prediction", "error", "prediction"]
    assert found[1].error.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    for wrong in ([], [message()] * 4097):
        with pytest.raises(grpc.RpcError) as caught:
            batch(stack, wrong)
        assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("seconds", [-1, 2**63 - 1, 253_402_300_800])
def test_moments_that_cannot_be_are_refused(stack: Stack, seconds: int) -> None:
    """A timestamp beyond the ledger's range is INVALID_ARGUMENT in every request: fuzzing found an INTERNAL."""
    moment = Timestamp(seconds=seconds)
    with grpc.insecure_channel(stack.address("agent")) as channel:
        calls: list[Callable[[], object]] = [
            lambda: AgentServiceStub(channel).ListDecisions(agent.ListDecisionsRequest(since=moment)),
            lambda: AgentServiceStub(channel).ListDecisions(agent.ListDecisionsRequest(until=moment)),
            lambda: PrivacyServiceStub(channel).ExpireOrders(privacy.ExpireOrdersRequest(before=moment)),
        ]
        for ask in calls:
            with pytest.raises(grpc.RpcError) as caught:
                ask()
            assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
