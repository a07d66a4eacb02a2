"""Erasures under load beside readers of the ledger: pending until the readers end, then done, and nothing is left."""

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import sqlalchemy as sa

from agent_server.audit.verify import verify_ledger
from agent_server.database.engine import connect_reading
from agent_server.ledger import reading
from chaos.ledger.retrying import PATIENCE_SECONDS, RetryingCaller
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1 import privacy_service_pb2 as privacy
from generated.vouch.v1.agent_service_pb2_grpc import AgentServiceStub
from generated.vouch.v1.privacy_service_pb2_grpc import PrivacyServiceStub
from generated.vouch.v1.transaction_pb2 import Transaction
from testing.inputs.orders import message
from testing.ledger.erasure import found_in, patterns_of
from testing.load import Traffic
from testing.servers.replicas import Replica, running, scorer
from testing.servers.replicas import agent as agent_replica
from testing.waiting import wait_for

ANSWERS = 40
"""Reviews that are answered while readers are open, and again after that."""
ORDERS_EACH = 3
_SECONDS = 20.0
_AMOUNT = 9_182_736.4554


@dataclass
class ErasureResult:
    """Results. All counts from `failed` on must be 0, and `broken` empty."""

    persons: int
    found: int = 0
    """Persons whose orders were in the files before their erasure. Must be all."""
    reviews: int = 0
    retried: int = 0
    """Refusals after which a review was retried."""
    failed: int = 0
    """Reviews that failed, also after retries."""
    early: int = 0
    """Erasures that were reported done while readers were open."""
    unfinished: int = 0
    """Erasures that were still pending long after the readers had ended."""
    left: int = 0
    """Files that contain data of an erased person."""
    logged: int = 0
    """Agents' logs that contain data of an erased person."""
    broken: str = ""


async def erase_under_load(
    folder: Path, models: Path, persons: int, readers: int, rate: float, *, url: str = "",
    files: Callable[[], list[Path]] | None = None, agents: int = 1, answers: int = ANSWERS,
) -> ErasureResult:  # fmt: skip
    """Erase `persons` persons, one after another, each beside `readers` open readers, under reviews at a rate.

    `files` lists the files of the database at `url`; the default is SQLite in the folder.
    """
    home = folder / "ledger"
    home.mkdir()
    url, files = url or f"sqlite:///{home / 'ledger.db'}", files or (lambda: sorted(home.iterdir()))
    behind, result = scorer(folder, models), ErasureResult(persons)
    fronts = [agent_replica(folder, behind.address, ledger_url=url) for _ in range(agents)]
    marks, amounts = (
        [f"erasable-person-{number}-7f3a" for number in range(persons)],
        [_AMOUNT + n for n in range(persons)],
    )
    patterns = {pattern for value in (*marks, *amounts) for pattern in patterns_of(value)}
    with running(behind, *fronts):
        await asyncio.to_thread(wait_for, behind.serving, what="the scorer serving")
        for front in fronts:
            await asyncio.to_thread(wait_for, front.listening, what="an agent listening")
        async with _Shop.at(fronts) as shop, Traffic(shop.review_another, rate) as traffic:
            for number, mark in enumerate(marks):
                for each in range(ORDERS_EACH):
                    await shop.review(_order_of(mark, each, amounts[number]))
                result.found += bool(await asyncio.to_thread(found_in, files(), [mark.encode()]))
                with contextlib.ExitStack() as opened:
                    for _ in range(readers):
                        opened.enter_context(_reader(url))
                    result.early += await shop.erase(mark)
                    await traffic.answers(answers)
                    result.early += await shop.is_done()
                result.unfinished += not await shop.until_done(mark)
                await traffic.answers(answers)
        # The agents still have the database open: their logs and shared memory count too.
        result.left = len(await asyncio.to_thread(found_in, files(), patterns))
    with reading(url) as connection:
        result.broken = verify_ledger(connection, None).broken
    result.logged = len(found_in([front.log for front in fronts], patterns))
    result.reviews = len(traffic.outcome.answers)
    result.retried = shop.retrying.count
    result.failed = traffic.outcome.failures.total() + traffic.outcome.lost
    return result


def _order_of(mark: str, number: int, amount: float) -> Transaction:
    """Return an order of a person with ids that can all be found again."""
    ids = {"user_id": mark, **{name: f"{mark}-{name}" for name in ("device_id", "card_id")}}
    order = message(transaction_id=f"{mark}-{number}", order_amount=amount, **ids)
    order.timestamp.GetCurrentTime()
    return order


@contextlib.contextmanager
def _reader(url: str) -> Iterator[None]:
    """Read the ledger in a snapshot, as a report or a backup does."""
    engine = connect_reading(url)
    with engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            connection.execution_options(isolation_level="REPEATABLE READ")
        connection.begin()
        assert connection.execute(sa.text("SELECT count(*) FROM entries")).scalar_one()
        yield
    engine.dispose()


class _Shop:
    """Calls agents in turn, and retries what they refuse for now."""

    def __init__(self, channels: list[grpc.aio.Channel]) -> None:
        self._stubs = itertools.cycle([AgentServiceStub(channel) for channel in channels])
        self._privacy, self.retrying = PrivacyServiceStub(channels[0]), RetryingCaller()
        self._numbers = itertools.count()

    @classmethod
    @contextlib.asynccontextmanager
    async def at(cls, fronts: list[Replica]) -> AsyncIterator["_Shop"]:
        """Return a shop with a channel to each agent, without the channels' own retries."""
        options = (("grpc.enable_retries", 0),)
        async with contextlib.AsyncExitStack() as stack:
            channels = [
                await stack.enter_async_context(grpc.aio.insecure_channel(front.address, options)) for front in fronts
            ]
            yield cls(channels)

    async def review(self, order: Transaction) -> pb.ReviewResponse:
        """Submit an order for review."""
        request = pb.ReviewRequest(transaction=order)
        answer: pb.ReviewResponse = await self.retrying.send(
            lambda: next(self._stubs).Review(request, timeout=_SECONDS)
        )
        return answer

    async def review_another(self) -> pb.ReviewResponse:
        """Submit an order of another person for review."""
        number = next(self._numbers)
        order = message(transaction_id=f"other-order-{number}", user_id=f"other-user-{number % 50}")
        order.timestamp.GetCurrentTime()
        return await self.review(order)

    async def erase(self, user_id: str) -> bool:
        """Erase a person and return whether that is done in the files too."""
        request = privacy.ErasePersonRequest(user_id=user_id)
        answer: privacy.ErasePersonResponse = await RetryingCaller().send(
            lambda: self._privacy.ErasePerson(request, timeout=_SECONDS)
        )
        return answer.progress.stage == privacy.ERASURE_STAGE_DONE

    async def is_done(self) -> bool:
        """Return whether all erasures are done in the files."""
        request = privacy.GetErasureProgressRequest()
        answer: privacy.GetErasureProgressResponse = await RetryingCaller().send(
            lambda: self._privacy.GetErasureProgress(request, timeout=_SECONDS)
        )
        return bool(answer.progress.stage == privacy.ERASURE_STAGE_DONE)

    async def until_done(self, user_id: str) -> bool:
        """Return whether all erasures get done in the files in time; each call triggers another attempt."""
        end = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < end:
            if await self.erase(user_id) or await self.is_done():
                return True
            await asyncio.sleep(0.5)
        return False
