"""Comparison of scores through Envoy by gRPC and by canonical JSON."""

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


def to_canonical_json(order: Order) -> dict[str, object]:
    """Return an order in canonical protobuf JSON: full enum names, times with a time zone."""
    body = dict(order.body)
    extra = body.pop("extra", {})
    for kind, type_ in (("extra_numbers", float), ("extra_texts", str)):
        body |= {kind: {name: value for name, value in extra.items() if isinstance(value, type_)}}
    for name, value in order.body.items():
        if name not in FIELDS:
            continue
        if FIELDS[name].kind == "enum":
            body[name] = _PREFIXES[name] + str(value).upper()
        elif FIELDS[name].kind == "time":
            body[name] = str(value) + "Z"
    return body


def compare(orders: list[Order], address: str) -> tuple[int, float]:
    """Score orders by gRPC and JSON through the edge; return their number and the largest score difference."""
    largest = 0.0
    with grpc.insecure_channel(address) as channel, httpx.Client(base_url=f"http://{address}", timeout=30) as client:
        stub = ScoringServiceStub(channel)
        for order in orders:
            body = to_canonical_json(order)
            request = pb.PredictRequest()
            json_format.ParseDict({"transaction": body}, request)
            grpc_score = stub.Predict(request, timeout=30).legitimacy_score
            response = client.post("/v1/transactions:predict", json=body)
            response.raise_for_status()
            largest = max(largest, abs(grpc_score - response.json()["legitimacy_score"]))
    return len(orders), largest
