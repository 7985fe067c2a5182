"""A diagnosis of a data set by name, kept under its content hash."""

from __future__ import annotations

from llmrec_core.checks.diagnosis.diagnose import DRAWS, diagnose
from llmrec_core.contract.steps import Progress, unnoted
from llmrec_core.data import diagnosis
from llmrec_core.data.catalogue import load_dataset
from llmrec_core.data.diagnosis import Diagnosis
from llmrec_core.settings import Settings


def diagnose_and_keep(
    name: str,
    settings: Settings,
    *,
    draws: int = DRAWS,
    progress: Progress = unnoted,
) -> Diagnosis:
    """Measure a data set and keep the result; what models remember of it stays.

    Args:
        name: `shop` or `shop@2`.
        settings: where the home is.
        draws: orders of the ties that are drawn.
        progress: called at each step.

    Raises:
        UsageError: for an unknown name.
        DataError: for a damaged data set, or one in which nobody can be asked.
    """
    dataset = load_dataset(name, settings)
    earlier = diagnosis.kept(dataset.content_hash, settings)
    measured = diagnose(dataset, draws, progress=progress)
    if earlier is not None:
        measured = measured.model_copy(update={"memorised": earlier.memorised})
    diagnosis.keep(measured, settings)
    return measured


def diagnosis_of(name: str, settings: Settings, progress: Progress = unnoted) -> Diagnosis:
    """The diagnosis that is kept of a data set; measured now where there is none.

    Args:
        name: `shop` or `shop@2`.
        settings: where the home is.
        progress: called at each step.
    """
    content_hash = load_dataset(name, settings).content_hash
    kept = diagnosis.kept(content_hash, settings)
    return kept or diagnose_and_keep(name, settings, progress=progress)


def remember_titles(
    name: str,
    model: str,
    findings: Diagnosis,
    settings: Settings,
    *,
    progress: Progress = unnoted,
) -> Diagnosis:
    """The diagnosis with what a language model knows by heart, kept too.

    Args:
        name: of the data set.
        model: a backbone, a Hugging Face id or a folder.
        findings: its diagnosis.
        settings: where the home and the backbones are.
        progress: called at each title.

    Raises:
        UnsupportedError: for an encoder, or when no title is long enough.
        UsageError: for an unknown model.
    """
    from llmrec_core.checks.diagnosis.memory import memorised

    completed = memorised(load_dataset(name, settings), model, settings, progress=progress)
    others = [entry for entry in findings.memorised if entry.model != model]
    both = findings.model_copy(update={"memorised": [*others, completed]})
    diagnosis.keep(both, settings)
    return both
