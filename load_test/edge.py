"""The same orders through Envoy, in gRPC and in canonical JSON: the answers must agree."""

import grpc
import httpx
from google.protobuf import json_format

from contract.fields import FIELDS, enum_prefix
from generated.vouch.v1 import scoring_service_pb2 as pb
from generated.vouch.v1.scoring_service_pb2_grpc import ScoringServiceStub
from generated.vouch.v1.transaction_pb2 import Transaction
from load_test.orders import Order

_PREFIXES = {
    field.name: enum_prefix(field.enum_type) for field in Transaction.DESCRIPTOR.fields if field.enum_type is not None
}


def canonical(order: Order) -> dict[str, object]:
    """A body in protobuf's own JSON: full enum names, times with a zone."""
    body = dict(order.body)
    extra = body.pop("extra", {})
    for kind, wanted in (("extra_numbers", float), ("extra_texts", str)):
        body |= {kind: {name: value for name, value in extra.items() if isinstance(value, wanted)}}
    for name, value in order.body.items():
        if name not in FIELDS:
            continue
        if FIELDS[name].kind == "enum":
            body[name] = _PREFIXES[name] + str(value).upper()
        elif FIELDS[name].kind == "time":
            body[name] = str(value) + "Z"
    return body


def compare(orders: list[Order], address: str) -> tuple[int, float]:
    """Score orders both ways through the edge; the number of orders and the largest difference of two scores."""
    worst = 0.0
    with grpc.insecure_channel(address) as channel, httpx.Client(base_url=f"http://{address}", timeout=30) as client:
        stub = ScoringServiceStub(channel)
        for order in orders:
            body = canonical(order)
            request = pb.PredictRequest()
            json_format.ParseDict({"transaction": body}, request)
            by_grpc = stub.Predict(request, timeout=30).legitimacy_score
            answer = client.post("/v1/transactions:predict", json=body)
            answer.raise_for_status()
            worst = max(worst, abs(by_grpc - answer.json()["legitimacy_score"]))
    return len(orders), worst
