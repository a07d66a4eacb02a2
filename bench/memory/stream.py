"""`python -m bench.memory.stream`: a stream of raw orders through a real agent. Is its history correct, and useful?

A model is trained on the first three quarters of a stream with the history fields of its file. Then all orders are sent
to an agent without these fields, concurrently, and are approved, denied or sent to review. The completed fields are
compared bitwise with `vouch history compute` on the ledger's export. The scores of the last quarter are compared with
the model's scores for the complete file, and for the file without history fields.
"""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import grpc
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from sklearn.metrics import roc_auc_score

from agent_server.decisions.completion import history_values
from agent_server.ledger import open_engine
from agent_server.ledger.schema import MEMORY
from contract.fields import LABELS
from contract.messages import messages
from contract.tables import read_table
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1.agent_service_pb2_grpc import AgentServiceStub
from generated.vouch.v1.transaction_pb2 import Transaction
from history.definitions import NAMES
from history.replay import Value
from testing.reports.results import add, entry
from testing.servers.processes import run
from testing.servers.replicas import agent, running, scorer
from testing.waiting import wait_for

ORDERS, TRAINED_ON, CALLERS = 200_000, 0.75, 24
ALL_APPROVED: Final = {
    "VOUCH_AGENT_APPROVE_THRESHOLD": "1e-12", "VOUCH_AGENT_DENY_THRESHOLD": "0", "VOUCH_AGENT_MINIMUM_EVIDENCE": "0",
}  # fmt: skip
"""Settings of an agent that approves everything."""
Answers = dict[str, tuple[float, dict[str, Value]]]
"""Score and completed fields of each order."""


def vouch(*arguments: str) -> None:
    """Run a command that must succeed."""
    done = run("vouch.py", *arguments, seconds=1800)
    assert done.returncode == 0, done.stdout + done.stderr


async def review_all(address: str, orders: Iterable[Transaction], count: int) -> Answers:
    """Review every order, started in order, CALLERS at once."""
    found: Answers = {}
    begun, free = 0, asyncio.Semaphore(CALLERS)
    async with grpc.aio.insecure_channel(address) as channel, asyncio.TaskGroup() as tasks:
        stub = AgentServiceStub(channel)

        async def one(order: Transaction) -> None:
            answer: pb.ReviewResponse = await stub.Review(pb.ReviewRequest(transaction=order), timeout=30)
            found[order.transaction_id] = (answer.legitimacy_score, history_values(answer.completed_fields))
            free.release()

        for order in orders:
            await free.acquire()
            tasks.create_task(one(order))
            begun += 1
            if begun % 20_000 == 0:
                print(f"{begun:,} of {count:,} orders", flush=True)
    return found


def through_agent(folder: Path, models: Path, raw: pa.Table) -> Answers:
    """Send raw orders through scorer and agent, with history from the first of them; export it to `export.parquet`."""
    behind = scorer(folder, models)
    url = f"sqlite:///{folder / 'ledger.db'}"
    begun = int(pc.min(raw.column("timestamp")).cast(pa.int64()).as_py())
    engine = open_engine(url)
    with engine.begin() as connection:
        connection.execute(MEMORY.update().values(since=begun))
    engine.dispose()
    front = agent(folder, behind.address, ledger_url=url)
    with running(behind, front):
        wait_for(behind.serving, what="the scorer serving")
        wait_for(front.listening, what="the agent listening")
        found = asyncio.run(review_all(front.address, messages(raw), raw.num_rows))
    vouch("history", "export", "--ledger", url, "--output", str(folder / "export.parquet"))
    return found


def count_differences(computed: pa.Table, found: Answers) -> tuple[int, int]:
    """Return the number of completed values in table and answers together, and the number of values that differ."""
    columns = {name: computed.column(name).to_pylist() for name in NAMES if name in computed.column_names}
    values = wrong = 0
    for place, order in enumerate(computed.column("transaction_id").to_pylist()):
        completed = found[order][1]
        for name, column in columns.items():
            if column[place] is not None or name in completed:
                values += 1
                if column[place] != completed.get(name):
                    wrong += 1
                    if wrong <= 20:
                        print(f"{order} {name}: table {column[place]}, agent {completed.get(name)}", flush=True)
    return values, wrong


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark and write the results; return 1 if a completed value differs."""
    parser = argparse.ArgumentParser(prog="python -m bench.memory.stream")
    parser.add_argument("--short", action="store_true", help="run everything once with few orders and write no results")
    parser.add_argument("--orders", type=int, default=ORDERS)
    options = parser.parse_args(arguments)
    order_count, rounds = (400, ("--rounds", "3")) if options.short else (options.orders, ())
    with tempfile.TemporaryDirectory(prefix="vouch-stream-") as name:
        folder = Path(name)
        vouch("generate", "--stream", "--size", str(order_count), "--seed", "15", "--output", str(folder / "s.parquet"))
        whole = read_table(folder / "s.parquet")
        first = round(whole.num_rows * TRAINED_ON)
        raw = whole.drop_columns([name for name in (*NAMES, *LABELS) if name in whole.column_names])
        pq.write_table(whole.slice(0, first), folder / "early.parquet")
        pq.write_table(whole.slice(first).drop_columns(list(LABELS)), folder / "full.parquet")
        pq.write_table(raw.slice(first), folder / "bare.parquet")
        models = folder / "models"
        vouch(
            "train",
            "--dataset",
            str(folder / "early.parquet"),
            "--models-dir",
            str(models),
            "--form",
            "tables",
            *rounds,
        )
        scores = {}
        for word in ("full", "bare"):
            out = folder / f"{word}-scores.parquet"
            vouch("score", str(folder / f"{word}.parquet"), "--output", str(out), "--models-dir", str(models))
            scores[word] = np.asarray(pq.read_table(out).column("legitimacy_score"))
        found = through_agent(folder, models, raw)
        vouch("history", "compute", str(folder / "export.parquet"), "--output", str(folder / "computed.parquet"))
        computed = pq.read_table(folder / "computed.parquet")
        values, wrong = count_differences(computed, found)
        denied = float(pc.mean(computed.column("denied")).as_py())
        ids = whole.slice(first).column("transaction_id").to_pylist()
        scores["asked"] = np.array([found[one][0] for one in ids])
        honest = ~np.asarray(whole.slice(first).column("is_abuse"))
        limit = 1 - np.asarray(whole.slice(first).column("abuse_confidence"))
        auc = {word: float(roc_auc_score(honest, score)) for word, score in (scores | {"limit": limit}).items()}
    add("order_history", {
        "stream_orders": entry([len(found)], "orders"),
        "stream_filled_values": entry([values], "values"),
        "stream_denied": entry([denied], "share"),
        "stream_other_values": entry([wrong], "values"),
        "stream_auc_all_fields": entry([auc["full"]], "auc"),
        "stream_auc_raw_with_memory": entry([auc["asked"]], "auc"),
        "stream_auc_raw_without": entry([auc["bare"]], "auc"),
        "stream_auc_of_confidence": entry([auc["limit"]], "auc"),
    }, short=options.short)  # fmt: skip
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
