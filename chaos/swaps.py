"""Model swaps under load: no call fails, and each answer names the model version that produced it."""

import asyncio
import json
import shutil
import signal
from dataclasses import dataclass, replace
from pathlib import Path

from ml_server.registry.bundle import METADATA
from ml_server.registry.golden_examples import parse_example
from ml_server.registry.store import CURRENT, load, promote, save
from ml_server.serving.scorer import Scorer
from testing.load import Outcome, Traffic
from testing.servers.clients import order, predict
from testing.servers.replicas import Replica, scorer, serving
from testing.waiting import wait_for

SECOND = "second"
ANSWERS = 20
"""Seconds between two swaps."""


@dataclass(frozen=True)
class SwapResult:
    """What callers got, answers that do not match the named version, and the seconds until all workers swapped."""

    outcome: Outcome
    wrong: int
    seconds: list[float]
    refused: float


def make_two_models(models: Path, target: Path) -> tuple[str, str]:
    """Make a folder with the current model and a second one with other scores; return both versions."""
    first = (models / CURRENT).resolve()
    target.mkdir()
    shutil.copytree(first, target / first.name)
    promote(target, first.name)
    other = replace(load(target).with_version(SECOND), prior_shift=0.5)
    rescored = [
        {**example, "score": Scorer(other).score(parse_example(example)[0])} for example in other.golden_examples
    ]
    save(target, replace(other, golden_examples=rescored))
    return first.name, SECOND


async def swap_models(
    folder: Path, models: Path, swaps: int, rate: float, workers: int = 2, between: int = ANSWERS
) -> SwapResult:
    """Promote one model and the other in turn; halfway, broken ones, which must change nothing."""
    swapped = folder / "swapped"
    versions = make_two_models(models, swapped)
    expected = {version: Scorer(load(swapped, version)).predict(order()).legitimacy_score for version in versions}
    replica, seconds = scorer(folder, swapped, workers=workers), list[float]()
    async with serving(replica), predict([replica.address]) as call, Traffic(call, rate) as traffic:
        for number in range(swaps):
            if number == swaps // 2:
                await _offer_broken(swapped, replica, versions[0])
            version = versions[(number + 1) % 2]
            promote(swapped, version)
            replica.signal(signal.SIGHUP)
            seconds.append(await _until(replica, "vouch_model_info", workers, model_version=version))
            await traffic.answers(between)
        refused = replica.metric("vouch_model_swap_failures_total")
    wrong = sum(
        abs(answer.legitimacy_score - expected[answer.model_version]) > 1e-9  # type: ignore[attr-defined]
        for _, answer in traffic.outcome.answers
    )
    return SwapResult(traffic.outcome, wrong, seconds, refused)


async def _offer_broken(models: Path, replica: Replica, good: str) -> None:
    """Offer models with one damaged file each, for every file in the metadata that serving reads."""
    for number, name in enumerate(served_files(models / good), 1):
        broken = models / f"broken-{number}"
        shutil.copytree(models / good, broken)
        with (broken / name).open("r+b") as file:
            file.write(b"broken")
        promote(models, broken.name)
        replica.signal(signal.SIGHUP)
        await _until(replica, "vouch_model_swap_failures_total", replica.workers * number)


def served_files(model: Path) -> list[str]:
    """Return the files of a model, of any form, that serving reads beside its metadata."""
    listed = json.loads((model / METADATA).read_text())["files"]
    return sorted(listed.keys() & load(model.parent, model.name).files().keys())


async def _until(replica: Replica, metric: str, value: float, **labels: str) -> float:
    """Return the seconds until a metric reaches a value."""
    reached = lambda: replica.metric(metric, **labels) >= value  # noqa: E731
    return await asyncio.to_thread(wait_for, reached, what=f"{metric} of {value:g}")
