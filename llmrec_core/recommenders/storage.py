"""How classical recommenders are stored: arrays, never objects, so that loading runs no code."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from llmrec_core.errors import CheckpointError
from llmrec_core.files import write_atomic
from llmrec_core.language import t

if TYPE_CHECKING:
    from llmrec_core.data.dataset import Dataset


def save_arrays(folder: Path, name: str, **arrays: np.ndarray) -> None:
    """Write `name.npz` into `folder`: complete or not at all."""
    write_atomic(folder / f"{name}.npz", lambda file: np.savez(file, allow_pickle=False, **arrays))


def load_arrays(folder: Path, name: str, dataset: Dataset) -> dict[str, np.ndarray]:
    """The arrays of `name.npz`.

    Raises:
        CheckpointError: when the file is missing, damaged, or was fitted on another catalogue.
    """
    path = folder / f"{name}.npz"
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {key: stored[key] for key in stored.files}
    except FileNotFoundError as error:
        raise CheckpointError(
            t("no {name}.npz in {folder}; run it again to fit it anew", name=name, folder=folder)
        ) from error
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
        raise CheckpointError(
            t("{path} is damaged ({error}); run it again to fit it anew", path=path, error=error)
        ) from error
    counts = arrays.get("counts")
    if counts is not None and len(counts) != dataset.n_items:
        raise CheckpointError(
            t(
                "{path} was fitted on {n_counts} items, {name!r} has {n_items}; load the data "
                "set it was fitted on",
                path=path,
                n_counts=len(counts),
                name=dataset.name,
                n_items=dataset.n_items,
            )
        )
    return arrays
