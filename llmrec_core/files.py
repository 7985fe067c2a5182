"""Files that are complete or not there, their digests, and TOML with a sentence when it is not."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from llmrec_core.errors import UsageError
from llmrec_core.language import t

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""Beginnings of a cell that a spreadsheet takes for a formula (OWASP's list)."""


def write_atomic(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Have `write` fill a file that appears under its name whole, even after a loss of power.

    The folder is made when it is missing. The temporary file stands beside the last one, so that
    the renaming stays within one file system.

    Args:
        path: the file's last name; an earlier file of that name is replaced. A device or a pipe,
            e.g. `/dev/stdout`, is written to as it is.
        write: gets the open temporary file.
    """
    if path.exists() and not path.is_file():
        with path.open("wb") as stream:
            write(stream)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a whole file at once; see `write_atomic`."""
    write_atomic(path, lambda file: file.write(content))


def write_text(path: Path, text: str) -> None:
    """Write a whole file of UTF-8 text; see `write_atomic`."""
    write_bytes(path, text.encode())


def write_json(path: Path, body: object, *, indent: int | None = None) -> None:
    """Write a whole JSON document, its letters as they are; see `write_atomic`."""
    write_text(path, json.dumps(body, ensure_ascii=False, indent=indent))


def safe_cell(value: object) -> object:
    """Return a cell that no spreadsheet takes for a formula; numbers are left alone.

    >>> safe_cell("=1+1"), safe_cell("-0.5"), safe_cell(-0.5), safe_cell("-a")
    ("'=1+1", '-0.5', -0.5, "'-a")
    """
    if isinstance(value, str) and value.startswith(FORMULA_STARTS) and not _is_number(value):
        return "'" + value
    return value


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def write_csv(path: Path, columns: Sequence[str], lines: Iterable[Mapping[str, object]]) -> None:
    """Write a whole CSV in UTF-8, whose text no spreadsheet takes for a formula.

    Args:
        path: see `write_atomic`.
        columns: their heads, in order.
        lines: one cell a column; a missing one or `None` is empty, and others are left out.
    """

    def write(file: IO[bytes]) -> None:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([safe_cell(column) for column in columns])
        writer.writerows([safe_cell(line.get(column)) for column in columns] for line in lines)
        text.detach()  # the file is closed by whoever opened it

    write_atomic(path, write)


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_toml(path: Path) -> dict[str, Any]:
    """The table of a TOML file.

    Raises:
        UsageError: when there is no such file, or it cannot be read as TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UsageError(
            t("there is no file {path}; give the path of a TOML file", path=path)
        ) from error
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(
            t("{path} cannot be read as TOML: {error}", path=path, error=error)
        ) from error
