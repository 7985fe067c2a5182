"""How much of its quality a finished model keeps when what it reads is damaged.

| noise | strength s | what is done |
|---|---|---|
| typos | 0.1 | each letter of every title is dropped, doubled, swapped with the next or replaced, with probability s |
| truncated titles | 0.5 | of every title only the first share 1 − s of its words is left, at least one |
| missing titles | 0.3 | a share s of all items has no title |
| shuffled history | 1 | the history in random order |
| injected items | 0.3 | random unseen items inserted at random places, s for each item of the history |
| label flips | 0.2 | a share s of the training interactions is replaced by random items, and the model is trained again |

Kept = NDCG@10 under noise ÷ NDCG@10 clean, at most 1. Robustness score = mean of what is kept over the first five; a
model that reads no titles keeps all of it under noise of titles. Label flips stand beside the score, as they need
a training. Intervals: 95 % bootstrap over the same users.
"""

from __future__ import annotations

import dataclasses
import string
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from llmrec_core.data.candidates import askable, candidate_sets, sample_cases
from llmrec_core.data.dataset import Dataset
from llmrec_core.data.splits import Case, Split, split
from llmrec_core.data.text import item_texts
from llmrec_core.experiments.context import RunContext
from llmrec_core.experiments.quality import FEW
from llmrec_core.experiments.spec import NEURAL_TEXT, RunSpec
from llmrec_core.metrics.evaluate import per_user
from llmrec_core.metrics.facets import facets
from llmrec_core.metrics.intervals import bootstrap_mean, paired_difference
from llmrec_core.recommenders.base import Recommender
from llmrec_core.recommenders.registry import CLASSICAL, build
from llmrec_core.recommenders.tfidf import TfIdf
from llmrec_core.settings import Settings
from llmrec_core.types import Columns

if TYPE_CHECKING:
    from llmrec_core.experiments.ledger import Ledger

DOCUMENT = "robustness"
STRENGTHS = {
    "typos": 0.1,
    "truncated titles": 0.5,
    "missing titles": 0.3,
    "shuffled history": 1.0,
    "injected items": 0.3,
    "label flips": 0.2,
}
OF_TITLES = ("typos", "truncated titles", "missing titles")
SCORED = (*OF_TITLES, "shuffled history", "injected items")
DEFINITION = (
    "Kept: NDCG@10 under noise ÷ clean, at most 1. Robustness score: mean of what is kept under typos, truncated titles, "
    "missing titles, shuffled history and injected items, each noise counting the same; a model that reads no titles "
    "keeps all of it under noise of titles. Label flips need a new training and are not part of the score."
)


# ── noise ────────────────────────────────────────────────────────────────────────────────────────


def noisy_titles(titles: Sequence[str], noise: str, strength: float, seed: int) -> list[str]:
    """The titles damaged; the same for the same seed.

    >>> noisy_titles(["The Return of the King (2003)"], "truncated titles", 0.5, 0)
    ['The Return of']
    """
    rng = np.random.default_rng((seed, 3))
    if noise == "truncated titles":
        return [" ".join(t.split()[: max(1, round((1 - strength) * len(t.split())))]) for t in titles]
    if noise == "missing titles":
        return ["" if gone else title for title, gone in zip(titles, rng.random(len(titles)) < strength, strict=True)]
    return [_typos(title, strength, rng) for title in titles]


def _typos(title: str, share: float, rng: np.random.Generator) -> str:
    letters, out, skip = list(title), [], False
    for place, letter in enumerate(letters):
        if skip or not letter.isalpha() or rng.random() >= share:
            out.append("" if skip else letter)
            skip = False
            continue
        kind = rng.integers(4)
        if kind == 1:
            out.append(2 * letter)
        elif kind == 2 and place + 1 < len(letters):
            out.append(letters[place + 1] + letter)
            skip = True
        elif kind == 3:
            out.append(string.ascii_lowercase[rng.integers(26)])
    return "".join(out)


def noisy_history(case: Case, noise: str, strength: float, items: int, seed: int) -> Case:
    """The case with its history shuffled or with items put in; what is asked for stays, and is never put in."""
    rng = np.random.default_rng((seed, case.user, 4))
    history = case.history
    if noise == "shuffled history":
        return dataclasses.replace(case, history=rng.permutation(history))
    free = np.setdiff1d(np.arange(items), np.concatenate([history, case.relevant]))
    count = min(round(strength * len(history)), len(free))
    places = np.sort(rng.integers(0, len(history) + 1, size=count))
    return dataclasses.replace(case, history=np.insert(history, places, rng.choice(free, count, replace=False)))


