"""The OpenAPI documents, as generators of clients read them."""

import json
from typing import Any

import pytest

from http_bridge import agent, ml
from http_bridge.json.components import TAGS

DOCUMENTS = {"scorer": ml.app.openapi(), "agent": agent.app.openapi()}


def references(node: Any) -> set[str]:
    """Return all references of a document."""
    if isinstance(node, dict):
        own = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
        return own.union(*map(references, node.values()))
    return set().union(*map(references, node)) if isinstance(node, list) else set()


@pytest.mark.parametrize("name", DOCUMENTS)
def test_schemas_are_components(name: str) -> None:
    """Each message is a component with its name, written once; every reference leads to one, and none is unused."""
    document = DOCUMENTS[name]
    schemas = document["components"]["schemas"]
    assert references(document) == {f"#/components/schemas/{schema}" for schema in schemas}
    assert {"Error", "TransactionRequest"} < set(schemas)
    inline = [
        operation["operationId"]
        for operations in document["paths"].values()
        for operation in operations.values()
        for answer in operation["responses"].values()
        for media, content in answer.get("content", {}).items()
        if media == "application/json" and "properties" in content["schema"] and "title" in content["schema"]
    ]
    assert inline == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_operations_have_stable_ids_and_tags(name: str) -> None:
    """Operation ids are unique and plain names, each operation has one known tag, and the document has a server."""
    document = DOCUMENTS[name]
    operations = [each for methods in document["paths"].values() for each in methods.values()]
    ids = [operation["operationId"] for operation in operations]
    assert len(set(ids)) == len(ids) and all(one.isidentifier() and "api" not in one for one in ids)
    assert all(len(operation["tags"]) == 1 and operation["tags"][0] in TAGS.values() for operation in operations)
    assert document["servers"] == [{"url": "/"}]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_documents_are_small(name: str) -> None:
    """A document has less than 100 kB."""
    assert len(json.dumps(DOCUMENTS[name], separators=(",", ":"))) < 100_000
