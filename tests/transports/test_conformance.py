"""Conformance: the vectors on three transports of real services, with and without keys, by the edge and directly."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from conformance.generate_vectors import vectors
from conformance.runner import Keys, expected_status, run
from conformance.transports import Transport, all_transports
from conformance.vector import CALLS, JSON, PATH, REST, TRANSPORTS, dump, read
from generated.vouch.v1.case_service_pb2 import ListCasesRequest
from generated.vouch.v1.case_service_pb2_grpc import CaseServiceStub
from runtime.access.keys import digest
from runtime.error_statuses import EDGE_STATUS, HTTP_STATUS
from testing.servers.processes import Stack, answers, call
from testing.waiting import wait_for


@pytest.fixture(scope="module")
def stack_with_keys(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Run services with keys."""
    folder = tmp_path_factory.mktemp("guarded")
    lines = [f"{name}:{digest(f'vouch_key_of_{name}')}:{name}" for name in ("shop", "reviewer", "admin")]
    (folder / "keys").write_text("\n".join(lines))
    names = ("VOUCH_ML_API_KEYS", "VOUCH_AGENT_API_KEYS", "VOUCH_HTTP_API_KEYS")
    settings = {name: str(folder / "keys") for name in names} | {"VOUCH_AGENT_SCORER_API_KEY": "vouch_key_of_admin"}
    stack = Stack(folder, models, settings)
    try:
        stack.start("ml", "agent", "rest_ml", "rest_agent")
        stack.wait_until_healthy()
        stack.start("edge")
        wait_for(answers(stack.url("edge") + "/v1/agent", 401), what="the edge, which asks for a key")
        yield stack
    finally:
        stack.close()


@contextlib.contextmanager
def direct_transports(stack: Stack, canonical: str = "edge") -> Iterator[list[Transport]]:
    """Yield gRPC at scorer and agent, canonical JSON at the edge, and REST at both bridges."""
    with contextlib.ExitStack() as opened:
        scorer, agent = (opened.enter_context(grpc.insecure_channel(stack.address(name))) for name in ("ml", "agent"))
        urls = [stack.url(name) for name in (canonical, "rest_ml", "rest_agent")]
        yield opened.enter_context(all_transports(scorer, agent, *urls))


def test_the_file_is_what_the_contract_says() -> None:
    """Generated anew, the file is the same; it has 200 vectors or more, of every call, and a reason per exception."""
    made = vectors()
    assert PATH.read_text() == dump(made) and len(made) >= 200
    assert {vector.call for vector in made} == set(CALLS)
    assert json.loads(PATH.read_text())["vectors"] and read() == read(PATH)
    assert all(excuse["why"] for vector in made for excuse in vector.but.values())


def cases(stack: Stack) -> set[str]:
    """Return the ids of all cases."""
    with grpc.insecure_channel(stack.address("agent")) as channel:
        listed = CaseServiceStub(channel).ListCases(ListCasesRequest(page_size=1000), timeout=20)
    return {one.case_id for one in listed.cases}


def test_all_transports_pass(stack: Stack) -> None:
    """At an edge, the command passes every vector on all three transports and leaves the queue of cases unchanged."""
    before = cases(stack)
    done = call("conformance", "--target", stack.url("edge"))
    assert done.returncode == 0, done.stdout
    assert "0 vectors failed" in done.stdout
    assert not cases(stack) - before


def test_cases_are_opened_on_request_only(stack: Stack, tmp_path: Path) -> None:
    """A run with the option to open cases opens some."""
    before, path = cases(stack), tmp_path / "vectors.json"
    path.write_text(
        dump([vector for vector in read() if vector.call == "review" and vector.code == "OK" and not vector.when])
    )
    arguments = ("--target", stack.url("edge"), "--vectors", str(path), "--open-cases")
    assert call("conformance", *arguments).returncode == 0
    assert cases(stack) - before


def test_the_services_themselves_say_the_same(stack: Stack) -> None:
    """Without the edge, gRPC at scorer and agent and REST at both bridges pass too."""
    with direct_transports(stack) as transports:
        results = list(run(read(), [transport for transport in transports if transport.name != JSON]))
    assert [(result.vector.name, result.problems) for result in results if result.problems] == []
    assert sum(len(result.outcomes) for result in results) > 350


def test_keys_and_roles_on_all_transports(stack_with_keys: Stack, tmp_path: Path) -> None:
    """Without a key 401, with a wrong one 401, beyond the role 403, and else the usual answer, everywhere."""
    path = tmp_path / "vectors.json"
    path.write_text(dump([vector for at, vector in enumerate(read()) if vector.key != "own" or at % 5 == 0]))
    arguments = ("--vectors", str(path), "--key", "vouch_key_of_admin", "--reviewer-key", "vouch_key_of_reviewer")
    done = call("conformance", "--target", stack_with_keys.url("edge"), *arguments)
    assert done.returncode == 0, done.stdout
    keyed = [vector for vector in read() if vector.key != "own"]
    with direct_transports(stack_with_keys) as transports:
        results = list(run(keyed, transports, Keys("vouch_key_of_shop", "vouch_key_of_reviewer")))
    assert len(results) == len(keyed) == 6
    assert [(result.vector.name, result.problems) for result in results if result.problems] == []


def test_degraded_services_pass_too(models: Path, tmp_path: Path) -> None:
    """While the scorer is unavailable, a score is refused, and a review becomes a case, replayed if repeated."""
    stack = Stack(tmp_path, models, {})
    try:
        stack.start("ml", "agent", "rest_ml", "rest_agent", "edge")
        stack.wait_until_healthy()
        stack.stop("ml")
        done = call("conformance", "--target", stack.url("edge"), "--degraded", "--open-cases")
        assert done.returncode == 0 and "9 calls" in done.stdout, done.stdout
    finally:
        stack.close()


def test_a_missing_deployment_is_reported(tmp_path: Path) -> None:
    """A service that does not answer is exit code 3, a wrong URL or vectors file 2; each is one line."""
    for code, *arguments in (
        (3, "--target", "http://127.0.0.1:1"),
        (2, "--target", "nowhere"),
        (2, "--target", "\x1b[2J"),
        (2, "--vectors", str(tmp_path)),
    ):
        done = call("conformance", *map(str, arguments))
        assert done.returncode == code and done.stderr.startswith("vouch conformance: "), done.stderr
        assert "Traceback" not in done.stderr and "\x1b" not in done.stderr


def test_a_wrong_transport_is_reported(stack: Stack) -> None:
    """Another status, another score and another field are each reported with the transport."""
    with direct_transports(stack, canonical="rest_agent") as transports:  # enums, errors and paths are others there
        wrong = [result for result in run(read()[::4], transports) if result.problems]
    assert len(wrong) > 25 and all(problem.startswith("json: ") for result in wrong for problem in result.problems)


def test_documents_have_the_table_of_statuses() -> None:
    """Each code with its status on both HTTP transports is in docs/reference/api.md."""
    text = Path("docs/reference/api.md").read_text()
    for code in sorted(HTTP_STATUS, key=lambda one: one.name):
        assert f"| {code.name} | {EDGE_STATUS[code]} | {HTTP_STATUS[code]} |" in text, code
    assert expected_status(REST, "OK") == 200 and len(TRANSPORTS) == 3