def flipped(parts: Split, share: float, seed: int) -> Split:
    """The split with a share of the training interactions replaced by random items; what is asked for stays unknown."""
    rng = np.random.default_rng((seed, 5))
    train = []
    for user, sequence in enumerate(parts.train):
        items = sequence.copy()
        wrong = np.flatnonzero(rng.random(len(items)) < share)
        free = np.setdiff1d(np.arange(parts.dataset.n_items), parts.sequences[user])
        wrong = wrong[: len(free)]
        items[wrong] = rng.choice(free, len(wrong), replace=False)
        train.append(items)
    return dataclasses.replace(parts, train=train)


# ── a model that reads other titles ──────────────────────────────────────────────────────────────


def reads_titles(spec: RunSpec) -> bool:
    """Whether a title can move this model's scores."""
    named = {spec.recommender.family, *spec.recommender.retriever.split("+")}
    return bool(named & {*NEURAL_TEXT, "cascade", "tf-idf", "bm25"})


def reread(load: Callable[[Dataset], Recommender], spec: RunSpec, dataset: Dataset, settings: Settings) -> Recommender:
    """The model of a folder, its weights as trained, over items with other titles."""
    made: Any = load(dataset)
    for part in (made, *getattr(made, "members", {}).values(), getattr(made, "retriever", None)):
        if isinstance(part, TfIdf):
            part.index(item_texts(dataset, genres=part.genres))
    if spec.recommender.family == "bi-encoder":
        made.vectors = _embedded(spec, dataset, settings)
    elif spec.recommender.family == "text-sasrec" and not spec.recommender.retriever:
        import torch

        made.model.text_vectors[:-1] = torch.from_numpy(_embedded(spec, dataset, settings))
        made._table = None
    reader = getattr(made, "inner", made)
    if hasattr(reader, "ready"):
        reader.ready(spec.precision)
    return made


def _embedded(spec: RunSpec, dataset: Dataset, settings: Settings) -> np.ndarray:
    """Fresh embeddings: damaged titles are not kept on disk."""
    from llmrec_core.models.backbones import load_backbone
    from llmrec_core.models.embeddings import embed_texts

    chosen = spec.recommender
    backbone = load_backbone(chosen.backbone, settings, depth=chosen.depth)
    return embed_texts(backbone, item_texts(dataset, genres=True))


def renamed(dataset: Dataset, noise: str, strength: float, seed: int) -> Dataset:
    """The data set with damaged titles; codes and content hash stay, so that trained weights still fit."""
    titles = noisy_titles(dataset.items[Columns.TITLE].tolist(), noise, strength, seed)
    return dataclasses.replace(dataset, items=dataset.items.assign(**{Columns.TITLE: titles}))


# ── the suite ────────────────────────────────────────────────────────────────────────────────────


