"""Bodies of the edge's canonical JSON whose content the transcoder would drop: a dry run, an object around the order."""

import httpx
import pytest

from testing.inputs.hostile import ORDER
from testing.transports import JSON_TYPE, encode_body

pytestmark = pytest.mark.envoy
PATH = "/v1/transactions:review"


@pytest.mark.parametrize("name", ["dry_run", "dryRun"])
def test_a_dry_run_that_would_be_lost_is_refused(standalone_edge: str, name: str) -> None:
    """`dry_run` in the body, which the transcoder drops, or twice in the query, is 400 and names the field."""
    with httpx.Client(base_url=standalone_edge, headers=JSON_TYPE | {"host": "localhost"}) as client:
        lost = [
            client.post(PATH, content=encode_body(ORDER | {name: True})),
            client.post(f"{PATH}?dry_run=true&{name}=false", content=encode_body(ORDER)),
        ]
        for answer in lost:
            assert answer.status_code == 400, answer.text
            assert answer.json()["details"][0]["metadata"] == {"field": "dry_run"}
        for query in ("", f"?{name}=true"):
            sent = client.post(PATH + query, content=encode_body(ORDER | {"email_domain": "dry_run.example"}))
            assert sent.status_code == 503, "nobody is behind, but it was sent on"


@pytest.mark.parametrize(
    "path", ["/v1/transactions:review", "/v1/transactions:predict", "/v1/transactions:predict?x=1"]
)
def test_an_object_around_the_order_gets_a_hint(standalone_edge: str, path: str) -> None:
    """`{"transaction": {...}}` is 400 with the right form, instead of an order without any field."""
    with httpx.Client(base_url=standalone_edge, headers=JSON_TYPE | {"host": "localhost"}) as client:
        answer = client.post(path, content=b' {\n"transaction" : ' + encode_body(ORDER) + b"}")
        assert answer.status_code == 400, answer.text
        info, bad_request = answer.json()["details"]
        assert (info["reason"], info["metadata"]) == ("INVALID_REQUEST", {"field": "transaction"})
        (violation,) = bad_request["field_violations"]
        assert violation["field"] == "transaction" and "without the object `transaction`" in violation["description"]
        for body in (ORDER, ORDER | {"user_id": '{"transaction":'}):
            assert client.post(path.partition("?")[0], content=encode_body(body)).status_code == 503
