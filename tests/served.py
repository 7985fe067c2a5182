"""The app as a process of its own, on a free port, over a home of a test."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import IO

from llmrec_core.installation import APP, ROOT
from llmrec_core.settings import Settings
from tests import synthetic


def free_port() -> int:
    """A port that nothing listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start_app(
    home: Path, port: int, log: int | IO[bytes] | None = subprocess.DEVNULL
) -> subprocess.Popen[bytes]:
    """Streamlit over a home; it is not up yet.

    Args:
        home: its `LLMREC_HOME`.
        port: where it will listen.
        log: takes all that it prints; `None` lets it through.
    """
    command = [sys.executable, "-m", "streamlit", "run", str(APP), "--server.port", str(port)]
    environment = {**os.environ, "LLMREC_HOME": str(home)}
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)


def study_home(home: Path, *, hostile: bool = False) -> Path:
    """The home with a finished synthetic study in it.

    Args:
        home: an empty folder.
        hostile: whether its names and titles are what an attacker would choose.
    """
    settings = Settings(home, f"sqlite:///{home / 'ledger.db'}", 30.0)
    synthetic.write_study(settings, hostile=hostile).close()
    return home
