"""Imports for the browser: the web process never parses a stranger's bytes, a child with limits on memory and time does.

The child is this program's own command line, so a page and a terminal do exactly the same.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from llmrec_core.data.store import check_name
from llmrec_core.errors import DataError, UsageError
from llmrec_core.settings import Settings

MEMORY_BYTES = 4 << 30
LIMIT_S = 900
MAX_UPLOAD_BYTES = 200 << 20
_RUN = (
    "import sys\n"
    "try:\n"
    "    import resource\n"
    f"    resource.setrlimit(resource.RLIMIT_AS, ({MEMORY_BYTES}, {MEMORY_BYTES}))\n"
    "except ImportError:\n"
    "    pass\n"
    "from llmrec_core.cli import main\n"
    "sys.exit(main())\n"
)


def import_files(
    files: Iterable[tuple[str, bytes]], name: str, settings: Settings, flags: Sequence[str] = (), *, store: bool = True
) -> dict[str, Any]:
    """What `data import` reports about uploaded files; with `store=False` nothing is kept (`--dry-run`).

    Args:
        files: (name, content); names are only hints and never paths.
        flags: as on the command line, e.g. `["--user", "who"]`.

    Raises:
        UsageError: a bad name, or a file that cannot be decided without a flag.
        DataError: what the child says, or that it died or took too long.
    """
    check_name(name)
    with tempfile.TemporaryDirectory() as folder:
        total = 0
        for number, (label, content) in enumerate(files):
            total += len(content)
            if total > MAX_UPLOAD_BYTES:
                raise DataError(
                    f"the files are above {MAX_UPLOAD_BYTES >> 20} MiB in all; import them with: data import PATH"
                )
            (Path(folder) / safe_file_name(label, number)).write_bytes(content)
        if not total:
            raise DataError("the uploaded files are empty; expected tables with at least one row")
        path = folder if number else str(next(Path(folder).iterdir()))
        command = ["data", "import", path, "--name", name, "--json", *flags, *([] if store else ["--dry-run"])]
        return _child(command, settings)


def safe_file_name(label: str, number: int) -> str:
    """A plain file name: the last part, ASCII letters, digits, dot, dash and underscore; numbered when nothing is left.

    >>> safe_file_name("../../etc/pass wd.csv", 0), safe_file_name("…", 3)
    ('pass_wd.csv', 'file-3')
    """
    last = PurePosixPath(label.replace("\\\\", "/")).name
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", last).strip("._")[:80]
    return plain or f"file-{number}"


def _child(command: Sequence[str], settings: Settings) -> dict[str, Any]:
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, "LLMREC_HOME": str(settings.home)}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, (root, environment.get("PYTHONPATH", ""))))
    try:
        done = subprocess.run(
            [sys.executable, "-c", _RUN, *command],
            env=environment,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise DataError(
            f"the import took more than {LIMIT_S / 60:.0f} minutes; import it with: data import PATH"
        ) from error
    told = [line for line in done.stderr.splitlines() if line.strip()]
    if done.returncode == 0:
        return json.loads(done.stdout.strip().splitlines()[-1])
    if done.returncode < 0:
        raise DataError(
            f"the import was stopped by signal {-done.returncode}; the files need more than it may use, or are crafted"
        )
    kind = UsageError if done.returncode == 2 else DataError
    raise kind(told[-1] if told else f"the import ended with exit {done.returncode}")
