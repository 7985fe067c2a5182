"""The fine-tuned models that `explain.py` explains: trained once by seed, kept under `LLMREC_HOME/benchmarks/`."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from llmrec_core.contract.run_context import RunContext
from llmrec_core.contract.spec_files import load_study
from llmrec_core.data.catalogue import load_dataset
from llmrec_core.data.dataset import Dataset
from llmrec_core.data.splits import Split, split
from llmrec_core.ledger.ledger import Ledger
from llmrec_core.metrics.exam import Exam
from llmrec_core.recommenders.language_model import LanguageModelRecommender
from llmrec_core.settings import Settings

HISTORY = 10
STEPS = 60
ROW = "MiniLM cross-encoder, 2 layers, full fine-tuning"
STUDY = Path(__file__).parents[2] / "assets" / "studies" / "default.toml"
CASES_SEED = 7


def data(settings: Settings) -> tuple[Dataset, Split]:
    """ml-100k and its leave-one-out split."""
    dataset = load_dataset("ml-100k", settings)
    return dataset, split(dataset, "loo")


def fine_tuned(
    dataset: Dataset,
    parts: Split,
    settings: Settings,
    given: Path | None = None,
    mode: str = "shared",
) -> tuple[LanguageModelRecommender, str]:
    """The default study's fully fine-tuned MiniLM-L6, and where it came from.

    A given folder, else a finished run of that name in the reader's ledger, else one trained here by seed for fewer
    steps and kept, as always in the mode that is not the study's.
    """
    row = next(run for run in load_study(STUDY).runs if run.name == ROW)
    found = _finished(settings) if row.recommender.history_attention == mode else None
    row = replace(row, recommender=replace(row.recommender, history_attention=mode))
    if given is not None:
        folder, origin = given, ""
    elif found is not None:
        folder, origin = found, f"run of the study: {ROW}"
    else:
        spec = replace(
            row, training=replace(row.training, steps=STEPS, warmup_steps=8, validate_every=STEPS)
        )
        folder = settings.home / "benchmarks" / f"explain-{spec.hash}"
        origin = f"{ROW}, mode {mode}, trained here for {STEPS} steps"
        if not (folder / "manifest.json").is_file():
            made = LanguageModelRecommender(spec, dataset, settings)
            with tempfile.TemporaryDirectory() as scratch:
                made.fit(parts, RunContext(Path(scratch)))
            made.save(folder)
    loaded = LanguageModelRecommender.load(folder, dataset, settings)
    loaded.ready()
    assert loaded.model.layout.history_items == HISTORY, "the study reads ten history items"
    if given is not None:
        training = loaded.spec.training
        origin = (
            f"MiniLM-L6 cross-encoder, mode {loaded.model.history_attention}, head {loaded.spec.recommender.head}, "
            f"{training.steps} steps at {training.learning_rate:g}, given by --model"
        )
    return loaded, origin


def _finished(settings: Settings) -> Path | None:
    if settings.ledger_url.startswith("sqlite") and not (settings.home / "ledger.db").is_file():
        return None
    ledger = Ledger.open(settings)
    runs = [run for run in ledger.runs() if run.name == ROW and run.state == "finished"]
    folders = [
        settings.runs / run.id / "model" for run in sorted(runs, key=lambda run: run.finished or "")
    ]
    return next(
        (folder for folder in reversed(folders) if (folder / "manifest.json").is_file()), None
    )


def cases(
    parts: Split, recommender: LanguageModelRecommender, count: int
) -> list[tuple[np.ndarray, int, int]]:
    """(history, first item, second item) of users with ten items to read: best two of 100 candidates, fixed by seed."""
    found = []
    exam = Exam.on(parts, parts.test, "100-uniform", 3 * count, CASES_SEED)
    for case, offered in zip(exam.cases, exam.candidates, strict=True):
        history = np.array(recommender.model.layout.keep(case.history))
        if len(history) == HISTORY and len(found) < count:
            best = np.argsort(-recommender.scorer.scores(history.tolist(), offered), kind="stable")
            found.append((history, int(offered[best[0]]), int(offered[best[1]])))
    return found
