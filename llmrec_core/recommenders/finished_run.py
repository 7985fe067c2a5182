"""A finished run, loaded from its folder: what checks measure and what answers questions."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from llmrec_core.contract.recommender import (
    FamilyClass,
    Recommender,
    ServesInPrecision,
    reader_of,
)
from llmrec_core.contract.spec import RunSpec, stored_run
from llmrec_core.data.catalogue import load_dataset
from llmrec_core.data.dataset import Dataset
from llmrec_core.errors import UsageError
from llmrec_core.language import t
from llmrec_core.ledger.ledger import Ledger
from llmrec_core.ledger.model_files import DOCUMENT, require_intact
from llmrec_core.recommenders.registry import family_class, stored_as
from llmrec_core.settings import Settings

KEPT_MODELS = 3
"""Loaded runs that a cache holds, the most recently used ones."""


@dataclass
class Loaded:
    """A finished run, ready to answer."""

    spec: RunSpec
    dataset: Dataset
    recommender: Recommender

    @property
    def reader(self) -> Recommender:
        """The recommender itself; of a cascade, the model that reads."""
        return reader_of(self.recommender)


@dataclass
class Cache:
    """What is kept between questions."""

    runs: dict[str, Loaded] = field(default_factory=dict)
    """The last few runs by id, the most recently used last."""
    flags: dict[str, np.ndarray] = field(default_factory=dict)
    """Flagged items by the content hash of their data set: reading all titles takes a while."""

    def run(self, run_id: str) -> Loaded | None:
        """The run, which becomes the most recently used one; None when it is not kept."""
        loaded = self.runs.pop(run_id, None)
        if loaded is not None:
            self.runs[run_id] = loaded
        return loaded

    def keep(self, run_id: str, loaded: Loaded) -> None:
        """Keep a run in place of the one that was used longest ago."""
        self.runs[run_id] = loaded
        for old in list(self.runs)[:-KEPT_MODELS]:
            del self.runs[old]


def load_run(run_id: str, settings: Settings, cache: Cache | None = None) -> Loaded:
    """The model of a finished run, from the cache or from its folder.

    Args:
        run_id: of the run.
        settings: where runs stand.
        cache: what the caller keeps between questions, if it asks more than once.

    Raises:
        UsageError: when the run is unknown, unfinished, or its weights are not on this machine.
        CheckpointError: when a file of its model was changed or damaged.
    """
    kept = cache.run(run_id) if cache is not None else None
    if kept is not None:
        return kept
    ledger = Ledger.open(settings)
    run = ledger.run(run_id)
    if run.state != "finished":
        raise UsageError(
            t(
                "run {run_id} is {state}; only a finished run has a model to ask: wait, or "
                "resume it",
                run_id=run_id,
                state=run.state,
            )
        )
    folder = _model_folder(run_id, settings)
    require_intact(folder, ledger.document(run.id, DOCUMENT))
    spec = stored_run(run.spec)
    dataset = load_dataset(spec.data.name, settings, spec.data.content_hash)
    loaded = Loaded(spec, dataset, family_of(spec).load(folder, dataset))
    if isinstance(loaded.reader, ServesInPrecision):
        loaded.reader.ready(spec.precision)
    if cache is not None:
        cache.keep(run_id, loaded)
    return loaded


def _model_folder(run_id: str, settings: Settings) -> Path:
    folder = settings.runs / run_id / "model"
    if not folder.is_dir():
        raise UsageError(
            t(
                "run {run_id} has no weights under {folder}; run it again on this machine",
                run_id=run_id,
                folder=folder,
            )
        )
    return folder


def family_of(spec: RunSpec) -> FamilyClass:
    """The class that stores and loads runs of this spec."""
    return family_class(stored_as(spec.recommender))
