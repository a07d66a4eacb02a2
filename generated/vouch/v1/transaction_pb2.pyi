import datetime

from generated.buf.validate import validate_pb2 as _validate_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class DeviceType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DEVICE_TYPE_UNSPECIFIED: _ClassVar[DeviceType]
    DEVICE_TYPE_DESKTOP: _ClassVar[DeviceType]
    DEVICE_TYPE_MOBILE: _ClassVar[DeviceType]
    DEVICE_TYPE_TABLET: _ClassVar[DeviceType]

class PaymentMethod(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PAYMENT_METHOD_UNSPECIFIED: _ClassVar[PaymentMethod]
    PAYMENT_METHOD_CREDIT_CARD: _ClassVar[PaymentMethod]
    PAYMENT_METHOD_DEBIT_CARD: _ClassVar[PaymentMethod]
    PAYMENT_METHOD_PAYPAL: _ClassVar[PaymentMethod]
    PAYMENT_METHOD_CRYPTO: _ClassVar[PaymentMethod]

class CvvCheckResult(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CVV_CHECK_RESULT_UNSPECIFIED: _ClassVar[CvvCheckResult]
    CVV_CHECK_RESULT_PASS: _ClassVar[CvvCheckResult]
    CVV_CHECK_RESULT_FAIL: _ClassVar[CvvCheckResult]
    CVV_CHECK_RESULT_NOT_CHECKED: _ClassVar[CvvCheckResult]

class AvsResult(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    AVS_RESULT_UNSPECIFIED: _ClassVar[AvsResult]
    AVS_RESULT_FULL_MATCH: _ClassVar[AvsResult]
    AVS_RESULT_PARTIAL_MATCH: _ClassVar[AvsResult]
    AVS_RESULT_NO_MATCH: _ClassVar[AvsResult]

class PaymentProcessorResponse(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PAYMENT_PROCESSOR_RESPONSE_UNSPECIFIED: _ClassVar[PaymentProcessorResponse]
    PAYMENT_PROCESSOR_RESPONSE_APPROVED: _ClassVar[PaymentProcessorResponse]
    PAYMENT_PROCESSOR_RESPONSE_DECLINED: _ClassVar[PaymentProcessorResponse]
    PAYMENT_PROCESSOR_RESPONSE_SUSPECTED_FRAUD: _ClassVar[PaymentProcessorResponse]

class ThreeDsResult(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    THREE_DS_RESULT_UNSPECIFIED: _ClassVar[ThreeDsResult]
    THREE_DS_RESULT_AUTHENTICATED: _ClassVar[ThreeDsResult]
    THREE_DS_RESULT_ATTEMPTED: _ClassVar[ThreeDsResult]
    THREE_DS_RESULT_FAILED: _ClassVar[ThreeDsResult]
    THREE_DS_RESULT_NOT_ENROLLED: _ClassVar[ThreeDsResult]
DEVICE_TYPE_UNSPECIFIED: DeviceType
DEVICE_TYPE_DESKTOP: DeviceType
DEVICE_TYPE_MOBILE: DeviceType
DEVICE_TYPE_TABLET: DeviceType
PAYMENT_METHOD_UNSPECIFIED: PaymentMethod
PAYMENT_METHOD_CREDIT_CARD: PaymentMethod
PAYMENT_METHOD_DEBIT_CARD: PaymentMethod
PAYMENT_METHOD_PAYPAL: PaymentMethod
PAYMENT_METHOD_CRYPTO: PaymentMethod
CVV_CHECK_RESULT_UNSPECIFIED: CvvCheckResult
CVV_CHECK_RESULT_PASS: CvvCheckResult
CVV_CHECK_RESULT_FAIL: CvvCheckResult
CVV_CHECK_RESULT_NOT_CHECKED: CvvCheckResult
AVS_RESULT_UNSPECIFIED: AvsResult
AVS_RESULT_FULL_MATCH: AvsResult
AVS_RESULT_PARTIAL_MATCH: AvsResult
AVS_RESULT_NO_MATCH: AvsResult
PAYMENT_PROCESSOR_RESPONSE_UNSPECIFIED: PaymentProcessorResponse
PAYMENT_PROCESSOR_RESPONSE_APPROVED: PaymentProcessorResponse
PAYMENT_PROCESSOR_RESPONSE_DECLINED: PaymentProcessorResponse
PAYMENT_PROCESSOR_RESPONSE_SUSPECTED_FRAUD: PaymentProcessorResponse
THREE_DS_RESULT_UNSPECIFIED: ThreeDsResult
THREE_DS_RESULT_AUTHENTICATED: ThreeDsResult
THREE_DS_RESULT_ATTEMPTED: ThreeDsResult
THREE_DS_RESULT_FAILED: ThreeDsResult
THREE_DS_RESULT_NOT_ENROLLED: ThreeDsResult

class Transaction(_message.Message):
    __slots__ = ("transaction_id", "timestamp", "user_id", "order_amount", "currency", "account_created_date", "account_age_days", "email_domain", "phone_verified", "email_verified", "profile_complete", "failed_login_attempts_24h", "successful_logins_7d", "password_reset_count_30d", "device_id", "ip_address", "ip_country", "user_agent", "device_type", "new_device", "vpn_proxy_detected", "accounts_on_device_30d", "accounts_on_ip_24h", "payment_method", "card_bin", "card_country", "billing_country", "shipping_country", "billing_shipping_match", "cvv_check_result", "avs_result", "payment_processor_response", "three_ds_result", "payment_attempts_24h", "cards_used_30d", "days_since_account_first_purchase", "total_orders_lifetime", "orders_last_24h", "orders_last_7d", "avg_order_value", "session_duration_seconds", "cart_additions_session", "high_risk_category", "promo_code_used", "card_id", "exchange_rate", "email_id", "phone_id", "shipping_address_id", "accounts_on_email_30d", "accounts_on_phone_30d", "accounts_on_shipping_address_30d", "automation_detected", "hosting_ip_detected", "extra_numbers", "extra_texts")
    class ExtraNumbersEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    class ExtraTextsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    TRANSACTION_ID_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    ORDER_AMOUNT_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_CREATED_DATE_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_AGE_DAYS_FIELD_NUMBER: _ClassVar[int]
    EMAIL_DOMAIN_FIELD_NUMBER: _ClassVar[int]
    PHONE_VERIFIED_FIELD_NUMBER: _ClassVar[int]
    EMAIL_VERIFIED_FIELD_NUMBER: _ClassVar[int]
    PROFILE_COMPLETE_FIELD_NUMBER: _ClassVar[int]
    FAILED_LOGIN_ATTEMPTS_24H_FIELD_NUMBER: _ClassVar[int]
    SUCCESSFUL_LOGINS_7D_FIELD_NUMBER: _ClassVar[int]
    PASSWORD_RESET_COUNT_30D_FIELD_NUMBER: _ClassVar[int]
    DEVICE_ID_FIELD_NUMBER: _ClassVar[int]
    IP_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    IP_COUNTRY_FIELD_NUMBER: _ClassVar[int]
    USER_AGENT_FIELD_NUMBER: _ClassVar[int]
    DEVICE_TYPE_FIELD_NUMBER: _ClassVar[int]
    NEW_DEVICE_FIELD_NUMBER: _ClassVar[int]
    VPN_PROXY_DETECTED_FIELD_NUMBER: _ClassVar[int]
    ACCOUNTS_ON_DEVICE_30D_FIELD_NUMBER: _ClassVar[int]
    ACCOUNTS_ON_IP_24H_FIELD_NUMBER: _ClassVar[int]
    PAYMENT_METHOD_FIELD_NUMBER: _ClassVar[int]
    CARD_BIN_FIELD_NUMBER: _ClassVar[int]
    CARD_COUNTRY_FIELD_NUMBER: _ClassVar[int]
    BILLING_COUNTRY_FIELD_NUMBER: _ClassVar[int]
    SHIPPING_COUNTRY_FIELD_NUMBER: _ClassVar[int]
    BILLING_SHIPPING_MATCH_FIELD_NUMBER: _ClassVar[int]
    CVV_CHECK_RESULT_FIELD_NUMBER: _ClassVar[int]
    AVS_RESULT_FIELD_NUMBER: _ClassVar[int]
    PAYMENT_PROCESSOR_RESPONSE_FIELD_NUMBER: _ClassVar[int]
    THREE_DS_RESULT_FIELD_NUMBER: _ClassVar[int]
    PAYMENT_ATTEMPTS_24H_FIELD_NUMBER: _ClassVar[int]
    CARDS_USED_30D_FIELD_NUMBER: _ClassVar[int]
    DAYS_SINCE_ACCOUNT_FIRST_PURCHASE_FIELD_NUMBER: _ClassVar[int]
    TOTAL_ORDERS_LIFETIME_FIELD_NUMBER: _ClassVar[int]
    ORDERS_LAST_24H_FIELD_NUMBER: _ClassVar[int]
    ORDERS_LAST_7D_FIELD_NUMBER: _ClassVar[int]
    AVG_ORDER_VALUE_FIELD_NUMBER: _ClassVar[int]
    SESSION_DURATION_SECONDS_FIELD_NUMBER: _ClassVar[int]
    CART_ADDITIONS_SESSION_FIELD_NUMBER: _ClassVar[int]
    HIGH_RISK_CATEGORY_FIELD_NUMBER: _ClassVar[int]
    PROMO_CODE_USED_FIELD_NUMBER: _ClassVar[int]
    CARD_ID_FIELD_NUMBER: _ClassVar[int]
    EXCHANGE_RATE_FIELD_NUMBER: _ClassVar[int]
    EMAIL_ID_FIELD_NUMBER: _ClassVar[int]
    PHONE_ID_FIELD_NUMBER: _ClassVar[int]
    SHIPPING_ADDRESS_ID_FIELD_NUMBER: _ClassVar[int]
    ACCOUNTS_ON_EMAIL_30D_FIELD_NUMBER: _ClassVar[int]
    ACCOUNTS_ON_PHONE_30D_FIELD_NUMBER: _ClassVar[int]
    ACCOUNTS_ON_SHIPPING_ADDRESS_30D_FIELD_NUMBER: _ClassVar[int]
    AUTOMATION_DETECTED_FIELD_NUMBER: _ClassVar[int]
    HOSTING_IP_DETECTED_FIELD_NUMBER: _ClassVar[int]
    EXTRA_NUMBERS_FIELD_NUMBER: _ClassVar[int]
    EXTRA_TEXTS_FIELD_NUMBER: _ClassVar[int]
    transaction_id: str
    timestamp: _timestamp_pb2.Timestamp
    user_id: str
    order_amount: float
    currency: str
    account_created_date: _timestamp_pb2.Timestamp
    account_age_days: int
    email_domain: str
    phone_verified: bool
    email_verified: bool
    profile_complete: bool
    failed_login_attempts_24h: int
    successful_logins_7d: int
    password_reset_count_30d: int
    device_id: str
    ip_address: str
    ip_country: str
    user_agent: str
    device_type: DeviceType
    new_device: bool
    vpn_proxy_detected: bool
    accounts_on_device_30d: int
    accounts_on_ip_24h: int
    payment_method: PaymentMethod
    card_bin: str
    card_country: str
    billing_country: str
    shipping_country: str
    billing_shipping_match: bool
    cvv_check_result: CvvCheckResult
    avs_result: AvsResult
    payment_processor_response: PaymentProcessorResponse
    three_ds_result: ThreeDsResult
    payment_attempts_24h: int
    cards_used_30d: int
    days_since_account_first_purchase: int
    total_orders_lifetime: int
    orders_last_24h: int
    orders_last_7d: int
    avg_order_value: float
    session_duration_seconds: int
    cart_additions_session: int
    high_risk_category: bool
    promo_code_used: bool
    card_id: str
    exchange_rate: float
    email_id: str
    phone_id: str
    shipping_address_id: str
    accounts_on_email_30d: int
    accounts_on_phone_30d: int
    accounts_on_shipping_address_30d: int
    automation_detected: bool
    hosting_ip_detected: bool
    extra_numbers: _containers.ScalarMap[str, float]
    extra_texts: _containers.ScalarMap[str, str]
    def __init__(self, transaction_id: _Optional[str] = ..., timestamp: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., user_id: _Optional[str] = ..., order_amount: _Optional[float] = ..., currency: _Optional[str] = ..., account_created_date: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., account_age_days: _Optional[int] = ..., email_domain: _Optional[str] = ..., phone_verified: _Optional[bool] = ..., email_verified: _Optional[bool] = ..., profile_complete: _Optional[bool] = ..., failed_login_attempts_24h: _Optional[int] = ..., successful_logins_7d: _Optional[int] = ..., password_reset_count_30d: _Optional[int] = ..., device_id: _Optional[str] = ..., ip_address: _Optional[str] = ..., ip_country: _Optional[str] = ..., user_agent: _Optional[str] = ..., device_type: _Optional[_Union[DeviceType, str]] = ..., new_device: _Optional[bool] = ..., vpn_proxy_detected: _Optional[bool] = ..., accounts_on_device_30d: _Optional[int] = ..., accounts_on_ip_24h: _Optional[int] = ..., payment_method: _Optional[_Union[PaymentMethod, str]] = ..., card_bin: _Optional[str] = ..., card_country: _Optional[str] = ..., billing_country: _Optional[str] = ..., shipping_country: _Optional[str] = ..., billing_shipping_match: _Optional[bool] = ..., cvv_check_result: _Optional[_Union[CvvCheckResult, str]] = ..., avs_result: _Optional[_Union[AvsResult, str]] = ..., payment_processor_response: _Optional[_Union[PaymentProcessorResponse, str]] = ..., three_ds_result: _Optional[_Union[ThreeDsResult, str]] = ..., payment_attempts_24h: _Optional[int] = ..., cards_used_30d: _Optional[int] = ..., days_since_account_first_purchase: _Optional[int] = ..., total_orders_lifetime: _Optional[int] = ..., orders_last_24h: _Optional[int] = ..., orders_last_7d: _Optional[int] = ..., avg_order_value: _Optional[float] = ..., session_duration_seconds: _Optional[int] = ..., cart_additions_session: _Optional[int] = ..., high_risk_category: _Optional[bool] = ..., promo_code_used: _Optional[bool] = ..., card_id: _Optional[str] = ..., exchange_rate: _Optional[float] = ..., email_id: _Optional[str] = ..., phone_id: _Optional[str] = ..., shipping_address_id: _Optional[str] = ..., accounts_on_email_30d: _Optional[int] = ..., accounts_on_phone_30d: _Optional[int] = ..., accounts_on_shipping_address_30d: _Optional[int] = ..., automation_detected: _Optional[bool] = ..., hosting_ip_detected: _Optional[bool] = ..., extra_numbers: _Optional[_Mapping[str, float]] = ..., extra_texts: _Optional[_Mapping[str, str]] = ...) -> None: ...
