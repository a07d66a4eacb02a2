"""`python -m bench.memory.costs`: cost of history in a review, time of a lookup, and speed of `vouch history compute`.

Reviews run alternately over two agents on one scorer, one that completes raw orders from history, the other not. A
lookup inserts an order and reads its history, in a ledger of many orders with Zipf-distributed users, devices and
addresses.
"""

import asyncio
import contextlib
import itertools
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa

from agent_server.database.engine import committing, writing
from agent_server.history_store.attempts import HistoryFeatures, RecordAttempt
from agent_server.ledger import open_engine
from agent_server.ledger.attempts import digests
from agent_server.ledger.chain import Unsigned
from agent_server.ledger.schema import ATTEMPTS, MEMORY
from agent_server.ledger.transaction import LedgerTransaction
from bench.harness.options import models_of, parser
from bench.memory.stream import ALL_APPROVED
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1.agent_service_pb2_grpc import AgentServiceStub
from generated.vouch.v1.transaction_pb2 import Transaction
from history.definitions import DAY, DEFINITIONS, NAMES, Key
from testing.inputs.orders import message
from testing.load import Call, capacity, until_answered
from testing.reports.results import add, entry
from testing.servers.processes import run
from testing.servers.replicas import agent, running, scorer
from testing.waiting import wait_for

SMALL, LARGE, LOOKUPS = 50_000, 5_000_000, 3000
ROUNDS, SECONDS, CALLERS = 5, 3.0, 16
BEGUN = 1_600_000_000
_CHUNK = 100_000


