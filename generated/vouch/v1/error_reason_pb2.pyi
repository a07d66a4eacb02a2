from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from typing import ClassVar as _ClassVar

DESCRIPTOR: _descriptor.FileDescriptor

class ErrorReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ERROR_REASON_UNSPECIFIED: _ClassVar[ErrorReason]
    ERROR_REASON_INVALID_REQUEST: _ClassVar[ErrorReason]
    ERROR_REASON_MODEL_NOT_LOADED: _ClassVar[ErrorReason]
    ERROR_REASON_SCORER_UNAVAILABLE: _ClassVar[ErrorReason]
    ERROR_REASON_LEDGER_UNAVAILABLE: _ClassVar[ErrorReason]
    ERROR_REASON_DECISION_NOT_FOUND: _ClassVar[ErrorReason]
    ERROR_REASON_CASE_NOT_FOUND: _ClassVar[ErrorReason]
    ERROR_REASON_CASE_NOT_AVAILABLE: _ClassVar[ErrorReason]
    ERROR_REASON_OVERLOADED: _ClassVar[ErrorReason]
    ERROR_REASON_DEADLINE_EXCEEDED: _ClassVar[ErrorReason]
    ERROR_REASON_API_KEY_INVALID: _ClassVar[ErrorReason]
    ERROR_REASON_NOT_IMPLEMENTED: _ClassVar[ErrorReason]
    ERROR_REASON_ROLE_INSUFFICIENT: _ClassVar[ErrorReason]
    ERROR_REASON_NOTHING_KEPT: _ClassVar[ErrorReason]
    ERROR_REASON_SERVICE_UNAVAILABLE: _ClassVar[ErrorReason]
    ERROR_REASON_REQUEST_TOO_LARGE: _ClassVar[ErrorReason]
    ERROR_REASON_INTERNAL: _ClassVar[ErrorReason]
ERROR_REASON_UNSPECIFIED: ErrorReason
ERROR_REASON_INVALID_REQUEST: ErrorReason
ERROR_REASON_MODEL_NOT_LOADED: ErrorReason
ERROR_REASON_SCORER_UNAVAILABLE: ErrorReason
ERROR_REASON_LEDGER_UNAVAILABLE: ErrorReason
ERROR_REASON_DECISION_NOT_FOUND: ErrorReason
ERROR_REASON_CASE_NOT_FOUND: ErrorReason
ERROR_REASON_CASE_NOT_AVAILABLE: ErrorReason
ERROR_REASON_OVERLOADED: ErrorReason
ERROR_REASON_DEADLINE_EXCEEDED: ErrorReason
ERROR_REASON_API_KEY_INVALID: ErrorReason
ERROR_REASON_NOT_IMPLEMENTED: ErrorReason
ERROR_REASON_ROLE_INSUFFICIENT: ErrorReason
ERROR_REASON_NOTHING_KEPT: ErrorReason
ERROR_REASON_SERVICE_UNAVAILABLE: ErrorReason
ERROR_REASON_REQUEST_TOO_LARGE: ErrorReason
ERROR_REASON_INTERNAL: ErrorReason
