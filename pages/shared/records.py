"""The only cached readers of the app: ledgers, studies, rows, per-user values, documents.

Everything is keyed by the study's state (run ids, attempts, states), so a finished run shows at
once and an unchanged study costs nothing; where sentences are kept, also by their language. What a
person may not see is left out before anything is looked up: the ledger that pages get is that
person's (`PersonalLedger`). The recorded studies stand in ledgers of their own (samples.py).
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from llmrec_core.checks import label_files
from llmrec_core.language import language, t
from llmrec_core.ledger.json_values import Json
from llmrec_core.ledger.ledger import Ledger
from llmrec_core.ledger.owners import base_name
from llmrec_core.ledger.personal import PersonalLedger
from llmrec_core.ledger.rows import RunRow
from llmrec_core.profiling.device import Device
from llmrec_core.reading import clear_order, listing
from llmrec_core.reading.groups import grouped
from llmrec_core.reading.people import People, of_sample, stacked
from llmrec_core.reading.row import Row
from llmrec_core.settings import Settings, load_settings
from pages.shared import access, samples

if TYPE_CHECKING:
    from llmrec_core.data.dataset import Dataset

DIGESTS_S = 600.0
"""Seconds after which shown records are compared with their digests again."""
DEVICE_S = 600.0
"""Seconds after which the machine is described again."""


@dataclass(frozen=True)
class Study:
    """A study as chosen in the side bar."""

    key: str
    """What stands in the address: the study's name, `sample:` in front for the recorded one."""
    name: str
    title: str
    recorded: bool
    """Shipped with the product: recorded elsewhere, no requests possible."""


def settings() -> Settings:
    """Return the settings of this process."""
    return load_settings()


@st.cache_resource(show_spinner=False)
def _open(url: str, home: str) -> Ledger:
    return Ledger.open(dataclasses.replace(load_settings(), ledger_url=url, home=Path(home)))


def ledger() -> PersonalLedger:
    """Return the ledger as whoever looks at the page may use it."""
    here = settings()
    return PersonalLedger(_open(here.ledger_url, str(here.home)), access.person())


def of(study: Study) -> Ledger:
    """Return the ledger that holds a study.

    Raises:
        UsageError: for a recorded study that is not shipped.
    """
    return samples.ledger_of(study.name) if study.recorded else ledger()


def studies() -> list[Study]:
    """Return the reader's own studies, newest first, then the recorded ones."""
    own = [
        Study(row.name, row.name, row.title or row.name, False)
        for row in reversed(ledger().studies())
    ]
    return own + [
        Study(f"sample:{sample.name}", sample.name, sample.title, True)
        for sample in samples.samples()
    ]


def has_finished(study: Study) -> bool:
    """Whether a run of the study has finished."""
    return any(run.state == "finished" for run in runs(study))


def runs(study: Study) -> list[RunRow]:
    """Return the runs of the study as the ledger has them now."""
    return of(study).runs(study.name)


Version = tuple[tuple[str, str, int], ...]


def _version(rows: Sequence[RunRow]) -> Version:
    return tuple((run.id, run.state, run.attempt) for run in rows)


@st.cache_data(max_entries=32, show_spinner=False)
def _rows(_ledger: Ledger, where: str, name: str, version: Version, read_in: str) -> list[Row]:
    return listing.rows_of(_ledger, _ledger.runs(name))


def rows(study: Study) -> list[Row]:
    """Return one record per run, in the study's order."""
    return _rows(of(study), _where(study), study.name, _version(runs(study)), language())


@st.cache_data(max_entries=32, show_spinner=False)
def _damaged(_ledger: Ledger, where: str, version: Version, stamp: int) -> list[str]:
    finished = [run_id for run_id, state, _ in version if state == "finished"]
    return _ledger.damaged(finished)


