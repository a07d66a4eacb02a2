"""Errors of REST: each has its reason and request id, and no route ignores a query parameter that it does not know."""

import functools
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.routing import Route

from http_bridge.middleware.parameters import known_parameters
from runtime.access.keys import digest, new_key
from runtime.error_statuses import STATUSES, reason_name
from testing.in_process import LocalServices, bridge_app, local_services
from testing.inputs.hostile import ORDER
from tests.transports.work_limits import REST

REASONS = {reason_name(reason) for reason in STATUSES}
ROWS = [row.split(" ") for row in REST]
JSON_TYPE = {"content-type": "application/json"}


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[LocalServices]:
    """Run real services without a model."""
    async with local_services(tmp_path / "none", tmp_path) as found:
        yield found


@functools.cache
def app_of(name: str) -> FastAPI:
    """Return an app without services."""
    return bridge_app(name)


def with_ids(path: str) -> str:
    """Return a path with values for its parameters."""
    return path.replace("{transaction_id:path}", "t").replace("{case_id}", "c")


def parameters_of(app: FastAPI, method: str, path: str) -> list[str]:
    """Return the query parameters of a route."""
    route = next(
        one for one in app.routes if isinstance(one, Route) and one.path == path and method in (one.methods or ())
    )
    return known_parameters(app, route, method)


def check_error(answer: httpx.Response, status: int) -> Any:
    """Check the common parts of an error and return its detail."""
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert set(body) == {"detail", "reason", "request_id"}, body
    assert body["detail"] and body["reason"] in REASONS
    assert body["request_id"] == answer.headers["x-request-id"]
    return body["detail"]


@pytest.mark.parametrize("row", ROWS, ids=" ".join)
async def test_no_route_drops_a_parameter(row: list[str]) -> None:
    """An unknown parameter, also beside known ones, and a repeated one are 422 and named."""
    name, method, path = row
    app = app_of(name)
    known = parameters_of(app, method, path)
    wrong = ["utm_source", "", *(one.replace("_", "") + "s" for one in known), *(one.upper() for one in known)]
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
        for other in wrong:
            answer = await client.request(method, f"{with_ids(path)}?{known[0] + '=1&' if known else ''}{other}=x")
            (entry,) = check_error(answer, 422)
            assert entry["loc"] == ["query", *([other] if other else [])] and entry["type"] == "parameter"
        for one in known:
            answer = await client.request(method, f"{with_ids(path)}?{one}=1&{one}=1")
            (entry,) = check_error(answer, 422)
            assert entry["loc"] == ["query", one] and "repeated" in entry["msg"]


async def test_similar_parameters_are_suggested(services: LocalServices) -> None:
    """Similar parameters are suggested; without any, all are listed; a path without parameters says so."""
    async with services.client("agent") as client:
        for path, meant in (
            ("decisions?user=u-9", "did you mean user_id?"),
            ("decisions?transactionId=t", "did you mean transaction_id?"),
            ("cases?state=resolved", "did you mean status?"),
            ("cases?pagesize=5", "did you mean page_size?"),
            ("decisions?zzz=1", "known parameters: transaction_id, user_id, since"),
            ("agent/info?x=1", "this path takes none"),
        ):
            (entry,) = check_error(await client.get(f"/api/v1/{path}"), 422)
            assert meant in entry["msg"], (path, entry)
        check_error(await client.get("/api/v1/decisions?user_id=" + "x" * 20_000), 414)
        check_error(await client.get("/api/v1/decisions?" + "&" * 100), 422)
        assert (await client.get("/api/v1/decisions?user_id=u&page_size=5&newest_first=true")).status_code == 200
    async with services.client("ml") as client:
        (entry,) = check_error(await client.post("/api/v1/predict?explan=none", json=ORDER), 422)
        assert "did you mean explain?" in entry["msg"]


