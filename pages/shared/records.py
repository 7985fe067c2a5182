"""The only cached readers of the app: ledgers, studies, rows, per-user values, documents.

Everything is keyed by the study's state (run ids, attempts, states), so a finished run shows at once and an unchanged
study costs nothing. The recorded sample study is imported once into a ledger of its own, `HOME/sample.db`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from llmrec_core.experiments import listing, views
from llmrec_core.experiments.ledger import Ledger
from llmrec_core.settings import Settings, load_settings

ROOT = Path(__file__).parents[2]
SAMPLE_FILE = ROOT / "assets" / "sample" / "study.json"


@dataclass(frozen=True)
class Study:
    """A study as chosen in the side bar."""

    key: str
    """What stands in the address: the study's name, `sample:` in front for the recorded one."""
    name: str
    title: str
    recorded: bool
    """From the sample ledger: recorded elsewhere, no requests possible."""


def settings() -> Settings:
    return load_settings()


@st.cache_resource(show_spinner=False)
def _open(url: str, home: str) -> Ledger:
    return Ledger.open(dataclasses.replace(load_settings(), ledger_url=url, home=Path(home)))


def ledger() -> Ledger:
    """The reader's own ledger."""
    here = settings()
    return _open(here.ledger_url, str(here.home))


@st.cache_resource(show_spinner="Opening the recorded sample study")
def _open_sample(home: str, digest: str) -> Ledger:
    """The sample ledger of this home; made anew when the shipped file has changed."""
    target = Path(home) / f"sample-{digest}.db"
    opened = Ledger.open(dataclasses.replace(load_settings(), ledger_url=f"sqlite:///{target}"))
    if not opened.studies():
        opened.import_study(json.loads(SAMPLE_FILE.read_text(encoding="utf-8")))
    return opened


def sample_ledger() -> Ledger | None:
    """The recorded sample study, when the product ships one."""
    if not SAMPLE_FILE.exists():
        return None
    digest = hashlib.sha256(SAMPLE_FILE.read_bytes()).hexdigest()[:12]
    return _open_sample(str(settings().home), digest)


def of(study: Study) -> Ledger:
    """The ledger that holds `study`."""
    return sample_ledger() if study.recorded else ledger()


def studies() -> list[Study]:
    """Own studies, newest first, then the recorded sample."""
    own = [Study(row.name, row.name, row.title or row.name, False) for row in reversed(ledger().studies())]
    sample = sample_ledger()
    recorded = [] if sample is None else sample.studies()
    return own + [Study(f"sample:{row.name}", row.name, row.title or row.name, True) for row in recorded]


def has_finished(study: Study) -> bool:
    return any(run.state == "finished" for run in of(study).runs(study.name))


def runs(study: Study) -> list[Any]:
    """Runs of the study as the ledger has them now."""
    return of(study).runs(study.name)


def _version(found: list[Any]) -> tuple[tuple[str, str, int], ...]:
    return tuple((run.id, run.state, run.attempt) for run in found)


@st.cache_data(max_entries=32, show_spinner=False)
def _rows(_ledger: Ledger, where: str, name: str, version: tuple) -> list[views.Row]:
    return listing.rows_of(_ledger, _ledger.runs(name))


def rows(study: Study) -> list[views.Row]:
    """One record per run, in the study's order."""
    return _rows(of(study), _where(study), study.name, _version(runs(study)))


def _where(study: Study) -> str:
    return "sample" if study.recorded else settings().ledger_url


@st.cache_data(max_entries=64, show_spinner=False)
def _per_user(_ledger: Ledger, where: str, run_ids: tuple[str, ...], name: str, protocol: str) -> dict:
    return {run_id: views.per_user(_ledger.samples(run_id, name, protocol)) for run_id in run_ids}


def per_user(study: Study, found: list[views.Row], name: str, protocol: str) -> dict[str, dict[int, float]]:
    """Values of a metric by run id and user code."""
    finished = tuple(row.run_id for row in found if row.state == "finished")
    return _per_user(of(study), _where(study), finished, name, protocol)


@st.cache_data(max_entries=64, show_spinner=False)
def _document(_ledger: Ledger, where: str, run_id: str, attempt: int, name: str) -> Any:
    return _ledger.document(run_id, name)


def document(study: Study, run_id: str, name: str) -> Any:
    """One document of a run, `None` where it was not written."""
    run = of(study).run(run_id)
    return _document(of(study), _where(study), run_id, run.attempt, name)


def fresh_documents(study: Study, found: list[views.Row], name: str) -> dict[str, Any]:
    """Run name → document, read anew: for documents that may be added after the run has finished."""
    bodies = {row.name: of(study).document(row.run_id, name) for row in found}
    return {run: body for run, body in bodies.items() if body}


@st.cache_data(max_entries=4, show_spinner=False)
def device(minute: int) -> Any:
    """The machine the web process runs on; `minute` makes it be asked again now and then."""
    from llmrec_core.profiling.device import describe

    return describe()


@st.cache_data(max_entries=8, show_spinner="Reading the data set")
def dataset(home: str, name: str, stamp: float) -> Any:
    """A data set that is already on this machine."""
    from llmrec_core.data.dataset import load_dataset

    return load_dataset(name, load_settings())


def has_dataset(name: str) -> bool:
    """Whether the data set is on this machine already; pages never download."""
    from llmrec_core.data import store

    here = settings()
    return (here.assets / name).is_dir() or store.folder_of(name.partition("@")[0], here).is_dir()


def titles(name: str) -> list[str]:
    """Titles of a data set on this machine, empty when it is not here."""
    if not name or not has_dataset(name):
        return []
    return sorted(set(dataset(str(settings().home), name, 0.0).items["title"]))


def dataset_names() -> list[str]:
    """Data sets on this machine, the built-in one first."""
    from llmrec_core.data import store

    own = [found["name"] for found in store.manifests(settings())]
    return [name for name in ("ml-100k",) if has_dataset(name)] + own
