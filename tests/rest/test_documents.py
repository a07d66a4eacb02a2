"""The OpenAPI documents, as generators of clients read them."""

import json
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import jsonschema_rs
import pytest

from http_bridge import agent, ml
from http_bridge.openapi.components import TAGS

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
    assert references(document) == {
        f"#/components/{kind}/{name}" for kind in ("schemas", "responses") for name in document["components"][kind]
    }
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
    """Operation ids are unique and plain names, each operation has one known tag, and the document has a server,
    the software's version, and keys.
    """
    document = DOCUMENTS[name]
    operations = [each for methods in document["paths"].values() for each in methods.values()]
    ids = [operation["operationId"] for operation in operations]
    assert len(set(ids)) == len(ids) and all(one.isidentifier() and "api" not in one for one in ids)
    assert all(len(operation["tags"]) == 1 and operation["tags"][0] in TAGS.values() for operation in operations)
    assert document["servers"] == [{"url": "/"}] and document["info"]["version"] == version("vouch")
    assert document["components"]["securitySchemes"].keys() == {"x-api-key", "bearer"}
    assert document["security"] == [{}, {"x-api-key": []}, {"bearer": []}]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_documents_are_small(name: str) -> None:
    """A document has less than 100 kB."""
    assert len(json.dumps(DOCUMENTS[name], separators=(",", ":"))) < 100_000


def media_types(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield the operation id, the name and the description of each media type; responses have their status as name."""
    for operations in document["paths"].values():
        for operation in operations.values():
            bodies = {"request": operation.get("requestBody", {}), **operation["responses"]}
            for name, body in bodies.items():
                if "$ref" in body:
                    body = document["components"]["responses"][body["$ref"].rpartition("/")[2]]
                for media, content in body.get("content", {}).items():
                    yield f"{operation['operationId']} {name}", media, content


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_media_type_has_a_schema_and_examples_fit(name: str) -> None:
    """Each body has a schema; each request and error has an example; every example is valid by its schema."""
    document, without = DOCUMENTS[name], []
    for place, media, content in media_types(document):
        schema = content["schema"] | {"components": document["components"]}
        assert content["schema"], (place, media)
        if "example" in content:
            jsonschema_rs.Draft202012Validator(schema).validate(content["example"])
        elif place.split()[1] != "200":
            without.append((place, media))
    assert without == ([("health 503", "application/json")] if name == "scorer" else [])


@pytest.mark.parametrize("name", DOCUMENTS)
def test_sequences_are_texts_of_described_items(name: str) -> None:
    """JSON lines and server-sent events are texts, and the schema of an item is beside them; lines fit that schema."""
    document = DOCUMENTS[name]
    sequences = [found for found in media_types(document) if found[1] != "application/json"]
    for _, media, content in sequences:
        assert content["schema"] == {"type": "string"} and media in ("application/x-ndjson", "text/event-stream")
        item = content["x-oai-itemSchema"] | {"components": document["components"]}
        if media == "application/x-ndjson" and "example" in content:
            for line in content["example"].splitlines():
                jsonschema_rs.Draft202012Validator(item).validate(json.loads(line))
    operation = "predict_batch" if name == "scorer" else "review_batch"
    expected = {f"{operation} request", f"{operation} 200"} | (set() if name == "scorer" else {"watch_cases 200"})
    assert {place for place, _, _ in sequences} == expected
