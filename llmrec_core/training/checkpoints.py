"""Checkpoints that survive a crash and hold no code.

Weights and optimiser state are safetensors, the rest is JSON. A folder is complete only when its
manifest, which is written last, names every file with its SHA-256; the previous checkpoint is
removed only after that. Hashes are checked before anything is read, since a flipped byte in a
safetensors file loads silently.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor

from llmrec_core.errors import CheckpointError
from llmrec_core.files import sha256_of, sync_folder
from llmrec_core.language import t

MANIFEST = "manifest.json"


def write_folder(
    folder: Path, tensors: dict[str, dict[str, Tensor]], state: dict[str, Any]
) -> None:
    """Write a complete folder, or leave nothing behind.

    Args:
        folder: an earlier folder of that name is replaced.
        tensors: named tensors by the stem of their file.
        state: what JSON can hold.

    Raises:
        CheckpointError: when the disk is full or the folder cannot be written; what was stored
            before stays.
    """
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        for stem, named in tensors.items():
            save_file(
                {name: value.detach().contiguous().clone() for name, value in named.items()},
                partial / f"{stem}.safetensors",
            )
        (partial / "state.json").write_text(json.dumps(state), encoding="utf-8")
        manifest = {path.name: sha256_of(path) for path in sorted(partial.iterdir())}
        (partial / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
        for path in partial.iterdir():
            _sync(path)
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
        sync_folder(folder.parent)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise CheckpointError(
            t(
                "checkpoint {folder} could not be written ({error}); free some disk and resume "
                "the run",
                folder=folder,
                error=error,
            )
        ) from error


def verify_folder(folder: Path) -> None:
    """Check that the manifest names every file that is read, and each file against it.

    Raises:
        CheckpointError: when the manifest or a file is missing, not named, or differs.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(
            t(
                "{folder} has no readable {manifest}: it is incomplete; train again or restore it",
                folder=folder,
                manifest=MANIFEST,
            )
        ) from error
    read = {"state.json", *(path.name for path in folder.glob("*.safetensors"))}
    if not isinstance(manifest, dict) or not read <= manifest.keys():
        raise CheckpointError(
            t(
                "{folder}: its {manifest} does not name every file; train again or restore it",
                folder=folder,
                manifest=MANIFEST,
            )
        )
    for name, expected in manifest.items():
        path = folder / name
        if not path.is_file() or sha256_of(path) != expected:
            raise CheckpointError(
                t(
                    "{path} is missing or differs from its manifest: damaged; train again or "
                    "restore it",
                    path=path,
                )
            )


def read_folder(folder: Path) -> tuple[dict[str, dict[str, Tensor]], dict[str, Any]]:
    """The tensors and state written by `write_folder`, after verification.

    Raises:
        CheckpointError: as `verify_folder`.
    """
    verify_folder(folder)
    tensors = {path.stem: load_file(path) for path in folder.glob("*.safetensors")}
    return tensors, json.loads((folder / "state.json").read_text(encoding="utf-8"))


def by_step(root: Path) -> list[Path]:
    """The checkpoints `step-N` under `root`, complete or not, the oldest first."""
    return sorted(root.glob("step-*[0-9]"), key=lambda path: int(path.name.split("-")[1]))


def latest(root: Path, passed_over: list[str] | None = None) -> Path | None:
    """The newest checkpoint under `root` that is whole; None when there is none.

    Args:
        root: holds the checkpoints.
        passed_over: gets the sentence about each damaged one that was passed over for the one
            before it.
    """
    for folder in reversed(by_step(root)):
        try:
            verify_folder(folder)
        except CheckpointError as error:
            if passed_over is not None:
                passed_over.append(str(error))
            continue
        return folder
    return None


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
