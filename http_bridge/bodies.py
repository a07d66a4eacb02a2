"""The body of a request: read, checked by the contract's own rules, and turned into a Transaction."""

import datetime as dt
from typing import Annotated, Any, Literal

from google.protobuf.descriptor import FieldDescriptor
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, create_model

from generated.buf.validate import validate_pb2
from generated.vouch.v1.transaction_pb2 import Transaction
from http_bridge.descriptions import description
from runtime.contract import FIELDS, REQUIRED


def _written_out(value: Any) -> Any:
    if not isinstance(value, str):
        raise ValueError("a time is written as text, like 2025-02-11T10:00:00")
    return value


_PYTHON: dict[str, Any] = {
    "text": str,
    "number": float,
    "count": int,
    "flag": bool,
    "time": Annotated[dt.datetime, Field(strict=False), BeforeValidator(_written_out, json_schema_input_type=str)],
}
# The rules of the contract that pydantic knows under another name. What it does not know the services check.
_RULES = {"gt": "gt", "gte": "ge", "lt": "lt", "lte": "le", "min_len": "min_length", "max_len": "max_length"}


def _rules(field: FieldDescriptor) -> dict[str, Any]:
    options: Any = field.GetOptions().Extensions[validate_pb2.field]  # type: ignore[index]
    kind = options.WhichOneof("type")
    if kind not in ("double", "int32", "string"):
        return {}
    found = {rule.name: value for rule, value in getattr(options, kind).ListFields()}
    rules = {_RULES[name]: value for name, value in found.items() if name in _RULES}
    if "pattern" in found:
        rules["pattern"] = found["pattern"]
    if kind == "double":
        rules["allow_inf_nan"] = False
    return rules


def _field(descriptor: Any) -> tuple[Any, Any]:
    field = FIELDS[descriptor.name]
    python = Literal[tuple(field.names)] if field.kind == "name" else _PYTHON[field.kind]
    ruled, about = Annotated[python, Field(**_rules(descriptor))], description(descriptor.full_name)
    if field.name in REQUIRED:
        return ruled, Field(description=about)
    # JSON null is REST's way to say unknown, like leaving the field out.
    return ruled | None, Field(None, description=about)


_definitions: Any = {descriptor.name: _field(descriptor) for descriptor in Transaction.DESCRIPTOR.fields}
TransactionBody: type[BaseModel] = create_model(
    "Transaction", __config__=ConfigDict(extra="forbid", strict=True), **_definitions
)
_adapter = TypeAdapter(TransactionBody)


def parse(body: bytes) -> dict[str, Any]:
    """The fields that a body holds, by name. Raises pydantic.ValidationError naming each field that is wrong."""
    values = _adapter.validate_json(body).__dict__
    return {name: value for name, value in values.items() if value is not None}
