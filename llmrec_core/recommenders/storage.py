"""How classical recommenders are stored: one .npz of arrays, never objects, so that loading runs no code."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from llmrec_core.errors import CheckpointError

if TYPE_CHECKING:
    from llmrec_core.data.dataset import Dataset


def save_arrays(folder: Path, name: str, **arrays: np.ndarray) -> None:
    """Writes `name.npz` into `folder`: complete or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".{name}.npz.tmp"
    with temporary.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(folder / f"{name}.npz")


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
        raise CheckpointError(f"no {name}.npz in {folder}; run it again to fit it anew") from error
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
        raise CheckpointError(f"{path} is damaged ({error}); run it again to fit it anew") from error
    counts = arrays.get("counts")
    if counts is not None and len(counts) != dataset.n_items:
        raise CheckpointError(
            f"{path} was fitted on {len(counts)} items, {dataset.name!r} has {dataset.n_items}; load the data set it "
            "was fitted on"
        )
    return arrays
