"""Imports in a child process: neither web nor command line parses a stranger's bytes itself."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from llmrec_core.data.importing.described_table import Options
from llmrec_core.data.importing.limits import MEMORY_BYTES
from llmrec_core.data.importing.request import ImportOutcome, ImportRequest
from llmrec_core.data.store import check_name
from llmrec_core.data.text import printable
from llmrec_core.errors import DataError, UsageError
from llmrec_core.installation import IMPORT_PATH
from llmrec_core.language import t
from llmrec_core.settings import Settings

LIMIT_S = 900
MAX_UPLOAD_BYTES = 200 << 20
CHILD = "llmrec_core.data.importing.child"


def run_import(request: ImportRequest, settings: Settings) -> ImportOutcome:
    """Do an import in a child with bounded memory and time.

    What a person must settle comes back as the outcome's problems; nothing is stored then.

    Args:
        request: what to import and how.
        settings: where the home is.

    Raises:
        DataError: what the child refuses, or that it died or took too long.
        UsageError: for a bad name or path.
    """
    check_name(request.name)
    environment = {**os.environ, "LLMREC_HOME": str(settings.home), "OMP_NUM_THREADS": "1"}
    environment["PYTHONPATH"] = os.pathsep.join(
        filter(None, (str(IMPORT_PATH), environment.get("PYTHONPATH", "")))
    )
    try:
        done = subprocess.run(
            [sys.executable, "-m", CHILD],
            input=request.model_dump_json(),
            env=environment,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise DataError(
            t("the import took more than {minutes:.0f} minutes", minutes=LIMIT_S / 60)
        ) from error
    if done.returncode:
        raise DataError(_death(done))
    answer = json.loads(done.stdout.strip().splitlines()[-1])
    if "error" in answer:
        kind = UsageError if answer["error"]["exit_code"] == UsageError.exit_code else DataError
        raise kind(answer["error"]["sentence"])
    return ImportOutcome.model_validate(answer)


def import_files(
    files: Iterable[tuple[str, bytes]],
    name: str,
    settings: Settings,
    options: Options | None = None,
    *,
    store: bool = True,
) -> ImportOutcome:
    """Import uploaded files.

    Args:
        files: name and content of each; names are only hints and never paths.
        name: of the data set.
        settings: where the home is.
        options: what a person has fixed.
        store: False looks at everything and stores nothing.

    Raises:
        DataError: when the files are empty, too large or no tables, or the child died.
        UsageError: for a bad name.
    """
    check_name(name)
    with tempfile.TemporaryDirectory() as folder:
        paths = _written(files, Path(folder))
        request = ImportRequest(
            path=str(paths[0]) if len(paths) == 1 else folder,
            name=name,
            source=", ".join(file.name for file in paths)[:400],
            options=options or Options(),
            store=store,
        )
        return run_import(request, settings)


def safe_file_name(label: str, number: int) -> str:
    """A plain file name, numbered when nothing is left of it.

    Args:
        label: as uploaded; its last part is kept, as ASCII letters, digits, dot, dash, underscore.
        number: of the file.

    >>> safe_file_name("../../etc/pass wd.csv", 0), safe_file_name("…", 3)
    ('pass_wd.csv', 'file-3')
    """
    last = PurePosixPath(label.replace("\\\\", "/")).name
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", last).strip("._")[:80]
    return plain or f"file-{number}"


def _written(files: Iterable[tuple[str, bytes]], folder: Path) -> list[Path]:
    """The uploaded files in a folder, each under a name of its own."""
    total, paths = 0, []
    for number, (label, content) in enumerate(files):
        total += len(content)
        if total > MAX_UPLOAD_BYTES:
            raise DataError(
                t(
                    "the files are above {mebibytes} MiB in all; import them from the command "
                    "line with: data import PATH",
                    mebibytes=MAX_UPLOAD_BYTES >> 20,
                )
            )
        path = folder / safe_file_name(label, number)
        if path.exists():
            path = folder / f"{number}-{path.name}"
        path.write_bytes(content)
        paths.append(path)
    if not total:
        raise DataError(t("the uploaded files are empty; expected tables with at least one row"))
    return paths


def _death(done: subprocess.CompletedProcess[str]) -> str:
    """What a child died of, in a sentence."""
    if done.returncode == -signal.SIGXCPU:
        return t(
            "the import took more processor time than it may; the files are too large or crafted"
        )
    if done.returncode < 0:
        return t(
            "the import was stopped by signal {number}; the files need more than the {gibibytes} "
            "GiB it may use, or are crafted",
            number=-done.returncode,
            gibibytes=MEMORY_BYTES >> 30,
        )
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    last = printable(lines[-1], 200) if lines else ""
    if last.startswith("MemoryError"):
        return t(
            "the import needs more than the {gibibytes} GiB it may use; import a part of the data",
            gibibytes=MEMORY_BYTES >> 30,
        )
    return t("the import ended with exit {code}: {last}", code=done.returncode, last=last)
