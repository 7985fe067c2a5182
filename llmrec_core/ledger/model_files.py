"""The files of a run's model: every one named in the record with its size and SHA-256.

A damaged file of vectors loads without an error and scores nonsense; it is compared with the record
before anything is read from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from llmrec_core.errors import CheckpointError
from llmrec_core.files import sha256_of
from llmrec_core.language import t
from llmrec_core.ledger.json_values import Json

DOCUMENT = "files"
"""Name of the document that lists them."""


def files_of(folder: Path) -> dict[str, dict[str, Json]]:
    """Return every file below a model folder with its size in bytes and SHA-256, by path."""
    return {
        path.relative_to(folder).as_posix(): {
            "bytes": path.stat().st_size,
            "sha256": sha256_of(path),
        }
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def differences(folder: Path, listed: Mapping[str, Mapping[str, Json]]) -> list[str]:
    """Return a sentence for each file that is missing, changed, or not in the list.

    Args:
        folder: the model's folder.
        listed: what `files_of` returned when the run finished.
    """
    there = files_of(folder)
    sentences = [t("{path} is missing", path=path) for path in sorted(listed.keys() - there.keys())]
    sentences += [
        t("{path} is not part of the model that was saved", path=path)
        for path in sorted(there.keys() - listed.keys())
    ]
    sentences += [
        t("{path} was changed or damaged since it was saved", path=path)
        for path in sorted(there.keys() & listed.keys())
        if there[path] != listed[path]
    ]
    return sentences


def require_intact(folder: Path, listed: Mapping[str, Mapping[str, Json]] | None) -> None:
    """Refuse a model whose files are not the ones that were saved.

    Args:
        folder: the model's folder.
        listed: the run's document `files`; `None` for runs of version 0.1, which are not judged.

    Raises:
        CheckpointError: with the first difference.
    """
    if listed is None:
        return
    sentences = differences(folder, listed)
    if sentences:
        raise CheckpointError(
            t(
                "the model in {folder} is damaged: {what}. Restore the folder, or queue the run "
                "again",
                folder=folder,
                what="; ".join(sentences[:3]),
            )
        )
