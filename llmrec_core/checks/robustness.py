"""How much of its quality a finished model keeps when what it reads is damaged (noise.py).

Kept is NDCG@10 under noise ÷ NDCG@10 clean, at most 1. The robustness score is the mean of what is
kept over noises of titles and histories; a model that reads no titles keeps all of it under noise
of titles. Label flips stand beside the score, as they need a training. Intervals are at 95 %, over
the same users.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from llmrec_core.checks import noise as noises
from llmrec_core.checks.noise import FLIPS, OF_HISTORIES, OF_TITLES, STRENGTHS, reads_titles
from llmrec_core.contract.bounds import Seed, Users
from llmrec_core.contract.families import recorded_family
from llmrec_core.contract.parsing import Flag, parsed
from llmrec_core.contract.recommender import (
    Recommender,
    RereadsTitles,
    ServesInPrecision,
    reader_of,
    with_parts,
)
from llmrec_core.contract.run_context import RunContext
from llmrec_core.contract.spec import RunSpec
from llmrec_core.contract.steps import Progress, Step, unnoted
from llmrec_core.data.dataset import Dataset
from llmrec_core.data.splits import Case, Split
from llmrec_core.language import marked, t
from llmrec_core.ledger.ledger import Ledger
from llmrec_core.metrics.evaluate import per_user
from llmrec_core.metrics.exam import Exam
from llmrec_core.metrics.facets import facets
from llmrec_core.metrics.intervals import mean_interval, paired_difference
from llmrec_core.profiling.timing import InsideClock, TimingWindow, in_windows
from llmrec_core.reading.people import MIN_PEOPLE
from llmrec_core.recommenders.finished_run import family_of, load_run
from llmrec_core.recommenders.registry import build
from llmrec_core.settings import Settings

DOCUMENT = "robustness"
SCORED = (*OF_TITLES, *OF_HISTORIES)
DEFINITION = marked(
    "Kept: NDCG@10 under noise ÷ clean, at most 1. Robustness score: mean of what "
    "is kept under typos, truncated titles, missing titles, shuffled history and "
    "injected items, each noise counting the same; a model that reads no titles "
    "keeps all of it under noise of titles. Label flips need a new training and "
    "are not part of the score."
)
SCORED_AT_ONCE = 8
"""Users scored together: as many as fit the memory of a language model."""
RESAMPLES = 2_000

Say = Callable[[str], None]
Values = np.ndarray | str
"""NDCG@10 of each user, or why it was not measured."""


@parsed
class Plan:
    """What to measure."""

    users: Users = 200
    """Test users, drawn as the run's own were; 0 takes all."""
    seed: Seed = 0
    """Of the noise."""
    retrain: Flag = False
    """Repeat the training of neural models for label flips; cheap families always do."""


@dataclass(frozen=True)
class _Subject:
    """A trained model and what it is asked."""

    load: Callable[[Dataset], Recommender]
    """The trained model over a data set."""
    spec: RunSpec
    exam: Exam
    settings: Settings
    plan: Plan
    window: TimingWindow

    def ndcg(self, recommender: Recommender, cases: Sequence[Case]) -> np.ndarray:
        """NDCG@10 of each user, whose histories may be noisy."""
        values = per_user(
            in_windows(recommender.score, self.window),
            self.exam.split,
            cases,
            self.exam.candidates,
            batch=SCORED_AT_ONCE,
        )
        return values["ndcg@10"]

    def reread(self, dataset: Dataset) -> Recommender:
        """The trained model over items with other titles."""
        with self.window():
            return reread(self.load, self.spec, dataset, self.settings)


