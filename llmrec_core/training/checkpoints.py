"""Checkpoints that survive a crash and hold no code.

Weights and optimiser state are safetensors, the rest is JSON. A folder is complete only when its manifest, written
last, names every file with its SHA-256; the previous checkpoint is removed only after that. (A flipped byte in a
safetensors file loads silently, so hashes are checked before anything is read.)
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor

from llmrec_core.errors import CheckpointError

MANIFEST = "manifest.json"


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_folder(folder: Path, tensors: dict[str, dict[str, Tensor]], state: dict[str, Any]) -> None:
    """Write `tensors` (file stem → named tensors) and `state` as a complete folder, or leave nothing behind.

    Raises:
        CheckpointError: when the disk is full or the folder cannot be written; what was stored before stays.
    """
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        for stem, named in tensors.items():
            save_file({k: v.detach().contiguous().clone() for k, v in named.items()}, partial / f"{stem}.safetensors")
        (partial / "state.json").write_text(json.dumps(state), encoding="utf-8")
        for path in partial.iterdir():
            _sync(path)
        manifest = {path.name: _digest(path) for path in sorted(partial.iterdir())}
        (partial / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
        _sync(partial / MANIFEST)
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
        _sync(folder.parent)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise CheckpointError(
            f"checkpoint {folder} could not be written ({error}); free some disk and resume the run"
        ) from error


def verify_folder(folder: Path) -> None:
    """Check every file against the manifest.

    Raises:
        CheckpointError: when the manifest or a file is missing or differs.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{folder} has no readable {MANIFEST}: it is incomplete; train again or restore it"
        ) from error
    for name, expected in manifest.items():
        path = folder / name
        if not path.is_file() or _digest(path) != expected:
            raise CheckpointError(f"{path} is missing or differs from its manifest: damaged; train again or restore it")


def read_folder(folder: Path) -> tuple[dict[str, dict[str, Tensor]], dict[str, Any]]:
    """The tensors and state written by `write_folder`, after verification.

    Raises:
        CheckpointError: as `verify_folder`.
    """
    verify_folder(folder)
    tensors = {path.stem: load_file(path) for path in folder.glob("*.safetensors")}
    return tensors, json.loads((folder / "state.json").read_text(encoding="utf-8"))


def latest(root: Path) -> Path | None:
    """The newest verified checkpoint `step-N` under `root`; a damaged one is passed over for the one before it."""
    for folder in sorted(root.glob("step-*[0-9]"), key=lambda p: int(p.name.split("-")[1]), reverse=True):
        try:
            verify_folder(folder)
        except CheckpointError:
            continue
        return folder
    return None
