"""Imported data sets on disk: one folder a data set, one sub-folder a version, nothing ever changed in place.

    datasets/<opaque id>/dataset.json       name, and per version: hash, counts, what was found, the cleaning report
    datasets/<opaque id>/v1/*.parquet       interactions (codes), items, users and other tables

The folder's name is a hash of the data set's name, so no name can point outside. Version 1 is what was imported; a
cleaned one is version 2 and so on. A version appears by one rename, complete or not at all.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import tempfile
import time
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import pandas as pd

from llmrec_core.data.dataset import Dataset
from llmrec_core.errors import DataError, UsageError
from llmrec_core.settings import Settings
from llmrec_core.types import Columns

BUILT_IN = ("ml-100k",)
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


def check_name(name: str) -> str:
    """The name itself when it may be used for a data set.

    Raises:
        UsageError: for anything but a short lower-case name.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"data set name {name[:80]!r}; expected 1 to 63 of a–z, 0–9, '.', '_' and '-', beginning with a letter "
            "or digit, e.g. my-shop"
        )
    if name in BUILT_IN:
        raise UsageError(f"{name!r} is built in; choose another name")
    return name


def folder_of(name: str, settings: Settings) -> Path:
    """Where a data set lies, whether or not it exists."""
    return settings.datasets / hashlib.sha256(name.encode()).hexdigest()[:16]


def manifests(settings: Settings) -> list[dict[str, Any]]:
    """The manifests of all imported data sets, by name."""
    found = []
    for path in settings.datasets.glob("*/dataset.json"):
        try:
            found.append(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            raise DataError(f"{path} is damaged ({error}); delete its folder and import the data again") from error
    return sorted(found, key=lambda manifest: manifest["name"])


def manifest(name: str, settings: Settings) -> dict[str, Any]:
    """The manifest of a data set.

    Raises:
        UsageError: for an unknown name, with the nearest.
    """
    path = folder_of(name, settings) / "dataset.json"
    if not path.is_file():
        known = [*BUILT_IN, *(found["name"] for found in manifests(settings))]
        near = get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known)}"
        raise UsageError(f"no data set {name[:80]!r}; {hint} Import one with: data import PATH --name NAME")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{path} is damaged ({error}); delete its folder and import the data again") from error


def load(name: str, settings: Settings) -> Dataset:
    """A stored data set, its newest version; `name@1` is version 1.

    Raises:
        UsageError: for an unknown name or version.
        DataError: when a file is missing or is not the one that was written.
    """
    base, _, number = name.partition("@")
    found = manifest(base, settings)
    versions = {str(version["number"]): version for version in found["versions"]}
    version = versions.get(number or str(found["versions"][-1]["number"]))
    if not version:
        raise UsageError(f"{base!r} has no version {number!r}; there are {', '.join(versions)}")
    folder = folder_of(base, settings) / f"v{version['number']}"
    tables = {}
    for file, expected in version["files"].items():
        try:
            with (folder / file).open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError as error:
            raise DataError(f"data set {name!r}: {file} cannot be read ({error.strerror}); import it again") from error
        if digest != expected:
            raise DataError(f"data set {name!r}: {file} was changed or damaged since it was written; import it again")
        tables[file.removesuffix(".parquet")] = pd.read_parquet(folder / file)
    items = tables.pop("items")
    items[Columns.YEAR] = items[Columns.YEAR].astype("Int32")
    return Dataset(
        name,
        tables.pop("interactions"),
        items,
        tables.pop("users"),
        version["content_hash"],
        found["title"],
        found["source"],
        version["order"],
        tables,
    )


def save(
    dataset: Dataset, settings: Settings, *, note: str, tables: list[dict[str, Any]] | None = None, report: Any = None
) -> dict[str, Any]:
    """Writes a new version (the first one makes the data set) and returns its manifest entry.

    Raises:
        DataError: when the disk is full or cannot be written; what was stored before is as it was.
    """
    name = check_name(dataset.name.partition("@")[0])
    folder = folder_of(name, settings)
    temporary: Path | None = None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "dataset.json"
        found: dict[str, Any] = (
            json.loads(path.read_text(encoding="utf-8"))
            if path.is_file()
            else {
                "name": name,
                "title": dataset.title,
                "source": dataset.source,
                "created": time.time(),
                "versions": [],
            }
        )
        number = 1 + max((version["number"] for version in found["versions"]), default=0)
        temporary = Path(tempfile.mkdtemp(prefix=f".v{number}-", dir=folder))
        frames = {
            "interactions": dataset.interactions,
            "items": dataset.items,
            "users": dataset.users,
            **dataset.extras,
        }
        files = {f"{key}.parquet": _write(frame, temporary / f"{key}.parquet") for key, frame in frames.items()}
        entry = {
            "number": number,
            "content_hash": dataset.content_hash,
            "created": time.time(),
            "note": note,
            "users": dataset.n_users,
            "items": dataset.n_items,
            "interactions": len(dataset.interactions),
            "order": dataset.order,
            "tables": tables or [],
            "report": report,
            "files": files,
        }
        target = folder / f"v{number}"
        shutil.rmtree(target, ignore_errors=True)  # left by a process that died between the rename and the manifest
        temporary.rename(target)
        found["versions"].append(entry)
        _replace(path, json.dumps(found, indent=1, default=str))
        return entry
    except OSError as error:
        reason = "the disk is full" if error.errno == errno.ENOSPC else str(error)
        raise DataError(
            f"cannot store data set {name!r}: {reason}; free space or set LLMREC_HOME to another folder"
        ) from error
    finally:
        if temporary:
            shutil.rmtree(temporary, ignore_errors=True)
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def delete(name: str, settings: Settings) -> None:
    """Removes a data set with all its versions; runs that used it stay in the ledger."""
    manifest(name, settings)
    folder = folder_of(name, settings)
    # Renamed first: a reader sees the data set whole or not at all.
    grave = folder.with_name(f".deleted-{folder.name}-{os.getpid()}")
    folder.rename(grave)
    shutil.rmtree(grave)


def _write(frame: pd.DataFrame, path: Path) -> str:
    frame.to_parquet(path, index=False)
    with path.open("rb") as file:
        os.fsync(file.fileno())
        return hashlib.file_digest(file, "sha256").hexdigest()


def _replace(path: Path, text: str) -> None:
    temporary = path.with_suffix(".tmp")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