def measure(
    load: Callable[[Dataset], Recommender],
    spec: RunSpec,
    dataset: Dataset,
    settings: Settings,
    plan: Plan,
    say: Say = lambda line: None,
    *,
    window: TimingWindow = contextlib.nullcontext,
    progress: Progress = unnoted,
) -> dict[str, Any]:
    """The `robustness` document of one trained model.

    Args:
        load: the trained model over a data set, for example `family.load(folder, dataset)`.
        spec: the run's.
        dataset: the run's.
        settings: where backbones stand.
        plan: what to measure.
        say: takes a line about each noise.
        window: in which the machine is the check's alone, for a few people at a time.
        progress: called before the clean figure and before each noise.
    """
    clock = InsideClock(window)
    exam = Exam.of(dataset, spec.protocol, users=plan.users)
    subject = _Subject(load, spec, exam, settings, plan, clock)
    total = 1 + len(STRENGTHS)
    progress(Step(done=0, total=total, phase=t("without noise")))
    model = subject.reread(dataset)
    clean = subject.ndcg(model, exam.cases)
    say(t("clean: NDCG@10 {mean:.3f}, {users} users", mean=clean.mean(), users=len(exam.cases)))
    by_noise: dict[str, Values] = {}
    for place, noise in enumerate(STRENGTHS, start=1):
        progress(Step(done=place, total=total, phase=t(noise)))
        by_noise[noise] = _under(noise, subject, model, clean)
        say(_line(noise, by_noise[noise], clean))
    scored = np.stack([np.asarray(by_noise[noise]) for noise in SCORED], axis=1)
    return {
        "protocol": spec.protocol.name,
        "users": len(exam.cases),
        "seed": plan.seed,
        "definition": DEFINITION,
        "clean": dict(zip(("value", "low", "high"), mean_interval(clean), strict=True)),
        "score": score(scored, clean),
        "noises": [_figures(noise, values, clean) for noise, values in by_noise.items()],
        "worst_slice": _worst(exam, clean, by_noise),
        "seconds": clock.inside_s,
    }


def reread(
    load: Callable[[Dataset], Recommender], spec: RunSpec, dataset: Dataset, settings: Settings
) -> Recommender:
    """The model of a folder, its weights as trained, over items with other titles."""
    recommender = load(dataset)
    for part in with_parts(recommender):
        if isinstance(part, RereadsTitles):
            part.reread(dataset, settings)
    reader = reader_of(recommender)
    if isinstance(reader, ServesInPrecision):
        reader.ready(spec.precision)
    return recommender


def _under(noise: str, subject: _Subject, model: Recommender, clean: np.ndarray) -> Values:
    """NDCG@10 of each user under one noise, or why there is none."""
    spec, exam, plan, strength = subject.spec, subject.exam, subject.plan, STRENGTHS[noise]
    dataset = exam.split.dataset
    if noise == FLIPS:
        return _retrained(subject, noises.flipped(exam.split, strength, plan.seed))
    if noise in OF_HISTORIES:
        cases = [
            noises.noisy_history(case, noise, strength, dataset.n_items, plan.seed)
            for case in exam.cases
        ]
        return subject.ndcg(model, cases)
    if not reads_titles(spec):
        return clean
    damaged = noises.renamed(dataset, noise, strength, plan.seed)
    return subject.ndcg(subject.reread(damaged), exam.cases)


def _retrained(subject: _Subject, parts: Split) -> Values:
    """NDCG@10 of each user by the model trained on flipped labels, or why there is none."""
    spec = subject.spec
    if spec.weights_from:
        return t(
            "it is made from the run {weights_from!r}; measure that one",
            weights_from=spec.weights_from,
        )
    if not spec.recommender.learns:
        return t("it learns from no labels")
    family = recorded_family(spec.recommender.family)
    if not family.fits_in_seconds and not subject.plan.retrain:
        return t("its training was not repeated; add --retrain")
    with tempfile.TemporaryDirectory() as folder:
        model = build(spec, parts.dataset, subject.settings)
        with subject.window():
            model.fit(parts, RunContext(Path(folder)))
        return subject.ndcg(model, subject.exam.cases)


def _line(noise: str, values: Values, clean: np.ndarray) -> str:
    if isinstance(values, str):
        return t("{noise}: not measured, {reason}", noise=t(noise), reason=values)
    return t(
        "{noise}: NDCG@10 {mean:.3f}, kept {kept:.2f}",
        noise=t(noise),
        mean=values.mean(),
        kept=kept(values, clean),
    )


