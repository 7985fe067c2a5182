"""Imported data sets on disk: a folder for each, a sub-folder a version, nothing changed in place.

    datasets/<opaque id>/dataset.json    name, and per version: hash, counts, evidence, report
    datasets/<opaque id>/v1/*.parquet    interactions (codes), items, users and other tables

The folder's name is a hash of the data set's name, so no name can point outside. Version 1 is what
was imported; a cleaned one is version 2 and so on. A version appears by one rename, complete or not
at all. Numbering, rename and manifest happen under one lock a data set, so imports at the same time
each get a version of their own.
"""

from __future__ import annotations

import errno
import hashlib
import re
import shutil
import tempfile
import time
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import pandas as pd
from filelock import FileLock, Timeout

from llmrec_core.data.dataset import Dataset
from llmrec_core.data.manifest import Manifest, Version, read_manifest
from llmrec_core.errors import DataError, UsageError
from llmrec_core.files import sha256_of, write_atomic, write_text
from llmrec_core.language import t
from llmrec_core.settings import Settings
from llmrec_core.types import Columns

BUILT_IN = ("ml-100k",)
LOCK_S = 60.0
"""How long a save waits for another one; the lock is held for a rename and a small write."""
ABANDONED_S = 86_400.0
"""Unfinished folders older than this belong to processes that died."""
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
UNFINISHED = ".new-"
"""How the names of unfinished folders begin."""


