"""Model swaps under load: no call fails, and the version that an answer names is the one that made it."""

import asyncio
import json
import shutil
import signal
from dataclasses import dataclass, replace
from pathlib import Path

from bench.waiting import wait_for
from chaos.clients import order, predict
from chaos.cluster import Replica, scorer, serving
from chaos.load import Outcome, Traffic
from ml_server.artifacts import CURRENT, Model, load, promote, save
from ml_server.scorer import Scorer

SECOND = "second"
ANSWERS = 20
"""Between one swap and the next."""


@dataclass(frozen=True)
class Swapped:
    """What the callers saw, answers that no model of that name would give, and how long swaps took in all workers."""

    outcome: Outcome
    wrong: int
    seconds: list[float]
    refused: float


def twin(models: Path, target: Path) -> tuple[str, str]:
    """A folder with the current model and a second one that scores otherwise; both versions."""
    first = (models / CURRENT).resolve()
    target.mkdir()
    shutil.copytree(first, target / first.name)
    promote(target, first.name)
    model = replace(load(target), prior_shift=0.5)
    files: dict[str, bytes | str] = {
        path.name: path.read_bytes() for path in first.iterdir() if path.name not in ("metadata.json", "SHA256SUMS")
    }
    curve = json.loads((first / "calibration.json").read_text())
    files["calibration.json"] = json.dumps(curve | {"prior_shift": 0.5})
    files["examples.json"] = json.dumps([{**each, "score": _rescored(model, each)} for each in model.examples])
    metadata = {name: value for name, value in model.metadata.items() if name != "files"}
    save(target, SECOND, files, metadata | {"model_version": SECOND})
    return first.name, SECOND


def _rescored(model: Model, example: object) -> float:
    from google.protobuf.json_format import ParseDict

    from generated.vouch.v1.transaction_pb2 import Transaction

    return Scorer(model).predict(ParseDict(example["transaction"], Transaction())).legitimacy_score  # type: ignore[index]


async def swap_models(folder: Path, models: Path, swaps: int, rate: float, workers: int = 2) -> Swapped:
    """Promote one model and the other in turn; halfway a broken one, which must change nothing."""
    kept = folder / "swapped"
    versions = twin(models, kept)
    expected = {version: Scorer(load(kept, version)).predict(order()).legitimacy_score for version in versions}
    replica, seconds = scorer(folder, kept, workers=workers), list[float]()
    async with serving(replica), predict([replica.address]) as call, Traffic(call, rate) as traffic:
        for number in range(swaps):
            if number == swaps // 2:
                await _offer_broken(kept, replica, versions[0])
            version = versions[(number + 1) % 2]
            promote(kept, version)
            replica.signal(signal.SIGHUP)
            seconds.append(await _until(replica, "vouch_model_info", workers, model_version=version))
            await traffic.answers(ANSWERS)
        refused = replica.metric("vouch_model_swap_failures_total")
    wrong = sum(
        abs(answer.legitimacy_score - expected[answer.model_version]) > 1e-9  # type: ignore[attr-defined]
        for _, answer in traffic.outcome.answers
    )
    return Swapped(traffic.outcome, wrong, seconds, refused)


async def _offer_broken(models: Path, replica: Replica, good: str) -> None:
    broken = models / "broken"
    shutil.copytree(models / good, broken)
    with (broken / "terms.npz").open("r+b") as file:
        file.write(b"broken")
    (models / CURRENT).unlink()
    (models / CURRENT).symlink_to("broken")
    replica.signal(signal.SIGHUP)
    await _until(replica, "vouch_model_swap_failures_total", replica.workers)


async def _until(replica: Replica, metric: str, value: float, **labels: str) -> float:
    """Seconds until a metric reaches a value."""
    reached = lambda: replica.metric(metric, **labels) >= value  # noqa: E731
    return await asyncio.to_thread(wait_for, reached, what=f"{metric} of {value:g}")
