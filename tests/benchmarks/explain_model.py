"""The fine-tuned models that `explain.py` explains: trained once by seed, kept under `LLMREC_HOME/benchmarks/`."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from llmrec_core.data.candidates import candidate_sets, sample_cases
from llmrec_core.data.dataset import Dataset, load_dataset
from llmrec_core.data.splits import Split, split
from llmrec_core.experiments.context import RunContext
from llmrec_core.experiments.spec import RecommenderSpec, RunSpec, TrainingSpec
from llmrec_core.recommenders.language_model import LanguageModelRecommender
from llmrec_core.settings import Settings

HISTORY = 10
STEPS = 60
CASES_SEED = 7


def data(settings: Settings) -> tuple[Dataset, Split]:
    """ml-100k and its leave-one-out split."""
    dataset = load_dataset("ml-100k", settings)
    return dataset, split(dataset, "loo")


def fine_tuned(dataset: Dataset, parts: Split, settings: Settings) -> LanguageModelRecommender:
    """MiniLM-L6, shared history of ten titles, fully fine-tuned for 60 steps of 8 users with 15 negatives."""
    spec = RunSpec(
        name="MiniLM-L6 of the explanation benchmark",
        recommender=RecommenderSpec(
            family="cross-encoder", backbone="minilm-l6", adaptation="full", history_items=HISTORY
        ),
        training=TrainingSpec(
            steps=STEPS, warmup_steps=6, learning_rate=2e-4, validate_every=STEPS, validation_users=40
        ),
    )
    folder = settings.home / "benchmarks" / f"explain-{spec.hash}"
    if not (folder / "manifest.json").is_file():
        made = LanguageModelRecommender(spec, dataset, settings)
        with tempfile.TemporaryDirectory() as scratch:
            made.fit(parts, RunContext(Path(scratch)))
        made.save(folder)
    loaded = LanguageModelRecommender.load(folder, dataset, settings)
    loaded.ready()
    return loaded


def cases(parts: Split, recommender: LanguageModelRecommender, count: int) -> list[tuple[np.ndarray, int, int]]:
    """(history, first item, second item) of users with ten items to read: best two of 100 candidates, fixed by seed."""
    found = []
    chosen = sample_cases(parts.test, 3 * count, CASES_SEED)
    for case, offered in zip(chosen, candidate_sets(parts, chosen, "100-uniform", CASES_SEED), strict=True):
        history = np.array(recommender.model.layout.keep(case.history))
        if len(history) == HISTORY and len(found) < count:
            best = np.argsort(-recommender.scorer.scores(history.tolist(), offered), kind="stable")
            found.append((history, int(offered[best[0]]), int(offered[best[1]])))
    return found
