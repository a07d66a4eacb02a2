"""Moves the schemas of messages in an OpenAPI document to `components`, where generated clients look for them."""

from collections.abc import Mapping
from typing import Any, Final

SCHEMAS: Final = "#/components/schemas/"
TAGS: Final[Mapping[str, str]] = {
    "health": "service", "model": "service", "agent": "service", "predict": "scoring", "review": "decisions",
    "decisions": "decisions", "cases": "cases", "reviewers": "cases", "outcomes": "outcomes",
}  # fmt: skip
"""Tag of an operation by the first part of its path after /api/v1."""


def with_components(document: dict[str, Any]) -> dict[str, Any]:
    """Return a document whose named object schemas are components, each written once.

    A schema has the name of its message. Where a request has other rules than the message in responses, its name ends with
    `Request`.
    """
    schemas: dict[str, Any] = {}

    def hoist(node: Any) -> Any:
        if isinstance(node, list):
            return [hoist(each) for each in node]
        if not isinstance(node, dict):
            return node
        body = {name: hoist(value) for name, value in node.items()}
        title = node.get("title")
        if not (isinstance(title, str) and node.get("type") == "object" and isinstance(node.get("properties"), dict)):
            return body
        is_request = node.get("additionalProperties") is False
        name = f"{title}Request" if is_request and not title.endswith("Request") else title
        body["title"] = name  # generators name their classes after it
        if schemas.setdefault(name, body) != body:
            raise ValueError(f"two schemas have the name {name}")
        return {"$ref": SCHEMAS + name}

    result: dict[str, Any] = hoist(document)
    result.setdefault("components", {})["schemas"] = dict(sorted(schemas.items()))
    return result


def add_tags(document: dict[str, Any]) -> None:
    """Give each operation the tag of its path."""
    for path, operations in document["paths"].items():
        first = path.removeprefix("/api/v1/").partition("/")[0].partition(":")[0]
        for operation in operations.values():
            operation["tags"] = [TAGS[first]]