def measure(
    load: Callable[[Dataset], Recommender],
    spec: RunSpec,
    dataset: Dataset,
    settings: Settings,
    *,
    users: int = 200,
    seed: int = 0,
    retrain: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """The `robustness` document of one trained model.

    Args:
        load: the trained model over a data set (`family.load(folder, dataset)`).
        users: test users, drawn as the run's own were; 0 = all.
        retrain: repeat the training of neural models for label flips; classical ones always do.
    """
    began = time.perf_counter()
    protocol = spec.protocol
    parts = askable(split(dataset, protocol.split), protocol.candidates)
    cases = sample_cases(parts.test, users, protocol.seed)
    offered = candidate_sets(parts, cases, protocol.candidates, protocol.seed)
    model = reread(load, spec, dataset, settings)

    def ndcg(asked: Recommender, about: Sequence[Case]) -> np.ndarray:
        return per_user(asked.score, parts, about, offered, batch=8)["ndcg@10"]

    clean = ndcg(model, cases)
    say(f"clean: NDCG@10 {clean.mean():.3f}, {len(cases)} users")
    found: dict[str, np.ndarray | str] = {}
    for noise, strength in STRENGTHS.items():
        if noise in OF_TITLES:
            if reads_titles(spec):
                found[noise] = ndcg(reread(load, spec, renamed(dataset, noise, strength, seed), settings), cases)
            else:
                found[noise] = clean
        elif noise == "label flips":
            found[noise] = _retrained(spec, dataset, settings, flipped(parts, strength, seed), ndcg, cases, retrain)
        else:
            asked = [noisy_history(case, noise, strength, dataset.n_items, seed) for case in cases]
            found[noise] = ndcg(model, asked)
        say(_line(noise, found[noise], clean))
    scored = np.stack([np.asarray(found[noise]) for noise in SCORED], axis=1)
    return {
        "protocol": protocol.name,
        "users": len(cases),
        "seed": seed,
        "definition": DEFINITION,
        "clean": dict(zip(("value", "low", "high"), bootstrap_mean(clean), strict=True)),
        "score": score(scored, clean),
        "noises": [_noise(noise, strength, found[noise], clean) for noise, strength in STRENGTHS.items()],
        "worst_slice": _worst(parts, cases, clean, found),
        "seconds": time.perf_counter() - began,
    }


def _retrained(
    spec: RunSpec, dataset: Dataset, settings: Settings, parts: Split,
    ndcg: Callable[[Recommender, Sequence[Case]], np.ndarray], cases: Sequence[Case], retrain: bool,
) -> np.ndarray | str:  # fmt: skip
    """Per-user NDCG@10 of the model trained on flipped labels, or why there is none."""
    family = spec.recommender.family
    if spec.weights_from:
        return f"it uses the weights of {spec.weights_from!r}; measure that run"
    if spec.recommender.adaptation == "none" and family in ("bi-encoder", "decoder"):
        return "it learns from no labels"
    if family not in (*CLASSICAL, "fusion") and not retrain:
        return "its training was not repeated; add --retrain"
    with tempfile.TemporaryDirectory() as folder:
        model = build(spec, dataset, settings)
        model.fit(parts, RunContext(Path(folder)))
        return ndcg(model, cases)


def _line(noise: str, values: np.ndarray | str, clean: np.ndarray) -> str:
    if isinstance(values, str):
        return f"{noise}: not measured, {values}"
    return f"{noise}: NDCG@10 {values.mean():.3f}, kept {kept(values, clean):.2f}"


def kept(values: np.ndarray, clean: np.ndarray) -> float:
    """Share of the clean mean that is left, at most 1; 1 where there was nothing to lose.

    >>> kept(np.array([0.2, 0.2]), np.array([0.5, 0.3]))  # 0.2 ÷ 0.4
    0.5
    """
    return min(1.0, float(values.mean() / clean.mean())) if clean.mean() > 0 else 1.0


def score(noisy: np.ndarray, clean: np.ndarray, seed: int = 0, resamples: int = 2000) -> dict[str, float]:
    """Robustness score with its interval from per-user values, shapes (users, noises) and (users,).

    >>> score(np.array([[1.0, 0.5], [1.0, 0.5]]), np.ones(2))["value"]  # (1 + 0.5) ÷ 2
    0.75
    """
    rng = np.random.default_rng(seed)
    draws = rng.integers(0, len(clean), size=(resamples, len(clean)))
    base = clean[draws].mean(axis=1)
    shares = np.stack([noisy[draws, column].mean(axis=1) for column in range(noisy.shape[1])], axis=1)
    ratios = np.where(base[:, None] > 0, np.minimum(1.0, shares / np.maximum(base, 1e-12)[:, None]), 1.0).mean(axis=1)
    low, high = np.quantile(ratios, (0.025, 0.975))
    value = float(np.mean([kept(noisy[:, column], clean) for column in range(noisy.shape[1])]))
    return {"value": value, "low": float(low), "high": float(high)}


def _noise(noise: str, strength: float, values: np.ndarray | str, clean: np.ndarray) -> dict[str, Any]:
    body: dict[str, Any] = {"noise": noise, "strength": strength}
    if isinstance(values, str):
        return body | {"reason": values}
    gap = paired_difference(values, clean)
    figures = {"difference": gap.mean, "low": gap.low, "high": gap.high, "n": gap.n}
    return body | {"value": float(values.mean()), "kept": kept(values, clean), **figures}


def _worst(
    parts: Split, cases: Sequence[Case], clean: np.ndarray, found: dict[str, np.ndarray | str]
) -> dict[str, Any] | None:
    """The slice of at least `FEW` users that loses most NDCG@10 under one noise, with its paired interval."""
    worst: dict[str, Any] | None = None
    for facet_name, facet in facets(parts, cases).items():
        for number, group in enumerate(facet.names):
            inside = facet.groups == number
            if inside.sum() < FEW:
                continue
            for noise in SCORED:
                noisy = np.asarray(found[noise])[inside]
                lost = float((noisy - clean[inside]).mean())
                if lost < (worst["difference"] if worst else 0.0):
                    gap = paired_difference(noisy, clean[inside])
                    worst = {
                        "noise": noise, "facet": facet_name, "group": group, "clean": float(clean[inside].mean()),
                        "noisy": float(noisy.mean()), "difference": lost, "low": gap.low, "high": gap.high,
                        "n": int(inside.sum()),
                    }  # fmt: skip
    return worst


# ── the run's record ─────────────────────────────────────────────────────────────────────────────


def measure_run(run_id: str, ledger: Ledger, settings: Settings, **options: Any) -> dict[str, Any]:
    """Measure a finished run's model and put the document into its record, in place of an earlier one.

    Raises:
        UsageError: when the run is unknown, unfinished, or its weights are not on this machine.
    """
    from llmrec_core.experiments.answers import family_of, load_run

    loaded = load_run(run_id, settings, {})
    folder, family = settings.runs / run_id / "model", family_of(loaded.spec)
    body = measure(lambda dataset: family.load(folder, dataset), loaded.spec, loaded.dataset, settings, **options)
    ledger.add_document(run_id, DOCUMENT, body)
    return body
