"""Orders that go to the scorer together: each keeps its own deadline and error, and one that comes alone does not wait."""

import asyncio
from collections.abc import Sequence

import pytest

from agent_server.gathering import LARGEST, Asked, Gathering, Unreachable
from generated.vouch.v1.scoring_service_pb2 import PredictResponse
from testing.orders import message


class Scorer:
    """Answers when it is told to; remembers what it was asked."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.go = asyncio.Event()

    async def __call__(self, gathered: Sequence[Asked]) -> Sequence[PredictResponse | Exception]:
        """Score, once told to."""
        self.calls.append([asked.request_id for asked in gathered])
        await self.go.wait()
        return [
            ValueError(asked.request_id) if asked.request_id.startswith("bad") else
            PredictResponse(transaction_id=asked.request_id)
            for asked in gathered
        ]  # fmt: skip


async def _ask(gathering: Gathering, request_id: str, seconds: float = 60.0) -> PredictResponse:
    return await gathering.predict(message(), request_id, seconds)


async def test_the_first_goes_alone_and_the_others_together() -> None:
    """One in flight, then all that gathered meanwhile in one call, in order; each gets its own answer or error."""
    scorer = Scorer()
    gathering = Gathering(scorer)
    asked = [asyncio.create_task(_ask(gathering, name)) for name in ("a", "b", "bad", "c")]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert scorer.calls == [["a"]]
    scorer.go.set()
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert scorer.calls == [["a"], ["b", "bad", "c"]]
    assert [getattr(answer, "transaction_id", None) for answer in answers] == ["a", "b", None, "c"]
    assert isinstance(answers[2], ValueError)


async def test_nobody_finds_out_after_another_that_the_scorer_is_away() -> None:
    """A call that reaches nobody fails those too who wait for the next one: not call after call with its retries."""
    calls, go = [], asyncio.Event()

    async def away(gathered: Sequence[Asked]) -> Sequence[PredictResponse | Exception]:
        calls.append(len(gathered))
        await go.wait()
        raise Unreachable

    gathering = Gathering(away)
    asked = [asyncio.create_task(_ask(gathering, str(number))) for number in range(5)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    go.set()
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(answer) for answer in answers] == [Unreachable] * 5
    assert calls == [1]


async def test_each_keeps_its_deadline() -> None:
    """Whose time is over is told so and not sent; the others are answered."""
    scorer = Scorer()
    gathering = Gathering(scorer)
    first, late, patient = (
        asyncio.create_task(_ask(gathering, name, seconds))
        for name, seconds in (("first", 60.0), ("late", 0.01), ("patient", 60.0))
    )
    with pytest.raises(TimeoutError):
        await late
    scorer.go.set()
    assert [(await first).transaction_id, (await patient).transaction_id] == ["first", "patient"]
    assert scorer.calls == [["first"], ["patient"]]


async def test_a_caller_that_goes_away_takes_nobody_with_it() -> None:
    """A cancelled call is left behind; a call that fails as a whole fails all of its own, and the next one goes on."""
    scorer = Scorer()
    gathering = Gathering(scorer)
    first, gone, stays = (asyncio.create_task(_ask(gathering, name)) for name in ("first", "gone", "stays"))
    await asyncio.sleep(0)
    gone.cancel()
    scorer.go.set()
    assert [(await first).transaction_id, (await stays).transaction_id] == ["first", "stays"]

    async def broken(gathered: Sequence[Asked]) -> Sequence[PredictResponse | Exception]:
        raise ConnectionError

    failing = Gathering(broken)
    results = await asyncio.gather(*(_ask(failing, str(n)) for n in range(5)), return_exceptions=True)
    assert all(isinstance(result, ConnectionError) for result in results)


async def test_no_flight_is_larger_than_the_bound() -> None:
    """A thousand at once: all are answered, in flights of LARGEST at most."""
    scorer = Scorer()
    scorer.go.set()
    gathering = Gathering(scorer)
    answers = await asyncio.gather(*(_ask(gathering, str(number)) for number in range(1000)))
    assert [answer.transaction_id for answer in answers] == [str(number) for number in range(1000)]
    assert max(map(len, scorer.calls)) == LARGEST
    assert sum(map(len, scorer.calls)) == 1000
