import datetime

from generated.buf.validate import validate_pb2 as _validate_pb2
from google.api import annotations_pb2 as _annotations_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from generated.vouch.v1 import scoring_service_pb2 as _scoring_service_pb2
from generated.vouch.v1 import transaction_pb2 as _transaction_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Decision(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DECISION_UNSPECIFIED: _ClassVar[Decision]
    DECISION_APPROVE: _ClassVar[Decision]
    DECISION_DENY: _ClassVar[Decision]
    DECISION_REVIEW: _ClassVar[Decision]

class DecisionMaker(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DECISION_MAKER_UNSPECIFIED: _ClassVar[DecisionMaker]
    DECISION_MAKER_ML_MODEL: _ClassVar[DecisionMaker]
    DECISION_MAKER_AGENT: _ClassVar[DecisionMaker]
    DECISION_MAKER_REVIEW_REQUIRED: _ClassVar[DecisionMaker]
    DECISION_MAKER_POLICY: _ClassVar[DecisionMaker]
    DECISION_MAKER_HUMAN: _ClassVar[DecisionMaker]

class RuleEffect(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RULE_EFFECT_UNSPECIFIED: _ClassVar[RuleEffect]
    RULE_EFFECT_APPROVE: _ClassVar[RuleEffect]
    RULE_EFFECT_DENY: _ClassVar[RuleEffect]
    RULE_EFFECT_REVIEW: _ClassVar[RuleEffect]
    RULE_EFFECT_THRESHOLDS: _ClassVar[RuleEffect]

class Recommendation(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RECOMMENDATION_UNSPECIFIED: _ClassVar[Recommendation]
    RECOMMENDATION_APPROVE: _ClassVar[Recommendation]
    RECOMMENDATION_DENY: _ClassVar[Recommendation]
    RECOMMENDATION_ESCALATE: _ClassVar[Recommendation]

class AgentStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    AGENT_STATUS_UNSPECIFIED: _ClassVar[AgentStatus]
    AGENT_STATUS_AVAILABLE: _ClassVar[AgentStatus]
    AGENT_STATUS_DEGRADED: _ClassVar[AgentStatus]
DECISION_UNSPECIFIED: Decision
DECISION_APPROVE: Decision
DECISION_DENY: Decision
DECISION_REVIEW: Decision
DECISION_MAKER_UNSPECIFIED: DecisionMaker
DECISION_MAKER_ML_MODEL: DecisionMaker
DECISION_MAKER_AGENT: DecisionMaker
DECISION_MAKER_REVIEW_REQUIRED: DecisionMaker
DECISION_MAKER_POLICY: DecisionMaker
DECISION_MAKER_HUMAN: DecisionMaker
RULE_EFFECT_UNSPECIFIED: RuleEffect
RULE_EFFECT_APPROVE: RuleEffect
RULE_EFFECT_DENY: RuleEffect
RULE_EFFECT_REVIEW: RuleEffect
RULE_EFFECT_THRESHOLDS: RuleEffect
RECOMMENDATION_UNSPECIFIED: Recommendation
RECOMMENDATION_APPROVE: Recommendation
RECOMMENDATION_DENY: Recommendation
RECOMMENDATION_ESCALATE: Recommendation
AGENT_STATUS_UNSPECIFIED: AgentStatus
AGENT_STATUS_AVAILABLE: AgentStatus
AGENT_STATUS_DEGRADED: AgentStatus

class ReviewRequest(_message.Message):
    __slots__ = ("transaction", "dry_run")
    TRANSACTION_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    transaction: _transaction_pb2.Transaction
    dry_run: bool
    def __init__(self, transaction: _Optional[_Union[_transaction_pb2.Transaction, _Mapping]] = ..., dry_run: _Optional[bool] = ...) -> None: ...

class ReviewResponse(_message.Message):
    __slots__ = ("transaction_id", "decision", "legitimacy_score", "decision_maker", "reasoning", "ml_prediction", "agent_analysis", "reasons", "case_id", "policy_version", "decision_id", "decided_at", "revision", "replaces_decision_id", "degraded", "matched_rules", "randomised_probability", "completed_fields", "order_value", "history_counts")
    TRANSACTION_ID_FIELD_NUMBER: _ClassVar[int]
    DECISION_FIELD_NUMBER: _ClassVar[int]
    LEGITIMACY_SCORE_FIELD_NUMBER: _ClassVar[int]
    DECISION_MAKER_FIELD_NUMBER: _ClassVar[int]
    REASONING_FIELD_NUMBER: _ClassVar[int]
    ML_PREDICTION_FIELD_NUMBER: _ClassVar[int]
    AGENT_ANALYSIS_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    CASE_ID_FIELD_NUMBER: _ClassVar[int]
    POLICY_VERSION_FIELD_NUMBER: _ClassVar[int]
    DECISION_ID_FIELD_NUMBER: _ClassVar[int]
    DECIDED_AT_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    REPLACES_DECISION_ID_FIELD_NUMBER: _ClassVar[int]
    DEGRADED_FIELD_NUMBER: _ClassVar[int]
    MATCHED_RULES_FIELD_NUMBER: _ClassVar[int]
    RANDOMISED_PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    COMPLETED_FIELDS_FIELD_NUMBER: _ClassVar[int]
    ORDER_VALUE_FIELD_NUMBER: _ClassVar[int]
    HISTORY_COUNTS_FIELD_NUMBER: _ClassVar[int]
    transaction_id: str
    decision: Decision
    legitimacy_score: float
    decision_maker: DecisionMaker
    reasoning: str
    ml_prediction: _scoring_service_pb2.PredictResponse
    agent_analysis: AgentAnalysis
    reasons: _containers.RepeatedCompositeFieldContainer[_scoring_service_pb2.Reason]
    case_id: str
    policy_version: str
    decision_id: str
    decided_at: _timestamp_pb2.Timestamp
    revision: int
    replaces_decision_id: str
    degraded: bool
    matched_rules: _containers.RepeatedCompositeFieldContainer[MatchedRule]
    randomised_probability: float
    completed_fields: _containers.RepeatedCompositeFieldContainer[CompletedField]
    order_value: OrderValue
    history_counts: _containers.RepeatedCompositeFieldContainer[HistoryCount]
    def __init__(self, transaction_id: _Optional[str] = ..., decision: _Optional[_Union[Decision, str]] = ..., legitimacy_score: _Optional[float] = ..., decision_maker: _Optional[_Union[DecisionMaker, str]] = ..., reasoning: _Optional[str] = ..., ml_prediction: _Optional[_Union[_scoring_service_pb2.PredictResponse, _Mapping]] = ..., agent_analysis: _Optional[_Union[AgentAnalysis, _Mapping]] = ..., reasons: _Optional[_Iterable[_Union[_scoring_service_pb2.Reason, _Mapping]]] = ..., case_id: _Optional[str] = ..., policy_version: _Optional[str] = ..., decision_id: _Optional[str] = ..., decided_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., revision: _Optional[int] = ..., replaces_decision_id: _Optional[str] = ..., degraded: _Optional[bool] = ..., matched_rules: _Optional[_Iterable[_Union[MatchedRule, _Mapping]]] = ..., randomised_probability: _Optional[float] = ..., completed_fields: _Optional[_Iterable[_Union[CompletedField, _Mapping]]] = ..., order_value: _Optional[_Union[OrderValue, _Mapping]] = ..., history_counts: _Optional[_Iterable[_Union[HistoryCount, _Mapping]]] = ...) -> None: ...

class OrderValue(_message.Message):
    __slots__ = ("currency", "amount", "exchange_rate", "rate_date", "approximate")
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    EXCHANGE_RATE_FIELD_NUMBER: _ClassVar[int]
    RATE_DATE_FIELD_NUMBER: _ClassVar[int]
    APPROXIMATE_FIELD_NUMBER: _ClassVar[int]
    currency: str
    amount: float
    exchange_rate: float
    rate_date: str
    approximate: bool
    def __init__(self, currency: _Optional[str] = ..., amount: _Optional[float] = ..., exchange_rate: _Optional[float] = ..., rate_date: _Optional[str] = ..., approximate: _Optional[bool] = ...) -> None: ...

class MatchedRule(_message.Message):
    __slots__ = ("name", "effect", "reason", "shadow")
    NAME_FIELD_NUMBER: _ClassVar[int]
    EFFECT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    SHADOW_FIELD_NUMBER: _ClassVar[int]
    name: str
    effect: RuleEffect
    reason: str
    shadow: bool
    def __init__(self, name: _Optional[str] = ..., effect: _Optional[_Union[RuleEffect, str]] = ..., reason: _Optional[str] = ..., shadow: _Optional[bool] = ...) -> None: ...

class GetDecisionRequest(_message.Message):
    __slots__ = ("transaction_id",)
    TRANSACTION_ID_FIELD_NUMBER: _ClassVar[int]
    transaction_id: str
    def __init__(self, transaction_id: _Optional[str] = ...) -> None: ...

class GetDecisionResponse(_message.Message):
    __slots__ = ("review", "record")
    REVIEW_FIELD_NUMBER: _ClassVar[int]
    RECORD_FIELD_NUMBER: _ClassVar[int]
    review: ReviewResponse
    record: DecisionRecord
    def __init__(self, review: _Optional[_Union[ReviewResponse, _Mapping]] = ..., record: _Optional[_Union[DecisionRecord, _Mapping]] = ...) -> None: ...

class ListDecisionsRequest(_message.Message):
    __slots__ = ("transaction_id", "user_id", "since", "until", "decision", "page_size", "page_token", "model_version", "policy_version", "newest_first")
    TRANSACTION_ID_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    DECISION_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    POLICY_VERSION_FIELD_NUMBER: _ClassVar[int]
    NEWEST_FIRST_FIELD_NUMBER: _ClassVar[int]
    transaction_id: str
    user_id: str
    since: _timestamp_pb2.Timestamp
    until: _timestamp_pb2.Timestamp
    decision: Decision
    page_size: int
    page_token: str
    model_version: str
    policy_version: str
    newest_first: bool
    def __init__(self, transaction_id: _Optional[str] = ..., user_id: _Optional[str] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., decision: _Optional[_Union[Decision, str]] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., model_version: _Optional[str] = ..., policy_version: _Optional[str] = ..., newest_first: _Optional[bool] = ...) -> None: ...

class ListDecisionsResponse(_message.Message):
    __slots__ = ("records", "next_page_token")
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    records: _containers.RepeatedCompositeFieldContainer[DecisionRecord]
    next_page_token: str
    def __init__(self, records: _Optional[_Iterable[_Union[DecisionRecord, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetLinksRequest(_message.Message):
    __slots__ = ("transaction_id",)
    TRANSACTION_ID_FIELD_NUMBER: _ClassVar[int]
    transaction_id: str
    def __init__(self, transaction_id: _Optional[str] = ...) -> None: ...

class GetLinksResponse(_message.Message):
    __slots__ = ("orders", "accounts", "links", "truncated")
    ORDERS_FIELD_NUMBER: _ClassVar[int]
    ACCOUNTS_FIELD_NUMBER: _ClassVar[int]
    LINKS_FIELD_NUMBER: _ClassVar[int]
    TRUNCATED_FIELD_NUMBER: _ClassVar[int]
    orders: _containers.RepeatedCompositeFieldContainer[LinkedOrder]
    accounts: _containers.RepeatedCompositeFieldContainer[LinkedAccount]
    links: _containers.RepeatedCompositeFieldContainer[Link]
    truncated: bool
    def __init__(self, orders: _Optional[_Iterable[_Union[LinkedOrder, _Mapping]]] = ..., accounts: _Optional[_Iterable[_Union[LinkedAccount, _Mapping]]] = ..., links: _Optional[_Iterable[_Union[Link, _Mapping]]] = ..., truncated: _Optional[bool] = ...) -> None: ...

class LinkedOrder(_message.Message):
    __slots__ = ("record", "shared")
    RECORD_FIELD_NUMBER: _ClassVar[int]
    SHARED_FIELD_NUMBER: _ClassVar[int]
    record: DecisionRecord
    shared: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, record: _Optional[_Union[DecisionRecord, _Mapping]] = ..., shared: _Optional[_Iterable[str]] = ...) -> None: ...

class LinkedAccount(_message.Message):
    __slots__ = ("user_id", "step", "orders", "denied", "transaction_id")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    ORDERS_FIELD_NUMBER: _ClassVar[int]
    DENIED_FIELD_NUMBER: _ClassVar[int]
    TRANSACTION_ID_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    step: int
    orders: int
    denied: int
    transaction_id: str
    def __init__(self, user_id: _Optional[str] = ..., step: _Optional[int] = ..., orders: _Optional[int] = ..., denied: _Optional[int] = ..., transaction_id: _Optional[str] = ...) -> None: ...

class Link(_message.Message):
    __slots__ = ("field", "value", "user_ids")
    FIELD_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    USER_IDS_FIELD_NUMBER: _ClassVar[int]
    field: str
    value: str
    user_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, field: _Optional[str] = ..., value: _Optional[str] = ..., user_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class VerifyDecisionRequest(_message.Message):
    __slots__ = ("transaction_id",)
    TRANSACTION_ID_FIELD_NUMBER: _ClassVar[int]
    transaction_id: str
    def __init__(self, transaction_id: _Optional[str] = ...) -> None: ...

class VerifyDecisionResponse(_message.Message):
    __slots__ = ("holds", "problem", "sequence", "entries", "hash", "previous_hash")
    HOLDS_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    HASH_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_HASH_FIELD_NUMBER: _ClassVar[int]
    holds: bool
    problem: str
    sequence: int
    entries: int
    hash: str
    previous_hash: str
    def __init__(self, holds: _Optional[bool] = ..., problem: _Optional[str] = ..., sequence: _Optional[int] = ..., entries: _Optional[int] = ..., hash: _Optional[str] = ..., previous_hash: _Optional[str] = ...) -> None: ...

class DecisionRecord(_message.Message):
    __slots__ = ("sequence", "decision_id", "decided_at", "decision", "decision_maker", "legitimacy_score", "degraded", "revision", "replaces_decision_id", "caller", "model_version", "policy_version", "policy_digest", "erased", "request_id", "transaction_id", "transaction", "completed_fields", "history_counts", "answer", "randomised_probability")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    DECISION_ID_FIELD_NUMBER: _ClassVar[int]
    DECIDED_AT_FIELD_NUMBER: _ClassVar[int]
    DECISION_FIELD_NUMBER: _ClassVar[int]
    DECISION_MAKER_FIELD_NUMBER: _ClassVar[int]
    LEGITIMACY_SCORE_FIELD_NUMBER: _ClassVar[int]
    DEGRADED_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    REPLACES_DECISION_ID_FIELD_NUMBER: _ClassVar[int]
    CALLER_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    POLICY_VERSION_FIELD_NUMBER: _ClassVar[int]
    POLICY_DIGEST_FIELD_NUMBER: _ClassVar[int]
    ERASED_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    TRANSACTION_ID_FIELD_NUMBER: _ClassVar[int]
    TRANSACTION_FIELD_NUMBER: _ClassVar[int]
    COMPLETED_FIELDS_FIELD_NUMBER: _ClassVar[int]
    HISTORY_COUNTS_FIELD_NUMBER: _ClassVar[int]
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    RANDOMISED_PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    decision_id: str
    decided_at: _timestamp_pb2.Timestamp
    decision: Decision
    decision_maker: DecisionMaker
    legitimacy_score: float
    degraded: bool
    revision: int
    replaces_decision_id: str
    caller: str
    model_version: str
    policy_version: str
    policy_digest: str
    erased: bool
    request_id: str
    transaction_id: str
    transaction: _transaction_pb2.Transaction
    completed_fields: _containers.RepeatedCompositeFieldContainer[CompletedField]
    history_counts: _containers.RepeatedCompositeFieldContainer[HistoryCount]
    answer: ReviewResponse
    randomised_probability: float
    def __init__(self, sequence: _Optional[int] = ..., decision_id: _Optional[str] = ..., decided_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., decision: _Optional[_Union[Decision, str]] = ..., decision_maker: _Optional[_Union[DecisionMaker, str]] = ..., legitimacy_score: _Optional[float] = ..., degraded: _Optional[bool] = ..., revision: _Optional[int] = ..., replaces_decision_id: _Optional[str] = ..., caller: _Optional[str] = ..., model_version: _Optional[str] = ..., policy_version: _Optional[str] = ..., policy_digest: _Optional[str] = ..., erased: _Optional[bool] = ..., request_id: _Optional[str] = ..., transaction_id: _Optional[str] = ..., transaction: _Optional[_Union[_transaction_pb2.Transaction, _Mapping]] = ..., completed_fields: _Optional[_Iterable[_Union[CompletedField, _Mapping]]] = ..., history_counts: _Optional[_Iterable[_Union[HistoryCount, _Mapping]]] = ..., answer: _Optional[_Union[ReviewResponse, _Mapping]] = ..., randomised_probability: _Optional[float] = ...) -> None: ...

class CompletedField(_message.Message):
    __slots__ = ("name", "value", "source")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    name: str
    value: str
    source: str
    def __init__(self, name: _Optional[str] = ..., value: _Optional[str] = ..., source: _Optional[str] = ...) -> None: ...

class HistoryCount(_message.Message):
    __slots__ = ("event", "key", "window_seconds", "count")
    EVENT_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    WINDOW_SECONDS_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    event: str
    key: str
    window_seconds: int
    count: int
    def __init__(self, event: _Optional[str] = ..., key: _Optional[str] = ..., window_seconds: _Optional[int] = ..., count: _Optional[int] = ...) -> None: ...

class GetAgentInfoRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetAgentInfoResponse(_message.Message):
    __slots__ = ("service_name", "version", "auto_approve_threshold", "auto_deny_threshold", "agent_status", "policy_version", "minimum_evidence", "scorer_available", "ledger_available", "caller", "caller_role", "rules", "failing_jobs", "failing_rules")
    SERVICE_NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    AUTO_APPROVE_THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    AUTO_DENY_THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    AGENT_STATUS_FIELD_NUMBER: _ClassVar[int]
    POLICY_VERSION_FIELD_NUMBER: _ClassVar[int]
    MINIMUM_EVIDENCE_FIELD_NUMBER: _ClassVar[int]
    SCORER_AVAILABLE_FIELD_NUMBER: _ClassVar[int]
    LEDGER_AVAILABLE_FIELD_NUMBER: _ClassVar[int]
    CALLER_FIELD_NUMBER: _ClassVar[int]
    CALLER_ROLE_FIELD_NUMBER: _ClassVar[int]
    RULES_FIELD_NUMBER: _ClassVar[int]
    FAILING_JOBS_FIELD_NUMBER: _ClassVar[int]
    FAILING_RULES_FIELD_NUMBER: _ClassVar[int]
    service_name: str
    version: str
    auto_approve_threshold: float
    auto_deny_threshold: float
    agent_status: AgentStatus
    policy_version: str
    minimum_evidence: int
    scorer_available: bool
    ledger_available: bool
    caller: str
    caller_role: str
    rules: _containers.RepeatedCompositeFieldContainer[MatchedRule]
    failing_jobs: _containers.RepeatedScalarFieldContainer[str]
    failing_rules: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, service_name: _Optional[str] = ..., version: _Optional[str] = ..., auto_approve_threshold: _Optional[float] = ..., auto_deny_threshold: _Optional[float] = ..., agent_status: _Optional[_Union[AgentStatus, str]] = ..., policy_version: _Optional[str] = ..., minimum_evidence: _Optional[int] = ..., scorer_available: _Optional[bool] = ..., ledger_available: _Optional[bool] = ..., caller: _Optional[str] = ..., caller_role: _Optional[str] = ..., rules: _Optional[_Iterable[_Union[MatchedRule, _Mapping]]] = ..., failing_jobs: _Optional[_Iterable[str]] = ..., failing_rules: _Optional[_Iterable[str]] = ...) -> None: ...

class AgentAnalysis(_message.Message):
    __slots__ = ("recommendation", "summary", "evidence", "counterfactuals")
    RECOMMENDATION_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_FIELD_NUMBER: _ClassVar[int]
    COUNTERFACTUALS_FIELD_NUMBER: _ClassVar[int]
    recommendation: Recommendation
    summary: str
    evidence: _containers.RepeatedCompositeFieldContainer[Evidence]
    counterfactuals: _containers.RepeatedCompositeFieldContainer[Counterfactual]
    def __init__(self, recommendation: _Optional[_Union[Recommendation, str]] = ..., summary: _Optional[str] = ..., evidence: _Optional[_Iterable[_Union[Evidence, _Mapping]]] = ..., counterfactuals: _Optional[_Iterable[_Union[Counterfactual, _Mapping]]] = ...) -> None: ...

class Counterfactual(_message.Message):
    __slots__ = ("changes", "legitimacy_score", "sentence")
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    LEGITIMACY_SCORE_FIELD_NUMBER: _ClassVar[int]
    SENTENCE_FIELD_NUMBER: _ClassVar[int]
    changes: _containers.RepeatedCompositeFieldContainer[FieldChange]
    legitimacy_score: float
    sentence: str
    def __init__(self, changes: _Optional[_Iterable[_Union[FieldChange, _Mapping]]] = ..., legitimacy_score: _Optional[float] = ..., sentence: _Optional[str] = ...) -> None: ...

class FieldChange(_message.Message):
    __slots__ = ("field", "from_value", "to_value")
    FIELD_FIELD_NUMBER: _ClassVar[int]
    FROM_VALUE_FIELD_NUMBER: _ClassVar[int]
    TO_VALUE_FIELD_NUMBER: _ClassVar[int]
    field: str
    from_value: str
    to_value: str
    def __init__(self, field: _Optional[str] = ..., from_value: _Optional[str] = ..., to_value: _Optional[str] = ...) -> None: ...

class Evidence(_message.Message):
    __slots__ = ("group", "contribution", "finding", "reasons")
    GROUP_FIELD_NUMBER: _ClassVar[int]
    CONTRIBUTION_FIELD_NUMBER: _ClassVar[int]
    FINDING_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    group: _scoring_service_pb2.FeatureGroup
    contribution: float
    finding: str
    reasons: _containers.RepeatedCompositeFieldContainer[_scoring_service_pb2.Reason]
    def __init__(self, group: _Optional[_Union[_scoring_service_pb2.FeatureGroup, str]] = ..., contribution: _Optional[float] = ..., finding: _Optional[str] = ..., reasons: _Optional[_Iterable[_Union[_scoring_service_pb2.Reason, _Mapping]]] = ...) -> None: ...