def damaged(study: Study) -> list[str]:
    """Return the ids of the study's runs whose record is not the one that was written."""
    stamp = int(time.time() // DIGESTS_S)
    return _damaged(of(study), _where(study), _version(runs(study)), stamp)


def _where(study: Study) -> str:
    return study.key if study.recorded else settings().ledger_url


def data_names(study: Study) -> list[str]:
    """The data sets of a study, in the order of its runs."""
    return list(dict.fromkeys(row.spec.data.name for row in rows(study)))


def compared(study: Study) -> list[Row]:
    """As `rows`, runs that differ in their seed alone as one row."""
    return grouped(rows(study))


@st.cache_data(max_entries=64, show_spinner=False)
def _people(
    _ledger: Ledger, where: str, run_ids: tuple[str, ...], name: str, protocol: str
) -> dict[str, People]:
    return {run_id: of_sample(_ledger.samples(run_id, name, protocol)) for run_id in run_ids}


def per_user(
    study: Study, rows: Sequence[Row], name: str, protocol: str, *, untied: bool = False
) -> dict[str, People]:
    """Values of a metric of each person, by the id of the row; a group has a line a seed.

    Args:
        study: of the rows.
        rows: whose values; those that have not finished have none.
        name: of the metric.
        protocol: under which it was measured.
        untied: leave out people whose last items share one moment.
    """
    finished = [row for row in rows if row.state == "finished"]
    run_ids = tuple(run_id for row in finished for run_id in row.run_ids)
    people = _people(of(study), _where(study), run_ids, name, protocol)
    users = {row.run_id: stacked([people[run_id] for run_id in row.run_ids]) for row in finished}
    return clear_order.people_without_tied(compared(study), users, protocol) if untied else users


@st.cache_data(max_entries=64, show_spinner=False)
def _document(_ledger: Ledger, where: str, run_id: str, attempt: int, name: str) -> Json:
    return _ledger.document(run_id, name)


def document(study: Study, run_id: str, name: str) -> Json:
    """Return one document of a run, `None` where it was not written."""
    run = of(study).run(run_id)
    return _document(of(study), _where(study), run_id, run.attempt, name)


def fresh_documents(study: Study, rows: Sequence[Row], name: str) -> dict[str, Json]:
    """Run id → document, read anew: for documents that may be added after the run has finished."""
    bodies = {row.run_id: of(study).document(row.run_id, name) for row in rows}
    return {run_id: body for run_id, body in bodies.items() if body}


def checkpoint_steps(run_id: str) -> list[int]:
    """The steps of a run's checkpoints on this machine, ascending."""
    folders = (settings().home / "runs" / run_id / "checkpoints").glob("step-*[0-9]")
    return sorted(int(folder.name.rpartition("-")[2]) for folder in folders)


@st.cache_data(max_entries=4, show_spinner=False)
def _device(stamp: int, read_in: str) -> Device:
    from llmrec_core.profiling.device import describe

    return describe()


def device() -> Device:
    """Return the machine that the web runs on, asked again now and then."""
    return _device(int(time.time() // DEVICE_S), language())


@st.cache_data(max_entries=8, show_spinner=False)
def _dataset(home: str, name: str, content_key: str) -> Dataset:
    from llmrec_core.data.catalogue import load_dataset

    return load_dataset(name, load_settings())


def dataset(name: str) -> Dataset:
    """Return a data set that is already on this machine, as its newest import left it.

    Raises:
        UsageError: when there is none that the reader may see.
    """
    from llmrec_core.data.catalogue import content_key

    ledger().require_data(name)
    here = settings()
    with st.spinner(t("Reading the data set")):
        return _dataset(str(here.home), name, content_key(name, here))


def has_dataset(name: str) -> bool:
    """Whether the data set is on this machine and the reader's to see; pages never download."""
    from llmrec_core.data import store

    here = settings()
    stored = (here.assets / name).is_dir() or store.folder_of(base_name(name), here).is_dir()
    return stored and ledger().may_see(name)


def titles(name: str) -> list[str]:
    """Return the titles of a data set on this machine, empty when it is not here."""
    if not name or not has_dataset(name):
        return []
    return sorted(set(dataset(name).items["title"]))


def label_curves() -> dict[str, Json]:
    """The label curves on this machine that this person may see, by name."""
    return {
        name: body
        for name, body in label_files.read_all(settings()).items()
        if ledger().may_see(str(body.get("plan", {}).get("data", "")))
    }


def dataset_names() -> list[str]:
    """Return the data sets on this machine that the reader may see, the built-in one first."""
    from llmrec_core.data import store

    hidden = ledger().hidden_data()
    own = [stored.name for stored in store.manifests(settings()) if stored.name not in hidden]
    return [name for name in ("ml-100k",) if has_dataset(name)] + own
