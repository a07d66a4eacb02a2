import datetime

from generated.buf.validate import validate_pb2 as _validate_pb2
from google.api import annotations_pb2 as _annotations_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from generated.vouch.v1 import agent_service_pb2 as _agent_service_pb2
from generated.vouch.v1 import transaction_pb2 as _transaction_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CaseStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CASE_STATUS_UNSPECIFIED: _ClassVar[CaseStatus]
    CASE_STATUS_OPEN: _ClassVar[CaseStatus]
    CASE_STATUS_CLAIMED: _ClassVar[CaseStatus]
    CASE_STATUS_RESOLVED: _ClassVar[CaseStatus]

class CaseReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CASE_REASON_UNSPECIFIED: _ClassVar[CaseReason]
    CASE_REASON_UNCERTAIN: _ClassVar[CaseReason]
    CASE_REASON_LITTLE_KNOWN: _ClassVar[CaseReason]
    CASE_REASON_UNSCORED: _ClassVar[CaseReason]
    CASE_REASON_RULE: _ClassVar[CaseReason]

class CaseOrder(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CASE_ORDER_UNSPECIFIED: _ClassVar[CaseOrder]
    CASE_ORDER_NEWEST: _ClassVar[CaseOrder]
    CASE_ORDER_PRIORITY: _ClassVar[CaseOrder]

class CaseEventKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CASE_EVENT_KIND_UNSPECIFIED: _ClassVar[CaseEventKind]
    CASE_EVENT_KIND_OPENED: _ClassVar[CaseEventKind]
    CASE_EVENT_KIND_CLAIMED: _ClassVar[CaseEventKind]
    CASE_EVENT_KIND_RELEASED: _ClassVar[CaseEventKind]
    CASE_EVENT_KIND_COMMENTED: _ClassVar[CaseEventKind]
    CASE_EVENT_KIND_RESOLVED: _ClassVar[CaseEventKind]
    CASE_EVENT_KIND_CLOSED: _ClassVar[CaseEventKind]
    CASE_EVENT_KIND_RENEWED: _ClassVar[CaseEventKind]
    CASE_EVENT_KIND_UPDATED: _ClassVar[CaseEventKind]
CASE_STATUS_UNSPECIFIED: CaseStatus
CASE_STATUS_OPEN: CaseStatus
CASE_STATUS_CLAIMED: CaseStatus
CASE_STATUS_RESOLVED: CaseStatus
CASE_REASON_UNSPECIFIED: CaseReason
CASE_REASON_UNCERTAIN: CaseReason
CASE_REASON_LITTLE_KNOWN: CaseReason
CASE_REASON_UNSCORED: CaseReason
CASE_REASON_RULE: CaseReason
CASE_ORDER_UNSPECIFIED: CaseOrder
CASE_ORDER_NEWEST: CaseOrder
CASE_ORDER_PRIORITY: CaseOrder
CASE_EVENT_KIND_UNSPECIFIED: CaseEventKind
CASE_EVENT_KIND_OPENED: CaseEventKind
CASE_EVENT_KIND_CLAIMED: CaseEventKind
CASE_EVENT_KIND_RELEASED: CaseEventKind
CASE_EVENT_KIND_COMMENTED: CaseEventKind
CASE_EVENT_KIND_RESOLVED: CaseEventKind
CASE_EVENT_KIND_CLOSED: CaseEventKind
CASE_EVENT_KIND_RENEWED: CaseEventKind
CASE_EVENT_KIND_UPDATED: CaseEventKind

class Case(_message.Message):
    __slots__ = ("case_id", "transaction_id", "status", "opened_at", "legitimacy_score", "recommendation", "reviewer", "resolved_at", "verdict", "note", "reason", "decision_id", "expected_loss", "due_at", "claimed_until", "abuse_type", "reason_code", "round", "review_of", "golden_verdict", "order_amount", "currency", "likely_abuse", "order_value")
    CASE_ID_FIELD_NUMBER: _ClassVar[int]
    TRANSACTION_ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    OPENED_AT_FIELD_NUMBER: _ClassVar[int]
    LEGITIMACY_SCORE_FIELD_NUMBER: _ClassVar[int]
    RECOMMENDATION_FIELD_NUMBER: _ClassVar[int]
    REVIEWER_FIELD_NUMBER: _ClassVar[int]
    RESOLVED_AT_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    DECISION_ID_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_LOSS_FIELD_NUMBER: _ClassVar[int]
    DUE_AT_FIELD_NUMBER: _ClassVar[int]
    CLAIMED_UNTIL_FIELD_NUMBER: _ClassVar[int]
    ABUSE_TYPE_FIELD_NUMBER: _ClassVar[int]
    REASON_CODE_FIELD_NUMBER: _ClassVar[int]
    ROUND_FIELD_NUMBER: _ClassVar[int]
    REVIEW_OF_FIELD_NUMBER: _ClassVar[int]
    GOLDEN_VERDICT_FIELD_NUMBER: _ClassVar[int]
    ORDER_AMOUNT_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    LIKELY_ABUSE_FIELD_NUMBER: _ClassVar[int]
    ORDER_VALUE_FIELD_NUMBER: _ClassVar[int]
    case_id: str
    transaction_id: str
    status: CaseStatus
    opened_at: _timestamp_pb2.Timestamp
    legitimacy_score: float
    recommendation: _agent_service_pb2.Recommendation
    reviewer: str
    resolved_at: _timestamp_pb2.Timestamp
    verdict: _agent_service_pb2.Decision
    note: str
    reason: CaseReason
    decision_id: str
    expected_loss: float
    due_at: _timestamp_pb2.Timestamp
    claimed_until: _timestamp_pb2.Timestamp
    abuse_type: str
    reason_code: str
    round: int
    review_of: str
    golden_verdict: _agent_service_pb2.Decision
    order_amount: float
    currency: str
    likely_abuse: str
    order_value: _agent_service_pb2.OrderValue
    def __init__(self, case_id: _Optional[str] = ..., transaction_id: _Optional[str] = ..., status: _Optional[_Union[CaseStatus, str]] = ..., opened_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., legitimacy_score: _Optional[float] = ..., recommendation: _Optional[_Union[_agent_service_pb2.Recommendation, str]] = ..., reviewer: _Optional[str] = ..., resolved_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., verdict: _Optional[_Union[_agent_service_pb2.Decision, str]] = ..., note: _Optional[str] = ..., reason: _Optional[_Union[CaseReason, str]] = ..., decision_id: _Optional[str] = ..., expected_loss: _Optional[float] = ..., due_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., claimed_until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., abuse_type: _Optional[str] = ..., reason_code: _Optional[str] = ..., round: _Optional[int] = ..., review_of: _Optional[str] = ..., golden_verdict: _Optional[_Union[_agent_service_pb2.Decision, str]] = ..., order_amount: _Optional[float] = ..., currency: _Optional[str] = ..., likely_abuse: _Optional[str] = ..., order_value: _Optional[_Union[_agent_service_pb2.OrderValue, _Mapping]] = ...) -> None: ...

class CaseEvent(_message.Message):
    __slots__ = ("number", "at", "kind", "actor", "text")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    number: int
    at: _timestamp_pb2.Timestamp
    kind: CaseEventKind
    actor: str
    text: str
    def __init__(self, number: _Optional[int] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., kind: _Optional[_Union[CaseEventKind, str]] = ..., actor: _Optional[str] = ..., text: _Optional[str] = ...) -> None: ...

class ListCasesRequest(_message.Message):
    __slots__ = ("status", "page_size", "page_token", "order", "reason", "reviewer")
    STATUS_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REVIEWER_FIELD_NUMBER: _ClassVar[int]
    status: CaseStatus
    page_size: int
    page_token: str
    order: CaseOrder
    reason: CaseReason
    reviewer: str
    def __init__(self, status: _Optional[_Union[CaseStatus, str]] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., order: _Optional[_Union[CaseOrder, str]] = ..., reason: _Optional[_Union[CaseReason, str]] = ..., reviewer: _Optional[str] = ...) -> None: ...

class ListCasesResponse(_message.Message):
    __slots__ = ("cases", "next_page_token", "cursor")
    CASES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    cases: _containers.RepeatedCompositeFieldContainer[Case]
    next_page_token: str
    cursor: int
    def __init__(self, cases: _Optional[_Iterable[_Union[Case, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., cursor: _Optional[int] = ...) -> None: ...

class GetCaseRequest(_message.Message):
    __slots__ = ("case_id",)
    CASE_ID_FIELD_NUMBER: _ClassVar[int]
    case_id: str
    def __init__(self, case_id: _Optional[str] = ...) -> None: ...

class GetCaseResponse(_message.Message):
    __slots__ = ("case", "transaction", "review", "events", "events_truncated")
    CASE_FIELD_NUMBER: _ClassVar[int]
    TRANSACTION_FIELD_NUMBER: _ClassVar[int]
    REVIEW_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    EVENTS_TRUNCATED_FIELD_NUMBER: _ClassVar[int]
    case: Case
    transaction: _transaction_pb2.Transaction
    review: _agent_service_pb2.ReviewResponse
    events: _containers.RepeatedCompositeFieldContainer[CaseEvent]
    events_truncated: bool
    def __init__(self, case: _Optional[_Union[Case, _Mapping]] = ..., transaction: _Optional[_Union[_transaction_pb2.Transaction, _Mapping]] = ..., review: _Optional[_Union[_agent_service_pb2.ReviewResponse, _Mapping]] = ..., events: _Optional[_Iterable[_Union[CaseEvent, _Mapping]]] = ..., events_truncated: _Optional[bool] = ...) -> None: ...

class ClaimCaseRequest(_message.Message):
    __slots__ = ("case_id",)
    CASE_ID_FIELD_NUMBER: _ClassVar[int]
    case_id: str
    def __init__(self, case_id: _Optional[str] = ...) -> None: ...

class ClaimCaseResponse(_message.Message):
    __slots__ = ("case", "token")
    CASE_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    case: Case
    token: int
    def __init__(self, case: _Optional[_Union[Case, _Mapping]] = ..., token: _Optional[int] = ...) -> None: ...

class ClaimNextRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ClaimNextResponse(_message.Message):
    __slots__ = ("case", "token")
    CASE_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    case: Case
    token: int
    def __init__(self, case: _Optional[_Union[Case, _Mapping]] = ..., token: _Optional[int] = ...) -> None: ...

class RenewClaimRequest(_message.Message):
    __slots__ = ("case_id", "token")
    CASE_ID_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    case_id: str
    token: int
    def __init__(self, case_id: _Optional[str] = ..., token: _Optional[int] = ...) -> None: ...

class RenewClaimResponse(_message.Message):
    __slots__ = ("case",)
    CASE_FIELD_NUMBER: _ClassVar[int]
    case: Case
    def __init__(self, case: _Optional[_Union[Case, _Mapping]] = ...) -> None: ...

class ReleaseCaseRequest(_message.Message):
    __slots__ = ("case_id", "token")
    CASE_ID_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    case_id: str
    token: int
    def __init__(self, case_id: _Optional[str] = ..., token: _Optional[int] = ...) -> None: ...

class ReleaseCaseResponse(_message.Message):
    __slots__ = ("case",)
    CASE_FIELD_NUMBER: _ClassVar[int]
    case: Case
    def __init__(self, case: _Optional[_Union[Case, _Mapping]] = ...) -> None: ...

class ResolveCaseRequest(_message.Message):
    __slots__ = ("case_id", "verdict", "note", "token", "abuse_type", "reason_code")
    CASE_ID_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    ABUSE_TYPE_FIELD_NUMBER: _ClassVar[int]
    REASON_CODE_FIELD_NUMBER: _ClassVar[int]
    case_id: str
    verdict: _agent_service_pb2.Decision
    note: str
    token: int
    abuse_type: str
    reason_code: str
    def __init__(self, case_id: _Optional[str] = ..., verdict: _Optional[_Union[_agent_service_pb2.Decision, str]] = ..., note: _Optional[str] = ..., token: _Optional[int] = ..., abuse_type: _Optional[str] = ..., reason_code: _Optional[str] = ...) -> None: ...

class ResolveCaseResponse(_message.Message):
    __slots__ = ("case",)
    CASE_FIELD_NUMBER: _ClassVar[int]
    case: Case
    def __init__(self, case: _Optional[_Union[Case, _Mapping]] = ...) -> None: ...

class CommentCaseRequest(_message.Message):
    __slots__ = ("case_id", "text")
    CASE_ID_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    case_id: str
    text: str
    def __init__(self, case_id: _Optional[str] = ..., text: _Optional[str] = ...) -> None: ...

class CommentCaseResponse(_message.Message):
    __slots__ = ("event",)
    EVENT_FIELD_NUMBER: _ClassVar[int]
    event: CaseEvent
    def __init__(self, event: _Optional[_Union[CaseEvent, _Mapping]] = ...) -> None: ...

class WatchCasesRequest(_message.Message):
    __slots__ = ("cursor",)
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    cursor: int
    def __init__(self, cursor: _Optional[int] = ...) -> None: ...

class WatchCasesResponse(_message.Message):
    __slots__ = ("cursor", "kind", "case")
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    CASE_FIELD_NUMBER: _ClassVar[int]
    cursor: int
    kind: CaseEventKind
    case: Case
    def __init__(self, cursor: _Optional[int] = ..., kind: _Optional[_Union[CaseEventKind, str]] = ..., case: _Optional[_Union[Case, _Mapping]] = ...) -> None: ...

class ListReviewersRequest(_message.Message):
    __slots__ = ("since",)
    SINCE_FIELD_NUMBER: _ClassVar[int]
    since: _timestamp_pb2.Timestamp
    def __init__(self, since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ReviewerQuality(_message.Message):
    __slots__ = ("reviewer", "verdicts", "median_seconds", "recommended", "overridden", "golden", "golden_right", "paired", "agreed", "kappa", "checked", "wrong", "error_low", "error_high", "stands_out")
    REVIEWER_FIELD_NUMBER: _ClassVar[int]
    VERDICTS_FIELD_NUMBER: _ClassVar[int]
    MEDIAN_SECONDS_FIELD_NUMBER: _ClassVar[int]
    RECOMMENDED_FIELD_NUMBER: _ClassVar[int]
    OVERRIDDEN_FIELD_NUMBER: _ClassVar[int]
    GOLDEN_FIELD_NUMBER: _ClassVar[int]
    GOLDEN_RIGHT_FIELD_NUMBER: _ClassVar[int]
    PAIRED_FIELD_NUMBER: _ClassVar[int]
    AGREED_FIELD_NUMBER: _ClassVar[int]
    KAPPA_FIELD_NUMBER: _ClassVar[int]
    CHECKED_FIELD_NUMBER: _ClassVar[int]
    WRONG_FIELD_NUMBER: _ClassVar[int]
    ERROR_LOW_FIELD_NUMBER: _ClassVar[int]
    ERROR_HIGH_FIELD_NUMBER: _ClassVar[int]
    STANDS_OUT_FIELD_NUMBER: _ClassVar[int]
    reviewer: str
    verdicts: int
    median_seconds: float
    recommended: int
    overridden: int
    golden: int
    golden_right: int
    paired: int
    agreed: int
    kappa: Kappa
    checked: int
    wrong: int
    error_low: float
    error_high: float
    stands_out: bool
    def __init__(self, reviewer: _Optional[str] = ..., verdicts: _Optional[int] = ..., median_seconds: _Optional[float] = ..., recommended: _Optional[int] = ..., overridden: _Optional[int] = ..., golden: _Optional[int] = ..., golden_right: _Optional[int] = ..., paired: _Optional[int] = ..., agreed: _Optional[int] = ..., kappa: _Optional[_Union[Kappa, _Mapping]] = ..., checked: _Optional[int] = ..., wrong: _Optional[int] = ..., error_low: _Optional[float] = ..., error_high: _Optional[float] = ..., stands_out: _Optional[bool] = ...) -> None: ...

class Kappa(_message.Message):
    __slots__ = ("kappa", "low", "high")
    KAPPA_FIELD_NUMBER: _ClassVar[int]
    LOW_FIELD_NUMBER: _ClassVar[int]
    HIGH_FIELD_NUMBER: _ClassVar[int]
    kappa: float
    low: float
    high: float
    def __init__(self, kappa: _Optional[float] = ..., low: _Optional[float] = ..., high: _Optional[float] = ...) -> None: ...

class ListReviewersResponse(_message.Message):
    __slots__ = ("reviewers", "paired", "kappa", "truncated")
    REVIEWERS_FIELD_NUMBER: _ClassVar[int]
    PAIRED_FIELD_NUMBER: _ClassVar[int]
    KAPPA_FIELD_NUMBER: _ClassVar[int]
    TRUNCATED_FIELD_NUMBER: _ClassVar[int]
    reviewers: _containers.RepeatedCompositeFieldContainer[ReviewerQuality]
    paired: int
    kappa: Kappa
    truncated: bool
    def __init__(self, reviewers: _Optional[_Iterable[_Union[ReviewerQuality, _Mapping]]] = ..., paired: _Optional[int] = ..., kappa: _Optional[_Union[Kappa, _Mapping]] = ..., truncated: _Optional[bool] = ...) -> None: ...

class ExportLabelsRequest(_message.Message):
    __slots__ = ("since",)
    SINCE_FIELD_NUMBER: _ClassVar[int]
    since: _timestamp_pb2.Timestamp
    def __init__(self, since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ExportLabelsResponse(_message.Message):
    __slots__ = ("transaction", "is_abuse", "resolved_at", "abuse_type", "source", "weight", "confidence")
    TRANSACTION_FIELD_NUMBER: _ClassVar[int]
    IS_ABUSE_FIELD_NUMBER: _ClassVar[int]
    RESOLVED_AT_FIELD_NUMBER: _ClassVar[int]
    ABUSE_TYPE_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    transaction: _transaction_pb2.Transaction
    is_abuse: bool
    resolved_at: _timestamp_pb2.Timestamp
    abuse_type: str
    source: str
    weight: float
    confidence: float
    def __init__(self, transaction: _Optional[_Union[_transaction_pb2.Transaction, _Mapping]] = ..., is_abuse: _Optional[bool] = ..., resolved_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., abuse_type: _Optional[str] = ..., source: _Optional[str] = ..., weight: _Optional[float] = ..., confidence: _Optional[float] = ...) -> None: ...