def check_name(name: str) -> str:
    """The name itself when it may be used for a data set.

    Raises:
        UsageError: for anything but a short lower-case name.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            t(
                "data set name {name!r}; expected 1 to 63 of a–z, 0–9, '.', '_' and '-', "
                "beginning with a letter or digit, e.g. my-shop",
                name=name[:80],
            )
        )
    if name in BUILT_IN:
        raise UsageError(t("{name!r} is built in; choose another name", name=name))
    return name


def folder_of(name: str, settings: Settings) -> Path:
    """Where a data set lies, whether or not it exists."""
    return settings.datasets / hashlib.sha256(name.encode()).hexdigest()[:16]


def manifests(settings: Settings) -> list[Manifest]:
    """All stored data sets, by name.

    Raises:
        DataError: when a manifest is damaged.
    """
    paths = settings.datasets.glob("*/dataset.json")
    return sorted(map(read_manifest, paths), key=lambda manifest: manifest.name)


def manifest(name: str, settings: Settings) -> Manifest:
    """The manifest of a data set.

    Raises:
        UsageError: for an unknown name, with the nearest.
        DataError: when it is damaged.
    """
    path = folder_of(name, settings) / "dataset.json"
    if path.is_file():
        return read_manifest(path)
    names = [*BUILT_IN, *(stored.name for stored in manifests(settings))]
    near = get_close_matches(name, names, n=1)
    hint = (
        t("did you mean {near!r}?", near=near[0])
        if near
        else t("there are: {names}", names=", ".join(names))
    )
    raise UsageError(
        t(
            "no data set {name!r}; {hint} Import one with: data import PATH --name NAME",
            name=name[:80],
            hint=hint,
        )
    )


def version_of(name: str, settings: Settings, content_hash: str = "") -> tuple[Manifest, Version]:
    """The data set and the version that `name` means.

    Args:
        name: `shop` is the newest version, `shop@2` the second.
        settings: where the home is.
        content_hash: when given with a bare name, the newest version with this content.

    Raises:
        UsageError: for an unknown name, version or content.
    """
    base, _, number = name.partition("@")
    stored = manifest(base, settings)
    if content_hash and not number:
        fitting = [
            entry
            for entry in stored.versions
            if content_hash in (entry.content_hash, *entry.formerly)
        ]
        if not fitting:
            raise UsageError(
                t(
                    "{base!r} has no version with content {content_hash}; there are {versions}",
                    base=base,
                    content_hash=content_hash,
                    versions=", ".join(entry.content_hash for entry in stored.versions),
                )
            )
        return stored, fitting[-1]
    by_number = {str(entry.number): entry for entry in stored.versions}
    if number and number not in by_number:
        raise UsageError(
            t(
                "{base!r} has no version {number!r}; there are {versions}",
                base=base,
                number=number[:20],
                versions=", ".join(by_number),
            )
        )
    return stored, by_number[number] if number else stored.newest


def load(name: str, settings: Settings, content_hash: str = "") -> Dataset:
    """A stored data set: its newest version, `name@1`, or the version with that content.

    Raises:
        UsageError: for an unknown name, version or content.
        DataError: when a file is missing or is not the one that was written.
    """
    stored, version = version_of(name, settings, content_hash)
    folder = folder_of(stored.name, settings) / f"v{version.number}"
    tables = {
        file.removesuffix(".parquet"): _read_table(folder / file, digest, name)
        for file, digest in version.files.items()
    }
    items = tables.pop("items")
    items[Columns.YEAR] = items[Columns.YEAR].astype("Int32")
    return Dataset(
        name,
        tables.pop("interactions"),
        items,
        tables.pop("users"),
        version.content_hash,
        stored.title,
        stored.source,
        version.order,
        tables,
    )


def save(
    dataset: Dataset,
    settings: Settings,
    *,
    note: str,
    tables: list[dict[str, Any]] | None = None,
    report: dict[str, Any] | None = None,
) -> Version:
    """Write a new version; the first one makes the data set.

    Args:
        dataset: what is stored, under its own name.
        settings: where the home is.
        note: how the version came about, for people.
        tables: evidence of the import.
        report: the cleaning report.

    Raises:
        DataError: when the disk is full or cannot be written; what was stored before is as it was.
    """
    name = check_name(dataset.name.partition("@")[0])
    unfinished: Path | None = None
    try:
        settings.datasets.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(settings)
        unfinished = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=settings.datasets))
        files = write_tables(dataset, unfinished)
        with lock(name, settings):
            return _publish(
                dataset, name, settings, unfinished, files, note=note, tables=tables, report=report
            )
    except Timeout as error:
        raise DataError(
            t(
                "another process has been storing data set {name!r} for {LOCK_S:.0f} s; try again",
                name=name,
                LOCK_S=LOCK_S,
            )
        ) from error
    except OSError as error:
        reason = t("the disk is full") if error.errno == errno.ENOSPC else str(error)
        raise DataError(
            t(
                "cannot store data set {name!r}: {reason}; free space or set LLMREC_HOME to "
                "another folder",
                name=name,
                reason=reason,
            )
        ) from error
    finally:
        if unfinished:
            shutil.rmtree(unfinished, ignore_errors=True)


def delete(name: str, settings: Settings) -> None:
    """Remove a data set with all its versions; runs that used it stay in the ledger.

    Raises:
        UsageError: for an unknown name.
    """
    manifest(name, settings)
    folder = folder_of(name, settings)
    with lock(name, settings):
        # It is renamed first, so that a reader sees the data set whole or not at all.
        grave = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=settings.datasets))
        folder.rename(grave / folder.name)
    shutil.rmtree(grave)


def lock(name: str, settings: Settings) -> FileLock:
    """Return the lock of one data set; the system releases it when its holder dies."""
    folder = settings.home / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    return FileLock(folder / f"dataset-{folder_of(name, settings).name}.lock", timeout=LOCK_S)


def _publish(
    dataset: Dataset,
    name: str,
    settings: Settings,
    unfinished: Path,
    files: dict[str, str],
    *,
    note: str,
    tables: list[dict[str, Any]] | None,
    report: dict[str, Any] | None,
) -> Version:
    """Give the written tables a number and make them visible; the caller holds the lock."""
    folder = folder_of(name, settings)
    path = folder / "dataset.json"
    before = read_manifest(path) if path.is_file() else None
    versions = before.versions if before else []
    version = Version(
        number=1 + max((entry.number for entry in versions), default=0),
        content_hash=dataset.content_hash,
        created=time.time(),
        note=note,
        users=dataset.n_users,
        items=dataset.n_items,
        interactions=len(dataset.interactions),
        order=dataset.order,
        tables=tables or [],
        report=report,
        files=files,
    )
    after = Manifest(
        name=name,
        title=before.title if before else dataset.title,
        source=before.source if before else dataset.source,
        created=before.created if before else time.time(),
        versions=[*versions, version],
    )
    folder.mkdir(exist_ok=True)
    target = folder / f"v{version.number}"
    # A process may have died between the rename and the manifest: what it left is in nobody's list.
    shutil.rmtree(target, ignore_errors=True)
    unfinished.rename(target)
    write_text(path, after.model_dump_json(indent=1))
    return version


def _remove_abandoned(settings: Settings) -> None:
    """Delete unfinished folders of processes that died more than a day ago."""
    for folder in settings.datasets.glob(f"{UNFINISHED}*"):
        try:
            if time.time() - folder.stat().st_mtime > ABANDONED_S:
                shutil.rmtree(folder, ignore_errors=True)
        except FileNotFoundError:  # its owner finished just now
            continue


def _read_table(path: Path, digest: str, name: str) -> pd.DataFrame:
    try:
        actual = sha256_of(path)
    except OSError as error:
        raise DataError(
            t(
                "data set {name!r}: {file} cannot be read ({strerror}); import it again",
                name=name,
                file=path.name,
                strerror=error.strerror,
            )
        ) from error
    if actual != digest:
        raise DataError(
            t(
                "data set {name!r}: {file} was changed or damaged since it was written; import "
                "it again",
                name=name,
                file=path.name,
            )
        )
    return pd.read_parquet(path)


def write_tables(dataset: Dataset, folder: Path) -> dict[str, str]:
    """Write every table into `folder`; returns file name → sha256."""
    frames: Mapping[str, pd.DataFrame] = {
        "interactions": dataset.interactions,
        "items": dataset.items,
        "users": dataset.users,
        **dataset.extras,
    }
    return {
        f"{key}.parquet": _write(frame, folder / f"{key}.parquet") for key, frame in frames.items()
    }


def _write(frame: pd.DataFrame, path: Path) -> str:
    write_atomic(path, lambda file: frame.to_parquet(file, index=False))
    return sha256_of(path)
