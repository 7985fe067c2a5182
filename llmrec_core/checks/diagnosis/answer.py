"""A diagnosis of a data set by name, kept under its content hash."""

from __future__ import annotations

from llmrec_core.checks.diagnosis.diagnose import DRAWS, diagnose
from llmrec_core.data import diagnosis
from llmrec_core.data.catalogue import load_dataset
from llmrec_core.data.diagnosis import Diagnosis, Progress
from llmrec_core.settings import Settings


def diagnose_and_keep(
    name: str,
    settings: Settings,
    *,
    draws: int = DRAWS,
    progress: Progress | None = None,
) -> Diagnosis:
    """Measure a data set and keep the result; what models remember of it stays.

    Args:
        name: `shop` or `shop@2`.
        settings: where the home is.
        draws: orders of the ties that are drawn.
        progress: called at each step, which is kept for pages too.

    Raises:
        UsageError: for an unknown name.
        DataError: for a damaged data set, or one in which nobody can be asked.
    """
    dataset = load_dataset(name, settings)
    earlier = diagnosis.kept(dataset.content_hash, settings)
    with diagnosis.noting_steps(dataset.content_hash, settings, progress) as note:
        measured = diagnose(dataset, draws, progress=note)
    if earlier is not None:
        measured = measured.model_copy(update={"memorised": earlier.memorised})
    diagnosis.keep(measured, settings)
    return measured


def diagnosis_of(name: str, settings: Settings) -> Diagnosis:
    """The diagnosis that is kept of a data set; measured now where there is none.

    Args:
        name: `shop` or `shop@2`.
        settings: where the home is.
    """
    content_hash = load_dataset(name, settings).content_hash
    return diagnosis.kept(content_hash, settings) or diagnose_and_keep(name, settings)


def remember_titles(
    name: str,
    model: str,
    findings: Diagnosis,
    settings: Settings,
    *,
    progress: Progress | None = None,
) -> Diagnosis:
    """The diagnosis with what a language model knows by heart, kept too.

    Args:
        name: of the data set.
        model: a backbone, a Hugging Face id or a folder.
        findings: its diagnosis.
        settings: where the home and the backbones are.
        progress: called at each title, which is kept for pages too.

    Raises:
        UnsupportedError: for an encoder, or when no title is long enough.
        UsageError: for an unknown model.
    """
    from llmrec_core.checks.diagnosis.memory import memorised

    with diagnosis.noting_steps(findings.content_hash, settings, progress) as note:
        completed = memorised(load_dataset(name, settings), model, settings, progress=note)
    others = [entry for entry in findings.memorised if entry.model != model]
    both = findings.model_copy(update={"memorised": [*others, completed]})
    diagnosis.keep(both, settings)
    return both
