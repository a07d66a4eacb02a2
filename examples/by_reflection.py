"""A call without generated code, by gRPC reflection: `.venv/bin/python examples/by_reflection.py [host:port]`.

Other languages with gRPC reflection can do the same. Needs grpcio-reflection.
"""

import sys

import grpc
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.json_format import MessageToJson, ParseDict
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase


def main(target: str = "localhost:8080") -> int:
    """List the services, then review an order with message types from the server."""
    with grpc.insecure_channel(target) as channel:
        known = ProtoReflectionDescriptorDatabase(channel)
        print(*sorted(known.get_services()), sep="\n")
        method = DescriptorPool(known).FindServiceByName("vouch.v1.AgentService").methods_by_name["Review"]
        request_class, response_class = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
        order = {
            "transaction_id": "reflected-1",
            "timestamp": "2026-11-25T10:00:00Z",
            "user_id": "u-7",
            "order_amount": 40,
        }
        call = channel.unary_unary(
            "/vouch.v1.AgentService/Review", request_class.SerializeToString, response_class.FromString
        )
        answer = call(ParseDict({"transaction": order}, request_class()), timeout=5)
        print(MessageToJson(answer, preserving_proto_field_name=True)[:300])
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
