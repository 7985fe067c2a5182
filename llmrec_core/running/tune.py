"""A search over stated settings by validation: the people of the test are never asked.

The trials are the rows of a study file. Each is fitted as a run would fit it, and measured on the
validation people of its own protocol. What a trial reached is stored the moment it ends, and a
search that was stopped goes on from the last checkpoint of the trial that was under way.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from llmrec_core.contract.families import family_named
from llmrec_core.contract.recommender import TrainsByGradient
from llmrec_core.contract.run_context import RunContext
from llmrec_core.contract.spec import RunSpec
from llmrec_core.data.catalogue import load_dataset
from llmrec_core.data.splits import split
from llmrec_core.errors import UsageError
from llmrec_core.files import write_json
from llmrec_core.language import t
from llmrec_core.recommenders.registry import build
from llmrec_core.settings import Settings
from llmrec_core.training.validation import validation_figures

FILE = "trial.json"


@dataclasses.dataclass(frozen=True)
class Trial:
    """What one setting reached on validation."""

    name: str
    spec_hash: str
    """Of the run; the same settings are never tried twice."""
    recommender: dict[str, Any]
    training: dict[str, Any]
    seed: int
    protocol: str
    figures: dict[str, float]
    """NDCG@k and Recall@k of the validation people, with the weights that were kept."""
    people: int
    """Validation people who were asked."""
    steps: int
    """Steps that training took before it was done, or stopped."""
    seconds: float
    """Of training, with those of earlier attempts."""
    stopped: str
    """Why it ended: `done`, `early` or `time`."""
    curve: list[tuple[int, float]]
    """Step and validation NDCG@k of every validation since the last start."""


def tune(
    runs: Sequence[RunSpec],
    settings: Settings,
    *,
    minutes: float,
    say: Callable[[str], None] = lambda sentence: None,
) -> list[Trial]:
    """Try the settings in order until the budget is spent; trials of earlier searches are kept.

    Args:
        runs: rows of a study, all of families that train.
        settings: names the home; trials stand in its folder `trials`.
        minutes: no trial is begun once training has taken so many, all trials together.
        say: is given a sentence as a trial ends.

    Returns:
        The trials that are done, best validation NDCG@k first.

    Raises:
        UsageError: when a row's family has nothing to train.
    """
    for spec in runs:
        if not family_named(spec.recommender.family).is_trained:
            raise UsageError(
                t(
                    "{family!r} has no weights to train, so validation has nothing to choose by "
                    "epochs; leave {name!r} out of the search",
                    family=spec.recommender.family,
                    name=spec.name,
                )
            )
    trials: list[Trial] = []
    for spec in runs:
        folder = settings.home / "trials" / spec.hash
        trial = _stored(folder)
        if trial is None:
            if sum(trial.seconds for trial in trials) >= minutes * 60:
                say(t("the budget of {minutes:g} minutes is spent", minutes=minutes))
                break
            trial = _try(spec, folder, settings)
        trials.append(trial)
        say(
            t(
                "{name}: validation NDCG@{k} {value:.4f} after {steps} steps, {seconds:.0f} s",
                name=trial.name,
                k=spec.protocol.k,
                value=_ndcg(trial),
                steps=trial.steps,
                seconds=trial.seconds,
            )
        )
    return sorted(trials, key=_ndcg, reverse=True)


def _ndcg(trial: Trial) -> float:
    return next(value for name, value in trial.figures.items() if name.startswith("ndcg@"))


def _stored(folder: Path) -> Trial | None:
    """The trial that a folder holds; None when it was never finished."""
    path = folder / FILE
    if not path.is_file():
        return None
    body = json.loads(path.read_text(encoding="utf-8"))
    return Trial(**body | {"curve": [(step, value) for step, value in body["curve"]]})


def _try(spec: RunSpec, folder: Path, settings: Settings) -> Trial:
    """Fit one setting and ask its validation people."""
    dataset = load_dataset(spec.data.name, settings)
    parts = split(dataset, spec.protocol.split, spec.protocol.repeats)
    parts = dataclasses.replace(parts, test=[])  # whatever is written here later cannot ask them
    context = RunContext(folder)
    recommender = build(spec, dataset, settings)
    recommender.fit(parts, context)
    assert isinstance(recommender, TrainsByGradient), "every trained family says what it did"
    result = recommender.result
    assert result is not None, "it was fitted just now"
    per_person = validation_figures(parts, recommender.score, spec)
    k = spec.protocol.k
    trial = Trial(
        spec.name,
        spec.hash,
        dataclasses.asdict(spec.recommender),
        dataclasses.asdict(spec.training),
        spec.seed,
        spec.protocol.name,
        {name: float(np.nanmean(per_person[name])) for name in (f"ndcg@{k}", f"recall@{k}")},
        len(per_person[f"ndcg@{k}"]),
        result.steps,
        result.seconds,
        result.stopped,
        [(step, value) for name, step, value in context.curves if name == f"valid_ndcg@{k}"],
    )
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / FILE, dataclasses.asdict(trial), indent=1)
    return trial
