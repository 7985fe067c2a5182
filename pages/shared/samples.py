"""The recorded studies that the product ships, each in a ledger of its own: `HOME/sample-….db`.

A study is imported once into a home, when it is opened first.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import streamlit as st

from llmrec_core.errors import UsageError
from llmrec_core.installation import ASSETS
from llmrec_core.language import t
from llmrec_core.ledger.ledger import Ledger
from llmrec_core.settings import load_settings

DEFAULT_FILE = ASSETS / "sample" / "study.json"
FILES = (
    DEFAULT_FILE,
    *sorted(path for path in DEFAULT_FILE.parent.glob("*.json") if path != DEFAULT_FILE),
)
"""The default study first: it is shown where somebody has no study of their own."""


@dataclass(frozen=True)
class Sample:
    """A recorded study as its file names it."""

    name: str
    title: str
    file: Path
    digest: str
    """Of the file's content: a changed file is imported anew."""


@lru_cache(maxsize=16)
def _sample(file: Path, changed_ns: int) -> Sample:
    """What a file holds; read again when it has changed."""
    body = file.read_bytes()
    study = json.loads(body)["study"]
    digest = hashlib.sha256(body).hexdigest()[:12]
    return Sample(study["name"], study["title"] or study["name"], file, digest)


def samples() -> list[Sample]:
    """Return the recorded studies of this installation, the default study first."""
    return [_sample(file, file.stat().st_mtime_ns) for file in FILES if file.exists()]


@st.cache_resource(show_spinner=False)
def _open(home: str, name: str, digest: str) -> Ledger:
    target = Path(home) / f"sample-{digest}.db"
    ledger = Ledger.open(dataclasses.replace(load_settings(), ledger_url=f"sqlite:///{target}"))
    if not ledger.studies():
        file = next(sample.file for sample in samples() if sample.name == name)
        ledger.import_study(json.loads(file.read_text(encoding="utf-8")))
    return ledger


def ledger_of(name: str) -> Ledger:
    """Return the ledger that holds a recorded study.

    Raises:
        UsageError: where this installation has no such study.
    """
    for sample in samples():
        if sample.name == name:
            with st.spinner(t("Opening the recorded sample study")):
                return _open(str(load_settings().home), name, sample.digest)
    raise UsageError(t("the recorded study {name!r} is not part of this installation", name=name))
