"""A call without a stub: the server says what it takes. `python examples/by_reflection.py [host:port]`.

Any language with gRPC's reflection can do the same. Needs grpcio-reflection.
"""

import sys

import grpc
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.json_format import MessageToJson, ParseDict
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase


def main(target: str = "localhost:8080") -> int:
    """Ask for the services, then score an order by names alone."""
    with grpc.insecure_channel(target) as channel:
        known = ProtoReflectionDescriptorDatabase(channel)
        print(*sorted(known.get_services()), sep="\n")
        method = DescriptorPool(known).FindServiceByName("vouch.v1.AgentService").methods_by_name["Review"]
        asked, answered = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
        order = {
            "transaction_id": "reflected-1",
            "timestamp": "2026-11-25T10:00:00Z",
            "user_id": "u-7",
            "order_amount": 40,
        }
        call = channel.unary_unary("/vouch.v1.AgentService/Review", asked.SerializeToString, answered.FromString)
        answer = call(ParseDict({"transaction": order}, asked()), timeout=5)
        print(MessageToJson(answer, preserving_proto_field_name=True)[:300])
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
