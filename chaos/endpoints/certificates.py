"""Certificates of the edge and of the services behind it are replaced under load; each call opens a new connection."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc

from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1.agent_service_pb2_grpc import AgentServiceStub
from testing.inputs.orders import message
from testing.load import Call, Outcome, Traffic, until_answered
from testing.servers.certificates import Certificates
from testing.servers.replicas import Replica, agent, envoy, running, scorer
from testing.waiting import wait_for

BETWEEN = 20
"""Calls that are answered between two replacements."""


@dataclass(frozen=True)
class RenewalResult:
    """Results of the calls, and how often all three servers showed the new certificate."""

    outcome: Outcome
    renewals: int


@contextlib.contextmanager
def serve_with_tls(folder: Path, models: Path, certificates: Certificates) -> Iterator[tuple[Replica, Replica, str]]:
    """Start a scorer, an agent and the edge with TLS; the services also require client certificates."""
    behind = scorer(folder, models)
    front = agent(folder, behind.address)
    for one in (behind, front):
        # the edge reconnects every second, so that it meets the new certificates
        one.settings = {
            **one.settings, **certificates.settings(one.prefix, "CLIENT_CA"), f"{one.prefix}MAX_CONNECTION_AGE_SECONDS": "1"
        }  # fmt: skip
    front.settings = {**front.settings, **certificates.settings("VOUCH_AGENT_SCORER_", "CA")}
    settings = certificates.settings("VOUCH_EDGE_") | certificates.settings("VOUCH_EDGE_SERVICES_", "CA")
    ports = (f"--scorer={behind.port}", f"--agent={front.port}")
    with running(behind, front), envoy(folder / "envoy.log", *ports, **settings) as address:
        wait_for(behind.serving, what="the scorer serving")
        wait_for(front.listening, what="the agent listening")
        yield behind, front, address


@contextlib.asynccontextmanager
async def new_connections(address: str, ca: bytes) -> AsyncIterator[Call]:
    """Send reviews with a new connection for each call. Only a refusal by a busy machine is sent again, a second later."""
    credentials = grpc.ssl_channel_credentials(ca)
    numbers = iter(range(1_000_000))

    async def call() -> pb.ReviewResponse:
        options = (("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0))
        async with grpc.aio.secure_channel(address, credentials, options=options) as channel:
            request = pb.ReviewRequest(transaction=message(transaction_id=f"renewed-{next(numbers)}"))
            while True:
                try:
                    answer: pb.ReviewResponse = await AgentServiceStub(channel).Review(request, timeout=20)
                    return answer
                except grpc.aio.AioRpcError as error:
                    if error.code() is not grpc.StatusCode.RESOURCE_EXHAUSTED:
                        raise
                    await asyncio.sleep(1)

    await until_answered(call)
    yield call


def _refused(certificates: Certificates, *replicas: Replica) -> Callable[[], bool]:
    """Return whether each replica logged that it rejects the pair; a server reads the files when a client connects."""

    def refused() -> bool:
        shown = [certificates.shown(one.address) for one in replicas]
        return all(shown) and all("certificate not replaced" in one.log.read_text() for one in replicas)

    return refused


async def renew_certificates(
    folder: Path, models: Path, renewals: int, rate: float, links: bool, between: int = BETWEEN
) -> RenewalResult:
    """Replace all certificates repeatedly, and once a key by one of another certificate.

    With `links` all files change at once, as in Kubernetes; without, one after another, as with certbot.
    """
    certificates = Certificates(folder / "certificates", links)
    with serve_with_tls(folder, models, certificates) as (behind, front, address):
        async with (
            new_connections(address, certificates.authority.cert_pem.bytes()) as call,
            Traffic(call, rate) as traffic,
        ):
            for number in range(renewals):
                if number == renewals // 2:
                    certificates.write_wrong_key()
                    await asyncio.to_thread(
                        wait_for, _refused(certificates, behind, front), what="a pair that is refused"
                    )
                    await traffic.answers(between)
                serial = certificates.renew()

                def shown(serial: int = serial) -> bool:
                    return {certificates.shown(one) for one in (behind.address, front.address, address)} == {serial}

                await asyncio.to_thread(wait_for, shown, what="the new certificate at all three")
                await traffic.answers(between)
    return RenewalResult(traffic.outcome, renewals)
