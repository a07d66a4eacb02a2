import datetime

from generated.buf.validate import validate_pb2 as _validate_pb2
from google.api import annotations_pb2 as _annotations_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.rpc import status_pb2 as _status_pb2
from generated.vouch.v1 import transaction_pb2 as _transaction_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ExplainLevel(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EXPLAIN_LEVEL_UNSPECIFIED: _ClassVar[ExplainLevel]
    EXPLAIN_LEVEL_NONE: _ClassVar[ExplainLevel]
    EXPLAIN_LEVEL_REASONS: _ClassVar[ExplainLevel]
    EXPLAIN_LEVEL_FULL: _ClassVar[ExplainLevel]

class Prediction(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PREDICTION_UNSPECIFIED: _ClassVar[Prediction]
    PREDICTION_LEGITIMATE: _ClassVar[Prediction]
    PREDICTION_FRAUD: _ClassVar[Prediction]

class BatchErrorPolicy(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    BATCH_ERROR_POLICY_UNSPECIFIED: _ClassVar[BatchErrorPolicy]
    BATCH_ERROR_POLICY_FAIL_CALL: _ClassVar[BatchErrorPolicy]
    BATCH_ERROR_POLICY_FAIL_ITEM: _ClassVar[BatchErrorPolicy]

class FeatureGroup(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FEATURE_GROUP_UNSPECIFIED: _ClassVar[FeatureGroup]
    FEATURE_GROUP_ACCOUNT: _ClassVar[FeatureGroup]
    FEATURE_GROUP_AUTHENTICATION: _ClassVar[FeatureGroup]
    FEATURE_GROUP_PAYMENT: _ClassVar[FeatureGroup]
    FEATURE_GROUP_BEHAVIOUR: _ClassVar[FeatureGroup]
    FEATURE_GROUP_NETWORK: _ClassVar[FeatureGroup]
EXPLAIN_LEVEL_UNSPECIFIED: ExplainLevel
EXPLAIN_LEVEL_NONE: ExplainLevel
EXPLAIN_LEVEL_REASONS: ExplainLevel
EXPLAIN_LEVEL_FULL: ExplainLevel
PREDICTION_UNSPECIFIED: Prediction
PREDICTION_LEGITIMATE: Prediction
PREDICTION_FRAUD: Prediction
BATCH_ERROR_POLICY_UNSPECIFIED: BatchErrorPolicy
BATCH_ERROR_POLICY_FAIL_CALL: BatchErrorPolicy
BATCH_ERROR_POLICY_FAIL_ITEM: BatchErrorPolicy
FEATURE_GROUP_UNSPECIFIED: FeatureGroup
FEATURE_GROUP_ACCOUNT: FeatureGroup
FEATURE_GROUP_AUTHENTICATION: FeatureGroup
FEATURE_GROUP_PAYMENT: FeatureGroup
FEATURE_GROUP_BEHAVIOUR: FeatureGroup
FEATURE_GROUP_NETWORK: FeatureGroup

class PredictRequest(_message.Message):
    __slots__ = ("transaction", "explain", "explain_level")
    TRANSACTION_FIELD_NUMBER: _ClassVar[int]
    EXPLAIN_FIELD_NUMBER: _ClassVar[int]
    EXPLAIN_LEVEL_FIELD_NUMBER: _ClassVar[int]
    transaction: _transaction_pb2.Transaction
    explain: bool
    explain_level: ExplainLevel
    def __init__(self, transaction: _Optional[_Union[_transaction_pb2.Transaction, _Mapping]] = ..., explain: _Optional[bool] = ..., explain_level: _Optional[_Union[ExplainLevel, str]] = ...) -> None: ...

class PredictResponse(_message.Message):
    __slots__ = ("transaction_id", "legitimacy_score", "prediction", "confidence", "model_version", "abuse_type_scores", "reasons", "explanation", "unknown_extras")
    TRANSACTION_ID_FIELD_NUMBER: _ClassVar[int]
    LEGITIMACY_SCORE_FIELD_NUMBER: _ClassVar[int]
    PREDICTION_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    ABUSE_TYPE_SCORES_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    EXPLANATION_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_EXTRAS_FIELD_NUMBER: _ClassVar[int]
    transaction_id: str
    legitimacy_score: float
    prediction: Prediction
    confidence: float
    model_version: str
    abuse_type_scores: AbuseTypeScores
    reasons: _containers.RepeatedCompositeFieldContainer[Reason]
    explanation: Explanation
    unknown_extras: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, transaction_id: _Optional[str] = ..., legitimacy_score: _Optional[float] = ..., prediction: _Optional[_Union[Prediction, str]] = ..., confidence: _Optional[float] = ..., model_version: _Optional[str] = ..., abuse_type_scores: _Optional[_Union[AbuseTypeScores, _Mapping]] = ..., reasons: _Optional[_Iterable[_Union[Reason, _Mapping]]] = ..., explanation: _Optional[_Union[Explanation, _Mapping]] = ..., unknown_extras: _Optional[_Iterable[str]] = ...) -> None: ...

class PredictBatchRequest(_message.Message):
    __slots__ = ("transactions", "explain", "error_policy", "request_ids", "explain_level")
    TRANSACTIONS_FIELD_NUMBER: _ClassVar[int]
    EXPLAIN_FIELD_NUMBER: _ClassVar[int]
    ERROR_POLICY_FIELD_NUMBER: _ClassVar[int]
    REQUEST_IDS_FIELD_NUMBER: _ClassVar[int]
    EXPLAIN_LEVEL_FIELD_NUMBER: _ClassVar[int]
    transactions: _containers.RepeatedCompositeFieldContainer[_transaction_pb2.Transaction]
    explain: bool
    error_policy: BatchErrorPolicy
    request_ids: _containers.RepeatedScalarFieldContainer[str]
    explain_level: ExplainLevel
    def __init__(self, transactions: _Optional[_Iterable[_Union[_transaction_pb2.Transaction, _Mapping]]] = ..., explain: _Optional[bool] = ..., error_policy: _Optional[_Union[BatchErrorPolicy, str]] = ..., request_ids: _Optional[_Iterable[str]] = ..., explain_level: _Optional[_Union[ExplainLevel, str]] = ...) -> None: ...

class PredictBatchResponse(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[PredictBatchResult]
    def __init__(self, results: _Optional[_Iterable[_Union[PredictBatchResult, _Mapping]]] = ...) -> None: ...

class PredictBatchResult(_message.Message):
    __slots__ = ("index", "prediction", "error")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    PREDICTION_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    index: int
    prediction: PredictResponse
    error: _status_pb2.Status
    def __init__(self, index: _Optional[int] = ..., prediction: _Optional[_Union[PredictResponse, _Mapping]] = ..., error: _Optional[_Union[_status_pb2.Status, _Mapping]] = ...) -> None: ...

class GetModelInfoRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetModelInfoResponse(_message.Message):
    __slots__ = ("model_version", "training_date", "n_features", "feature_names", "model_classes", "metrics", "dataset", "extra_numbers", "extra_texts")
    class MetricsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    TRAINING_DATE_FIELD_NUMBER: _ClassVar[int]
    N_FEATURES_FIELD_NUMBER: _ClassVar[int]
    FEATURE_NAMES_FIELD_NUMBER: _ClassVar[int]
    MODEL_CLASSES_FIELD_NUMBER: _ClassVar[int]
    METRICS_FIELD_NUMBER: _ClassVar[int]
    DATASET_FIELD_NUMBER: _ClassVar[int]
    EXTRA_NUMBERS_FIELD_NUMBER: _ClassVar[int]
    EXTRA_TEXTS_FIELD_NUMBER: _ClassVar[int]
    model_version: str
    training_date: _timestamp_pb2.Timestamp
    n_features: int
    feature_names: _containers.RepeatedScalarFieldContainer[str]
    model_classes: _containers.RepeatedScalarFieldContainer[str]
    metrics: _containers.ScalarMap[str, float]
    dataset: Dataset
    extra_numbers: _containers.RepeatedScalarFieldContainer[str]
    extra_texts: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, model_version: _Optional[str] = ..., training_date: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., n_features: _Optional[int] = ..., feature_names: _Optional[_Iterable[str]] = ..., model_classes: _Optional[_Iterable[str]] = ..., metrics: _Optional[_Mapping[str, float]] = ..., dataset: _Optional[_Union[Dataset, _Mapping]] = ..., extra_numbers: _Optional[_Iterable[str]] = ..., extra_texts: _Optional[_Iterable[str]] = ...) -> None: ...

class GetModelReportRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetModelReportResponse(_message.Message):
    __slots__ = ("model_version", "form", "effects", "pairs", "calibration", "costs", "versions")
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    FORM_FIELD_NUMBER: _ClassVar[int]
    EFFECTS_FIELD_NUMBER: _ClassVar[int]
    PAIRS_FIELD_NUMBER: _ClassVar[int]
    CALIBRATION_FIELD_NUMBER: _ClassVar[int]
    COSTS_FIELD_NUMBER: _ClassVar[int]
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    model_version: str
    form: str
    effects: _containers.RepeatedCompositeFieldContainer[FeatureEffect]
    pairs: _containers.RepeatedCompositeFieldContainer[PairEffect]
    calibration: _containers.RepeatedCompositeFieldContainer[CalibrationPoint]
    costs: _containers.RepeatedCompositeFieldContainer[CostPoint]
    versions: _containers.RepeatedCompositeFieldContainer[ModelVersion]
    def __init__(self, model_version: _Optional[str] = ..., form: _Optional[str] = ..., effects: _Optional[_Iterable[_Union[FeatureEffect, _Mapping]]] = ..., pairs: _Optional[_Iterable[_Union[PairEffect, _Mapping]]] = ..., calibration: _Optional[_Iterable[_Union[CalibrationPoint, _Mapping]]] = ..., costs: _Optional[_Iterable[_Union[CostPoint, _Mapping]]] = ..., versions: _Optional[_Iterable[_Union[ModelVersion, _Mapping]]] = ...) -> None: ...

class FeatureEffect(_message.Message):
    __slots__ = ("feature", "importance", "unknown", "thresholds", "effect")
    FEATURE_FIELD_NUMBER: _ClassVar[int]
    IMPORTANCE_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_FIELD_NUMBER: _ClassVar[int]
    THRESHOLDS_FIELD_NUMBER: _ClassVar[int]
    EFFECT_FIELD_NUMBER: _ClassVar[int]
    feature: str
    importance: float
    unknown: float
    thresholds: _containers.RepeatedScalarFieldContainer[float]
    effect: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, feature: _Optional[str] = ..., importance: _Optional[float] = ..., unknown: _Optional[float] = ..., thresholds: _Optional[_Iterable[float]] = ..., effect: _Optional[_Iterable[float]] = ...) -> None: ...

class PairEffect(_message.Message):
    __slots__ = ("first", "second", "first_thresholds", "second_thresholds", "effect")
    FIRST_FIELD_NUMBER: _ClassVar[int]
    SECOND_FIELD_NUMBER: _ClassVar[int]
    FIRST_THRESHOLDS_FIELD_NUMBER: _ClassVar[int]
    SECOND_THRESHOLDS_FIELD_NUMBER: _ClassVar[int]
    EFFECT_FIELD_NUMBER: _ClassVar[int]
    first: str
    second: str
    first_thresholds: _containers.RepeatedScalarFieldContainer[float]
    second_thresholds: _containers.RepeatedScalarFieldContainer[float]
    effect: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, first: _Optional[str] = ..., second: _Optional[str] = ..., first_thresholds: _Optional[_Iterable[float]] = ..., second_thresholds: _Optional[_Iterable[float]] = ..., effect: _Optional[_Iterable[float]] = ...) -> None: ...

class CalibrationPoint(_message.Message):
    __slots__ = ("stated", "observed", "rows")
    STATED_FIELD_NUMBER: _ClassVar[int]
    OBSERVED_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    stated: float
    observed: float
    rows: int
    def __init__(self, stated: _Optional[float] = ..., observed: _Optional[float] = ..., rows: _Optional[int] = ...) -> None: ...

class CostPoint(_message.Message):
    __slots__ = ("approve_from", "per_order", "review_share")
    APPROVE_FROM_FIELD_NUMBER: _ClassVar[int]
    PER_ORDER_FIELD_NUMBER: _ClassVar[int]
    REVIEW_SHARE_FIELD_NUMBER: _ClassVar[int]
    approve_from: float
    per_order: float
    review_share: float
    def __init__(self, approve_from: _Optional[float] = ..., per_order: _Optional[float] = ..., review_share: _Optional[float] = ...) -> None: ...

class ModelVersion(_message.Message):
    __slots__ = ("version", "training_date", "roc_auc", "brier", "rows", "role")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    TRAINING_DATE_FIELD_NUMBER: _ClassVar[int]
    ROC_AUC_FIELD_NUMBER: _ClassVar[int]
    BRIER_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    version: str
    training_date: _timestamp_pb2.Timestamp
    roc_auc: float
    brier: float
    rows: int
    role: str
    def __init__(self, version: _Optional[str] = ..., training_date: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., roc_auc: _Optional[float] = ..., brier: _Optional[float] = ..., rows: _Optional[int] = ..., role: _Optional[str] = ...) -> None: ...

class Dataset(_message.Message):
    __slots__ = ("name", "rows", "abuse_rate", "sha256")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    ABUSE_RATE_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    name: str
    rows: int
    abuse_rate: float
    sha256: str
    def __init__(self, name: _Optional[str] = ..., rows: _Optional[int] = ..., abuse_rate: _Optional[float] = ..., sha256: _Optional[str] = ...) -> None: ...

class AbuseTypeScores(_message.Message):
    __slots__ = ("fake_account", "account_takeover", "payment_fraud", "card_testing")
    FAKE_ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_TAKEOVER_FIELD_NUMBER: _ClassVar[int]
    PAYMENT_FRAUD_FIELD_NUMBER: _ClassVar[int]
    CARD_TESTING_FIELD_NUMBER: _ClassVar[int]
    fake_account: float
    account_takeover: float
    payment_fraud: float
    card_testing: float
    def __init__(self, fake_account: _Optional[float] = ..., account_takeover: _Optional[float] = ..., payment_fraud: _Optional[float] = ..., card_testing: _Optional[float] = ...) -> None: ...

class Reason(_message.Message):
    __slots__ = ("feature", "field", "value", "contribution", "group", "sentence")
    FEATURE_FIELD_NUMBER: _ClassVar[int]
    FIELD_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    CONTRIBUTION_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    SENTENCE_FIELD_NUMBER: _ClassVar[int]
    feature: str
    field: str
    value: str
    contribution: float
    group: FeatureGroup
    sentence: str
    def __init__(self, feature: _Optional[str] = ..., field: _Optional[str] = ..., value: _Optional[str] = ..., contribution: _Optional[float] = ..., group: _Optional[_Union[FeatureGroup, str]] = ..., sentence: _Optional[str] = ...) -> None: ...

class Explanation(_message.Message):
    __slots__ = ("base_value", "raw_score", "contributions", "groups")
    class ContributionsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    BASE_VALUE_FIELD_NUMBER: _ClassVar[int]
    RAW_SCORE_FIELD_NUMBER: _ClassVar[int]
    CONTRIBUTIONS_FIELD_NUMBER: _ClassVar[int]
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    base_value: float
    raw_score: float
    contributions: _containers.ScalarMap[str, float]
    groups: _containers.RepeatedCompositeFieldContainer[GroupContribution]
    def __init__(self, base_value: _Optional[float] = ..., raw_score: _Optional[float] = ..., contributions: _Optional[_Mapping[str, float]] = ..., groups: _Optional[_Iterable[_Union[GroupContribution, _Mapping]]] = ...) -> None: ...

class GroupContribution(_message.Message):
    __slots__ = ("group", "contribution")
    GROUP_FIELD_NUMBER: _ClassVar[int]
    CONTRIBUTION_FIELD_NUMBER: _ClassVar[int]
    group: FeatureGroup
    contribution: float
    def __init__(self, group: _Optional[_Union[FeatureGroup, str]] = ..., contribution: _Optional[float] = ...) -> None: ...
