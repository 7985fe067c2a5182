"""`ledger check`: whether everything that was stored is what was stored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import sqlalchemy as sa

from llmrec_core.data import store
from llmrec_core.data.manifest import Version
from llmrec_core.errors import DataError
from llmrec_core.files import sha256_of
from llmrec_core.language import t
from llmrec_core.ledger.digests import damage
from llmrec_core.ledger.ledger import Ledger
from llmrec_core.ledger.model_files import DOCUMENT, differences
from llmrec_core.ledger.rows import RunRow


@dataclass(frozen=True)
class Finding:
    """Something that is not as it was stored, or that nobody knows any more."""

    kind: str
    """`ledger`, `record`, `model`, `data` (damage); `orphan` (a folder without a run), `undigested`
    (a record of version 0.1, which cannot be judged)."""
    subject: str
    sentence: str

    @property
    def damage(self) -> bool:
        """Whether figures or models must not be used."""
        return self.kind in ("ledger", "record", "model", "data")


def check(ledger: Ledger) -> list[Finding]:
    """Compare the ledger, the records, the models and the data sets of a home with their digests.

    Raises:
        LedgerError: when the ledger cannot be read at all.
    """
    runs = ledger.runs()
    return [
        *_database(ledger),
        *_records(ledger, runs),
        *_models(ledger, runs),
        *_data_sets(ledger),
        *_orphans(ledger, runs),
    ]


def _database(ledger: Ledger) -> Iterator[Finding]:
    if ledger.engine.dialect.name != "sqlite":
        return
    with ledger.reading() as connection:
        answers = connection.execute(sa.text("PRAGMA integrity_check(5)")).scalars().all()
    for answer in answers:
        if answer != "ok":
            sentence = t("the ledger's file is damaged: {answer}", answer=answer)
            yield Finding("ledger", ledger.where, sentence)


def _records(ledger: Ledger, runs: list[RunRow]) -> Iterator[Finding]:
    finished = [run for run in runs if run.state == "finished"]
    for run_id in ledger.damaged([run.id for run in finished]):
        yield Finding("record", run_id, damage(run_id))
    for run in finished:
        if run.digest is None:
            sentence = t("written before records had digests; it cannot be judged")
            yield Finding("undigested", run.id, sentence)


def _models(ledger: Ledger, runs: list[RunRow]) -> Iterator[Finding]:
    for run in runs:
        folder = ledger.settings.runs / run.id / "model"
        listed = ledger.document(run.id, DOCUMENT) if run.state == "finished" else None
        if listed is not None and folder.is_dir():
            for sentence in differences(folder, listed):
                yield Finding("model", run.id, sentence)


def _data_sets(ledger: Ledger) -> Iterator[Finding]:
    try:
        manifests = store.manifests(ledger.settings)
    except DataError as error:
        yield Finding("data", "manifest", str(error))
        return
    for manifest in manifests:
        for version in manifest.versions:
            yield from _version(ledger, manifest.name, version)


def _version(ledger: Ledger, name: str, version: Version) -> Iterator[Finding]:
    folder = store.folder_of(name, ledger.settings) / f"v{version.number}"
    subject = f"{name}@{version.number}"
    for file, expected in version.files.items():
        path = folder / file
        if not path.is_file():
            yield Finding("data", subject, t("{file} is missing", file=file))
        elif sha256_of(path) != expected:
            yield Finding("data", subject, t("{file} was changed or damaged", file=file))


def _orphans(ledger: Ledger, runs: list[RunRow]) -> Iterator[Finding]:
    ids = {run.id for run in runs}
    for folder in sorted(ledger.settings.runs.glob("*")):
        if folder.is_dir() and folder.name not in ids:
            sentence = t("no run of this ledger has this folder; `llmrec disk --prune` removes it")
            yield Finding("orphan", folder.name, sentence)
