import datetime

from generated.buf.validate import validate_pb2 as _validate_pb2
from google.api import annotations_pb2 as _annotations_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class OutcomeKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OUTCOME_KIND_UNSPECIFIED: _ClassVar[OutcomeKind]
    OUTCOME_KIND_CHARGEBACK: _ClassVar[OutcomeKind]
    OUTCOME_KIND_REFUND_CLAIM: _ClassVar[OutcomeKind]
    OUTCOME_KIND_CONFIRMED_GOOD: _ClassVar[OutcomeKind]
OUTCOME_KIND_UNSPECIFIED: OutcomeKind
OUTCOME_KIND_CHARGEBACK: OutcomeKind
OUTCOME_KIND_REFUND_CLAIM: OutcomeKind
OUTCOME_KIND_CONFIRMED_GOOD: OutcomeKind

class Outcome(_message.Message):
    __slots__ = ("transaction_id", "kind", "occurred_at", "source", "abuse_type", "reported_at", "reported_by")
    TRANSACTION_ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    OCCURRED_AT_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    ABUSE_TYPE_FIELD_NUMBER: _ClassVar[int]
    REPORTED_AT_FIELD_NUMBER: _ClassVar[int]
    REPORTED_BY_FIELD_NUMBER: _ClassVar[int]
    transaction_id: str
    kind: OutcomeKind
    occurred_at: _timestamp_pb2.Timestamp
    source: str
    abuse_type: str
    reported_at: _timestamp_pb2.Timestamp
    reported_by: str
    def __init__(self, transaction_id: _Optional[str] = ..., kind: _Optional[_Union[OutcomeKind, str]] = ..., occurred_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., source: _Optional[str] = ..., abuse_type: _Optional[str] = ..., reported_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., reported_by: _Optional[str] = ...) -> None: ...

class ReportOutcomeRequest(_message.Message):
    __slots__ = ("transaction_id", "kind", "occurred_at", "source", "abuse_type")
    TRANSACTION_ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    OCCURRED_AT_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    ABUSE_TYPE_FIELD_NUMBER: _ClassVar[int]
    transaction_id: str
    kind: OutcomeKind
    occurred_at: _timestamp_pb2.Timestamp
    source: str
    abuse_type: str
    def __init__(self, transaction_id: _Optional[str] = ..., kind: _Optional[_Union[OutcomeKind, str]] = ..., occurred_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., source: _Optional[str] = ..., abuse_type: _Optional[str] = ...) -> None: ...

class ReportOutcomeResponse(_message.Message):
    __slots__ = ("outcome", "repeated_report")
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    REPEATED_REPORT_FIELD_NUMBER: _ClassVar[int]
    outcome: Outcome
    repeated_report: bool
    def __init__(self, outcome: _Optional[_Union[Outcome, _Mapping]] = ..., repeated_report: _Optional[bool] = ...) -> None: ...

class ListOutcomesRequest(_message.Message):
    __slots__ = ("transaction_id", "page_size", "page_token")
    TRANSACTION_ID_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    transaction_id: str
    page_size: int
    page_token: str
    def __init__(self, transaction_id: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListOutcomesResponse(_message.Message):
    __slots__ = ("outcomes", "next_page_token")
    OUTCOMES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    outcomes: _containers.RepeatedCompositeFieldContainer[Outcome]
    next_page_token: str
    def __init__(self, outcomes: _Optional[_Iterable[_Union[Outcome, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...