async def test_every_error_carries_its_reason(services: LocalServices, tmp_path: Path) -> None:
    """Whatever refuses a request, the body has detail, reason and request id, and for 422 FastAPI's list."""

    def fail(*given: Any, **named: Any) -> None:
        raise ZeroDivisionError

    async with services.client("agent") as client:
        review, origin = "/api/v1/review", {"origin": "https://evil.example"}
        answers: list[tuple[httpx.Response, int, str]] = [
            (await client.post(review, json=ORDER, headers=origin), 403, "ROLE_INSUFFICIENT"),
            (await client.get("/api/v1/cases", headers={"host": "evil.example"}), 421, "ROLE_INSUFFICIENT"),
            (await client.get("/api/v1/nothing"), 404, "NOT_IMPLEMENTED"),
            (await client.get("/api/v1/decisions/none"), 404, "DECISION_NOT_FOUND"),
            (await client.get("/api/v1/cases/none"), 404, "CASE_NOT_FOUND"),
            (await client.get(review), 405, "NOT_IMPLEMENTED"),
            (await client.post(review, content=b"x" * (2 << 20), headers=JSON_TYPE), 413, "REQUEST_TOO_LARGE"),
            (await client.post(review, content=b"x"), 415, "INVALID_REQUEST"),
            (await client.post(review, content=b"x", headers=JSON_TYPE | {"content-encoding": "gzip"}), 400, "INVALID_REQUEST"),
            (await client.post(review, json=ORDER | {"order_amount": -1}), 422, "INVALID_REQUEST"),
            (await client.post(review, json=ORDER | {"ip_address": "none"}), 422, "INVALID_REQUEST"),
            (await client.post("/api/v1/outcomes", json={"colour": 1}), 422, "INVALID_REQUEST"),
            (await client.post(review, json=ORDER, headers={"x-request-timeout": "soon"}), 422, "INVALID_REQUEST"),
            (await client.post(review, json=ORDER, headers={"x-request-timeout": "0"}), 504, "DEADLINE_EXCEEDED"),
            (await client.get("/api/v1/decisions?page_size=0"), 422, "INVALID_REQUEST"),
            (await client.get("/api/v1/decisions?since=soon"), 422, "INVALID_REQUEST"),
            (await client.get("/api/v1/decisions:links"), 422, "INVALID_REQUEST"),
            (await client.get("/api/v1/cases?page_token=x"), 422, "INVALID_REQUEST"),
        ]  # fmt: skip
        services.apps["agent"].state.agent.GetAgentInfo = fail
        answers.append((await client.get("/api/v1/agent/info"), 500, "INTERNAL"))
    async with services.client("ml") as client:
        answers.append((await client.post("/api/v1/predict", json=ORDER), 503, "MODEL_NOT_LOADED"))
        answers.append((await client.get("/api/v1/model/info"), 503, "MODEL_NOT_LOADED"))
    keys = tmp_path / "keys"
    keys.write_text(f"shop:{digest(new_key())}:shop\n")
    transport = httpx.ASGITransport(bridge_app("agent", api_keys=str(keys)))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        answers.append((await client.post("/api/v1/review", json=ORDER), 401, "API_KEY_INVALID"))
        answers.append((await client.get("/api/v1/cases", headers={"x-api-key": "x"}), 401, "API_KEY_INVALID"))
    for answer, status, reason in answers:
        detail = check_error(answer, status)
        assert answer.json()["reason"] == reason, answer.text
        if status == 422:
            assert all({"loc", "msg", "type"} == entry.keys() for entry in detail), detail


async def test_the_root_redirects_to_the_docs(tmp_path: Path) -> None:
    """`/` leads to /docs, also without a key where keys are set, and makes no other path public."""
    keys = tmp_path / "keys"
    keys.write_text(f"shop:{digest(new_key())}:shop\n")
    keyed = bridge_app("agent", api_keys=str(keys))
    for app in (app_of("ml"), app_of("agent"), keyed):
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
            answer = await client.get("/")
            assert (answer.status_code, answer.headers["location"], answer.content) == (307, "/docs", b"")
            check_error(await client.post("/"), 405)
            check_error(await client.get("/?next=https://evil.example"), 422)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(keyed), base_url="http://127.0.0.1") as client:
        for path in ("//", "/api/v1/agent/info", "/metrics", "/x"):
            check_error(await client.get(f"http://127.0.0.1{path}"), 401)


async def test_unknown_fields_get_a_hint(services: LocalServices) -> None:
    """Names in camelCase, typing errors, an object around the order, and a list get the right form, also in batches."""
    required = {name: ORDER[name] for name in ("transaction_id", "timestamp", "user_id")}
    wrapped = "send the fields of the order as the body itself, without the object `transaction` around them"
    bodies: list[tuple[dict[str, Any], str, str]] = [
        (required | {"orderAmount": 20}, "orderAmount", "did you mean order_amount?"),
        (required | {"OrderAmount": None}, "OrderAmount", "did you mean order_amount?"),
        (required | {"failedLoginAttempts24h": 1}, "failedLoginAttempts24h", "did you mean failed_login_attempts_24h?"),
        (required | {"order_amout": 20}, "order_amout", "did you mean order_amount?"),
        (required | {"emial_domain": "a.b"}, "emial_domain", "did you mean email_domain?"),
        (required | {"basket_items": 3}, "basket_items", "send the shop's own fields in `extra`"),
        (required | {"\u00e4" * 70: 3}, "\u00e4" * 70, "send the shop's own fields in `extra`"),
        ({"transaction": ORDER}, "transaction", wrapped),
        ({"transactions": [ORDER]}, "transactions", "send a list of orders to the path that ends with :batch"),
    ]
    async with services.client("ml") as ml, services.client("agent") as agent:
        for body, name, hint in bodies:
            answers = [await ml.post("/api/v1/predict", json=body), await agent.post("/api/v1/review", json=body)]
            batch = await ml.post("/api/v1/predict:batch", json={"transactions": [body]})
            details = [check_error(answer, 422) for answer in answers] + [batch.json()["results"][0]["detail"]]
            for detail in details:
                (entry,) = [entry for entry in detail if entry["type"] == "extra_forbidden"]
                assert entry["loc"] == ["body", name] and entry["msg"].endswith(hint)
