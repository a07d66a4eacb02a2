"""Dry runs in the edge's canonical JSON: one that would be lost is refused, so that no order is recorded by mistake."""

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
