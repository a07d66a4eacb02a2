from generated.vouch.v1 import agent_service_pb2 as _agent_service_pb2
from generated.vouch.v1 import transaction_pb2 as _transaction_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class DecisionFacts(_message.Message):
    __slots__ = ("decision_maker", "legitimacy_score", "revision", "replaces_decision_id", "caller", "model_version", "policy_version", "policy_digest", "randomised_probability", "memory_number", "memory_read", "memory_kept", "memory_seen")
    DECISION_MAKER_FIELD_NUMBER: _ClassVar[int]
    LEGITIMACY_SCORE_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    REPLACES_DECISION_ID_FIELD_NUMBER: _ClassVar[int]
    CALLER_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    POLICY_VERSION_FIELD_NUMBER: _ClassVar[int]
    POLICY_DIGEST_FIELD_NUMBER: _ClassVar[int]
    RANDOMISED_PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    MEMORY_NUMBER_FIELD_NUMBER: _ClassVar[int]
    MEMORY_READ_FIELD_NUMBER: _ClassVar[int]
    MEMORY_KEPT_FIELD_NUMBER: _ClassVar[int]
    MEMORY_SEEN_FIELD_NUMBER: _ClassVar[int]
    decision_maker: _agent_service_pb2.DecisionMaker
    legitimacy_score: float
    revision: int
    replaces_decision_id: str
    caller: str
    model_version: str
    policy_version: str
    policy_digest: str
    randomised_probability: float
    memory_number: int
    memory_read: int
    memory_kept: int
    memory_seen: int
    def __init__(self, decision_maker: _Optional[_Union[_agent_service_pb2.DecisionMaker, str]] = ..., legitimacy_score: _Optional[float] = ..., revision: _Optional[int] = ..., replaces_decision_id: _Optional[str] = ..., caller: _Optional[str] = ..., model_version: _Optional[str] = ..., policy_version: _Optional[str] = ..., policy_digest: _Optional[str] = ..., randomised_probability: _Optional[float] = ..., memory_number: _Optional[int] = ..., memory_read: _Optional[int] = ..., memory_kept: _Optional[int] = ..., memory_seen: _Optional[int] = ...) -> None: ...

class DecisionPayload(_message.Message):
    __slots__ = ("transaction", "completed_fields", "answer", "request_id")
    TRANSACTION_FIELD_NUMBER: _ClassVar[int]
    COMPLETED_FIELDS_FIELD_NUMBER: _ClassVar[int]
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    transaction: _transaction_pb2.Transaction
    completed_fields: _containers.RepeatedCompositeFieldContainer[_agent_service_pb2.CompletedField]
    answer: _agent_service_pb2.ReviewResponse
    request_id: str
    def __init__(self, transaction: _Optional[_Union[_transaction_pb2.Transaction, _Mapping]] = ..., completed_fields: _Optional[_Iterable[_Union[_agent_service_pb2.CompletedField, _Mapping]]] = ..., answer: _Optional[_Union[_agent_service_pb2.ReviewResponse, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class ErasureFacts(_message.Message):
    __slots__ = ("decision_ids",)
    DECISION_IDS_FIELD_NUMBER: _ClassVar[int]
    decision_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, decision_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class RowChanges(_message.Message):
    __slots__ = ("added", "removed")
    ADDED_FIELD_NUMBER: _ClassVar[int]
    REMOVED_FIELD_NUMBER: _ClassVar[int]
    added: _containers.RepeatedScalarFieldContainer[bytes]
    removed: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, added: _Optional[_Iterable[bytes]] = ..., removed: _Optional[_Iterable[bytes]] = ...) -> None: ...