def kept(values: np.ndarray, clean: np.ndarray) -> float:
    """Share of the clean mean that is left, at most 1; 1 where there was nothing to lose.

    >>> kept(np.array([0.2, 0.2]), np.array([0.5, 0.3]))  # 0.2 ÷ 0.4
    0.5
    """
    return min(1.0, float(values.mean() / clean.mean())) if clean.mean() > 0 else 1.0


def score(
    noisy: np.ndarray, clean: np.ndarray, seed: int = 0, resamples: int = RESAMPLES
) -> dict[str, float]:
    """Robustness score with its interval.

    Args:
        noisy: NDCG@10 of each user under each noise, shape (users, noises).
        clean: NDCG@10 of each user, shape (users,).
        seed: of the draws of users.
        resamples: number of draws.

    >>> score(np.array([[1.0, 0.5], [1.0, 0.5]]), np.ones(2))["value"]  # (1 + 0.5) ÷ 2
    0.75
    """
    rng = np.random.default_rng(seed)
    draws = rng.integers(0, len(clean), size=(resamples, len(clean)))
    base = clean[draws].mean(axis=1)
    shares = np.stack(
        [noisy[draws, column].mean(axis=1) for column in range(noisy.shape[1])], axis=1
    )
    ratios = np.where(
        base[:, None] > 0, np.minimum(1.0, shares / np.maximum(base, 1e-12)[:, None]), 1.0
    ).mean(axis=1)
    low, high = np.quantile(ratios, (0.025, 0.975))
    value = float(np.mean([kept(noisy[:, column], clean) for column in range(noisy.shape[1])]))
    return {"value": value, "low": float(low), "high": float(high)}


def _figures(noise: str, values: Values, clean: np.ndarray) -> dict[str, Any]:
    """One noise of the document."""
    body: dict[str, Any] = {"noise": noise, "strength": STRENGTHS[noise]}
    if isinstance(values, str):
        return body | {"reason": values}
    gap = paired_difference(values, clean)
    return body | {
        "value": float(values.mean()),
        "kept": kept(values, clean),
        "difference": gap.mean,
        "low": gap.low,
        "high": gap.high,
        "n": gap.n,
    }


def _worst(exam: Exam, clean: np.ndarray, by_noise: dict[str, Values]) -> dict[str, Any] | None:
    """The slice of at least `MIN_PEOPLE` users that loses most NDCG@10 under one noise.

    None where no slice loses anything.
    """
    worst: dict[str, Any] | None = None
    for facet_name, facet in facets(exam.split, exam.cases).items():
        for number, group in enumerate(facet.names):
            inside = facet.groups == number
            if inside.sum() < MIN_PEOPLE:
                continue
            for noise in SCORED:
                noisy = np.asarray(by_noise[noise])[inside]
                lost = float((noisy - clean[inside]).mean())
                if lost < (worst["difference"] if worst else 0.0):
                    gap = paired_difference(noisy, clean[inside])
                    worst = {
                        "noise": noise,
                        "facet": facet_name,
                        "group": group,
                        "clean": float(clean[inside].mean()),
                        "noisy": float(noisy.mean()),
                        "difference": lost,
                        "low": gap.low,
                        "high": gap.high,
                        "n": int(inside.sum()),
                    }
    return worst


def measure_run(
    run_id: str,
    ledger: Ledger,
    settings: Settings,
    plan: Plan,
    say: Say = lambda line: None,
    *,
    window: TimingWindow = contextlib.nullcontext,
    progress: Progress = unnoted,
) -> dict[str, Any]:
    """Measure a finished run's model and put the document into its record.

    An earlier document of the run is replaced.

    Args:
        run_id: of the run.
        ledger: where its record is.
        settings: where runs stand.
        plan: what to measure.
        say: takes a line about each noise.
        window: as for `measure`.
        progress: as for `measure`.

    Raises:
        UsageError: when the run is unknown, unfinished, or its weights are not on this machine.
    """
    loaded = load_run(run_id, settings)
    folder, family = settings.runs / run_id / "model", family_of(loaded.spec)
    body = measure(
        lambda dataset: family.load(folder, dataset),
        loaded.spec,
        loaded.dataset,
        settings,
        plan,
        say,
        window=window,
        progress=progress,
    )
    ledger.add_document(run_id, DOCUMENT, body)
    return body
