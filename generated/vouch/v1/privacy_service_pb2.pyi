import datetime

from generated.buf.validate import validate_pb2 as _validate_pb2
from google.api import annotations_pb2 as _annotations_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from generated.vouch.v1 import agent_service_pb2 as _agent_service_pb2
from generated.vouch.v1 import case_service_pb2 as _case_service_pb2
from generated.vouch.v1 import outcome_service_pb2 as _outcome_service_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ErasureStage(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ERASURE_STAGE_UNSPECIFIED: _ClassVar[ErasureStage]
    ERASURE_STAGE_DONE: _ClassVar[ErasureStage]
    ERASURE_STAGE_TABLES: _ClassVar[ErasureStage]
    ERASURE_STAGE_LOG: _ClassVar[ErasureStage]
ERASURE_STAGE_UNSPECIFIED: ErasureStage
ERASURE_STAGE_DONE: ErasureStage
ERASURE_STAGE_TABLES: ErasureStage
ERASURE_STAGE_LOG: ErasureStage

class FindPersonRequest(_message.Message):
    __slots__ = ("user_id",)
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    def __init__(self, user_id: _Optional[str] = ...) -> None: ...

class FindPersonResponse(_message.Message):
    __slots__ = ("decisions", "cases", "first", "last", "remembered_orders", "folded_orders")
    DECISIONS_FIELD_NUMBER: _ClassVar[int]
    CASES_FIELD_NUMBER: _ClassVar[int]
    FIRST_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    REMEMBERED_ORDERS_FIELD_NUMBER: _ClassVar[int]
    FOLDED_ORDERS_FIELD_NUMBER: _ClassVar[int]
    decisions: int
    cases: int
    first: _timestamp_pb2.Timestamp
    last: _timestamp_pb2.Timestamp
    remembered_orders: int
    folded_orders: int
    def __init__(self, decisions: _Optional[int] = ..., cases: _Optional[int] = ..., first: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., remembered_orders: _Optional[int] = ..., folded_orders: _Optional[int] = ...) -> None: ...

class ExportPersonRequest(_message.Message):
    __slots__ = ("user_id",)
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    def __init__(self, user_id: _Optional[str] = ...) -> None: ...

class ExportPersonResponse(_message.Message):
    __slots__ = ("record", "case", "events", "outcomes", "remembered", "totals")
    RECORD_FIELD_NUMBER: _ClassVar[int]
    CASE_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    OUTCOMES_FIELD_NUMBER: _ClassVar[int]
    REMEMBERED_FIELD_NUMBER: _ClassVar[int]
    TOTALS_FIELD_NUMBER: _ClassVar[int]
    record: _agent_service_pb2.DecisionRecord
    case: _case_service_pb2.Case
    events: _containers.RepeatedCompositeFieldContainer[_case_service_pb2.CaseEvent]
    outcomes: _containers.RepeatedCompositeFieldContainer[_outcome_service_pb2.Outcome]
    remembered: _containers.RepeatedCompositeFieldContainer[RememberedOrder]
    totals: AccountTotals
    def __init__(self, record: _Optional[_Union[_agent_service_pb2.DecisionRecord, _Mapping]] = ..., case: _Optional[_Union[_case_service_pb2.Case, _Mapping]] = ..., events: _Optional[_Iterable[_Union[_case_service_pb2.CaseEvent, _Mapping]]] = ..., outcomes: _Optional[_Iterable[_Union[_outcome_service_pb2.Outcome, _Mapping]]] = ..., remembered: _Optional[_Iterable[_Union[RememberedOrder, _Mapping]]] = ..., totals: _Optional[_Union[AccountTotals, _Mapping]] = ...) -> None: ...

class RememberedOrder(_message.Message):
    __slots__ = ("ordered_at", "order_amount", "denied")
    ORDERED_AT_FIELD_NUMBER: _ClassVar[int]
    ORDER_AMOUNT_FIELD_NUMBER: _ClassVar[int]
    DENIED_FIELD_NUMBER: _ClassVar[int]
    ordered_at: _timestamp_pb2.Timestamp
    order_amount: float
    denied: bool
    def __init__(self, ordered_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., order_amount: _Optional[float] = ..., denied: _Optional[bool] = ...) -> None: ...

class AccountTotals(_message.Message):
    __slots__ = ("orders", "amount", "first", "last", "devices")
    ORDERS_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    FIRST_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    DEVICES_FIELD_NUMBER: _ClassVar[int]
    orders: int
    amount: float
    first: _timestamp_pb2.Timestamp
    last: _timestamp_pb2.Timestamp
    devices: int
    def __init__(self, orders: _Optional[int] = ..., amount: _Optional[float] = ..., first: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., devices: _Optional[int] = ...) -> None: ...

class ErasePersonRequest(_message.Message):
    __slots__ = ("user_id",)
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    def __init__(self, user_id: _Optional[str] = ...) -> None: ...

class ErasePersonResponse(_message.Message):
    __slots__ = ("decisions", "cases", "outcomes", "remembered_orders", "folded_orders", "progress")
    DECISIONS_FIELD_NUMBER: _ClassVar[int]
    CASES_FIELD_NUMBER: _ClassVar[int]
    OUTCOMES_FIELD_NUMBER: _ClassVar[int]
    REMEMBERED_ORDERS_FIELD_NUMBER: _ClassVar[int]
    FOLDED_ORDERS_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    decisions: int
    cases: int
    outcomes: int
    remembered_orders: int
    folded_orders: int
    progress: ErasureProgress
    def __init__(self, decisions: _Optional[int] = ..., cases: _Optional[int] = ..., outcomes: _Optional[int] = ..., remembered_orders: _Optional[int] = ..., folded_orders: _Optional[int] = ..., progress: _Optional[_Union[ErasureProgress, _Mapping]] = ...) -> None: ...

class ExpireOrdersRequest(_message.Message):
    __slots__ = ("before",)
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    before: _timestamp_pb2.Timestamp
    def __init__(self, before: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ExpireOrdersResponse(_message.Message):
    __slots__ = ("decisions", "cases", "outcomes", "remembered_orders", "folded_orders", "progress")
    DECISIONS_FIELD_NUMBER: _ClassVar[int]
    CASES_FIELD_NUMBER: _ClassVar[int]
    OUTCOMES_FIELD_NUMBER: _ClassVar[int]
    REMEMBERED_ORDERS_FIELD_NUMBER: _ClassVar[int]
    FOLDED_ORDERS_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    decisions: int
    cases: int
    outcomes: int
    remembered_orders: int
    folded_orders: int
    progress: ErasureProgress
    def __init__(self, decisions: _Optional[int] = ..., cases: _Optional[int] = ..., outcomes: _Optional[int] = ..., remembered_orders: _Optional[int] = ..., folded_orders: _Optional[int] = ..., progress: _Optional[_Union[ErasureProgress, _Mapping]] = ...) -> None: ...

class GetErasureProgressRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetErasureProgressResponse(_message.Message):
    __slots__ = ("progress",)
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    progress: ErasureProgress
    def __init__(self, progress: _Optional[_Union[ErasureProgress, _Mapping]] = ...) -> None: ...

class ErasureProgress(_message.Message):
    __slots__ = ("stage", "since", "waiting_for")
    STAGE_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    WAITING_FOR_FIELD_NUMBER: _ClassVar[int]
    stage: ErasureStage
    since: _timestamp_pb2.Timestamp
    waiting_for: str
    def __init__(self, stage: _Optional[_Union[ErasureStage, str]] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., waiting_for: _Optional[str] = ...) -> None: ...