class Shoppers:
    """Raw orders of returning users, devices and addresses: few of them often (`hot`), or each about five times."""

    def __init__(self, seed: int, *, hot: bool = True) -> None:
        self._chance, self._hot = np.random.default_rng(seed), hot

    def columns(self, count: int, days: float) -> dict[str, np.ndarray]:
        """Return `count` orders over this number of days, in order of time."""
        chance, size = self._chance, count
        if not self._hot:
            users = chance.integers(0, max(count // 5, 1), size)
            return {
                "at": BEGUN + np.sort((chance.random(size) * days * DAY).astype(np.int64)),
                "user": users, "device": users + chance.integers(0, 2, size), "address": users // 2,
                "card": chance.integers(0, 2, size), "amount": chance.lognormal(4, 1, size),
            }  # fmt: skip
        return {
            "at": BEGUN + np.sort((chance.random(size) * days * DAY).astype(np.int64)),
            "user": chance.zipf(1.3, size) % 2_000_000, "device": chance.zipf(1.3, size) % 2_000_000,
            "address": chance.zipf(1.2, size) % 500_000, "card": chance.integers(0, 4, size),
            "amount": chance.lognormal(4, 1, size),
        }  # fmt: skip


COUNTED = sum(one.key in (Key.USER, Key.DEVICE, Key.ADDRESS) for one in DEFINITIONS)
"""Number of fields that history knows of an order without pseudonyms."""


def address_of(number: int) -> str:
    """Return a full IP address for a number below 2^23; none ends in 0, which would be a masked one."""
    number = 2 * int(number) + 1
    return f"11.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


def fill_history(url: str, count: int, *, hot: bool = True) -> None:
    """Insert `count` orders into a ledger's history."""
    engine, shoppers = open_engine(url), Shoppers(1, hot=hot)
    columns = shoppers.columns(count, 60)
    with writing(engine) as connection:
        with connection.begin():
            key = connection.execute(sa.select(MEMORY.c.key)).scalar_one()
        for start in range(0, count, _CHUNK):
            part = {name: column[start : start + _CHUNK].tolist() for name, column in columns.items()}
            rows = [
                {
                    "number": start + place + 1, "at": at, "amount": int(amount * 10_000), "counts": True,
                    **digests(key, {
                        "transaction_id": f"t{start + place}", "user_id": f"user-{user}", "device_id": f"device-{device}",
                        "ip_address": address_of(address), "card_id": f"card-{user}-{card}",
                    }),
                }
                for place, (at, user, device, address, card, amount) in enumerate(zip(*part.values(), strict=True))
            ]  # fmt: skip
            with connection.begin():
                connection.execute(ATTEMPTS.insert(), rows)
        with connection.begin():
            connection.execute(MEMORY.update().values(since=BEGUN, number=count))
            if engine.dialect.name == "sqlite":
                connection.exec_driver_sql("ANALYZE")
    engine.dispose()


def lookup_times(url: str, count: int) -> list[float]:
    """Return the milliseconds of inserting an order and reading its whole history, without the commit."""
    engine = open_engine(url)
    columns = Shoppers(2).columns(count, 1)
    took = []
    with writing(engine) as connection:
        for number in range(count):
            order = Transaction(transaction_id=f"look-{number}", user_id=f"user-{columns['user'][number]}")
            order.timestamp.seconds = int(columns["at"][number]) + 60 * DAY
            order.account_created_date.seconds = BEGUN
            order.device_id, order.ip_address = (
                f"device-{columns['device'][number]}",
                address_of(columns["address"][number]),
            )
            order.card_id, order.order_amount = f"card-{columns['user'][number]}-1", float(columns["amount"][number])
            with committing(connection, on_disk=False):
                tx, attempt = LedgerTransaction(connection, Unsigned()), RecordAttempt(order)
                begun = time.perf_counter()
                features = attempt(tx)
                took.append((time.perf_counter() - begun) * 1000)
                tx.close()
            assert isinstance(features, HistoryFeatures) and len(features.values) == COUNTED
    engine.dispose()
    return took


@asynccontextmanager
async def raw_reviews(address: str, orders: int, *, hot: bool) -> AsyncIterator[Call]:
    """Yield a call that reviews raw orders of shoppers."""
    columns = {name: column.tolist() for name, column in Shoppers(3, hot=hot).columns(orders, 20).items()}
    numbers = itertools.count()
    async with contextlib.AsyncExitStack() as stack:
        options = [("grpc.use_local_subchannel_pool", 1)]
        channels = [await stack.enter_async_context(grpc.aio.insecure_channel(address, options)) for _ in range(8)]
        stubs = [AgentServiceStub(channel) for channel in channels]

        def call() -> Awaitable[pb.ReviewResponse]:
            number = next(numbers)
            place = number % orders
            order = message(
                transaction_id=f"raw-{address}-{number}", user_id=f"user-{columns['user'][place]}",
                device_id=f"device-{columns['device'][place]}", ip_address=address_of(columns["address"][place]),
                card_id=f"card-{columns['user'][place]}", order_amount=columns["amount"][place],
            )  # fmt: skip
            for name in NAMES:
                order.ClearField(name)
            order.timestamp.seconds = columns["at"][place] + 60 * DAY
            order.account_created_date.seconds = BEGUN
            answer: Awaitable[pb.ReviewResponse] = stubs[number % 8].Review(
                pb.ReviewRequest(transaction=order), timeout=10
            )
            return answer

        yield call


@dataclass(frozen=True)
class Scale:
    """Size of the benchmark: orders in history and reviewed, rounds, callers, seconds of a rate and of warm-up."""

    orders: int = SMALL
    rounds: int = ROUNDS
    callers: int = CALLERS
    seconds: float = SECONDS
    warm_up: float = 1.0


SHORT = Scale(orders=100, rounds=1, callers=2, seconds=0.01, warm_up=0.01)


async def memory_costs(folder: Path, models: Path, scale: Scale, *, hot: bool) -> list[float]:
    """Return the share of Review's throughput that history takes, by rounds."""
    behind, fronts = scorer(folder, models), []
    for word in ("false", "true"):
        (folder / word).mkdir(parents=True)
        url = f"sqlite:///{folder / word / 'chaos.db'}"
        fill_history(url, scale.orders, hot=hot)
        front = agent(folder / word, behind.address, ledger_url=url)
        # Completed orders get other decisions than raw ones, and a case costs more than an approval: approve
        # everything.
        front.settings = {**front.settings, **ALL_APPROVED, "VOUCH_AGENT_MEMORY": word}
        fronts.append(front)
    with running(behind, *fronts):
        await asyncio.to_thread(wait_for, behind.serving, what="the scorer serving")
        for front in fronts:
            await asyncio.to_thread(wait_for, front.listening, what="the agent listening")
        without_one, with_one = (raw_reviews(front.address, scale.orders, hot=hot) for front in fronts)
        async with without_one as without, with_one as with_memory:
            for call in (without, with_memory):
                await until_answered(call)
                await capacity(call, 4, scale.warm_up)
            rates = [
                [await capacity(call, scale.callers, scale.seconds) for call in (without, with_memory)]
                for _ in range(scale.rounds)
            ]
    print("reviews a second, without and with history:", [[round(rate) for rate in pair] for pair in rates])
    return [1 - with_history / plain for plain, with_history in rates]


def measure_compute(folder: Path, rows: int) -> tuple[float, float]:
    """Return the rows a second of `vouch history compute` on one core, and its peak memory in MB."""
    columns = Shoppers(4).columns(rows, 90)
    table = pa.table(
        {
            "transaction_id": pa.array(np.arange(rows)).cast(pa.string()),
            "timestamp": pa.array(columns["at"]).cast(pa.timestamp("s")),
            "user_id": pa.array(columns["user"]).cast(pa.string()),
            "device_id": pa.array(columns["device"]).cast(pa.string()),
            "ip_address": pa.array(columns["address"]).cast(pa.string()),  # as texts: the table is not checked here
            "card_id": pa.array(columns["user"] * 4 + columns["card"]).cast(pa.string()),
            "order_amount": columns["amount"],
            "account_age_days": np.zeros(rows),
        }
    )
    pq.write_table(table, folder / "orders.parquet", row_group_size=1 << 20)
    del table, columns
    begun = time.perf_counter()
    arguments = ("history", "compute", str(folder / "orders.parquet"), "--output", str(folder / "filled.parquet"))
    done = run("-c", _MEASURED, *arguments, seconds=1200)
    assert done.returncode == 0, done.stderr
    return rows / (time.perf_counter() - begun), float(done.stderr.split()[-1])


_MEASURED = """
import resource, sys
import vouch
code = vouch.main()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, file=sys.stderr)
sys.exit(code)
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark and write the results; return the exit code."""
    own = parser("bench.memory.costs", "Cost of history.")
    own.add_argument("--rows", type=int, default=10_000_000)
    own.add_argument("--remembered", type=int, default=LARGE)
    options = own.parse_args(arguments)
    scale, lookups = (SHORT, 20) if options.short else (Scale(), LOOKUPS)
    large, rows = (200, 500) if options.short else (options.remembered, options.rows)
    with tempfile.TemporaryDirectory(prefix="vouch-history-") as name:
        folder = Path(name)
        models = models_of(options, folder)
        costs = asyncio.run(memory_costs(folder / "usual", models, scale, hot=False))
        # With --short, hot shoppers are only looked up.
        hot_costs = costs if options.short else asyncio.run(memory_costs(folder / "hot", models, scale, hot=True))
        p99 = {}
        for word, count in (("small", scale.orders), ("large", large)):
            url = f"sqlite:///{folder / f'{word}.db'}"
            fill_history(url, count)
            took = lookup_times(url, lookups)
            p99[word] = float(np.quantile(took, 0.99))
            print(word, "median", round(float(np.median(took)), 3), "ms, p99", round(p99[word], 3), "ms", flush=True)
        rate, megabytes = measure_compute(folder, rows)
    figures = {
        "review_memory_cost": entry(costs, "ratio"),
        "review_memory_cost_hot": entry(hot_costs, "ratio"),
        "lookup_p99": entry([p99["large"]], "ms"),
        "lookup_p99_small": entry([p99["small"]], "ms"),
        "lookup_p99_ratio": entry([p99["large"] / p99["small"]], "ratio"),
        "history_compute": entry([rate], "rows/s"),
        "history_compute_memory": entry([megabytes], "MB"),
    }
    add("order_history", figures, short=options.short)
    return 0


if __name__ == "__main__":
    sys.exit(main())
