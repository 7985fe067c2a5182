"""Worker and web together, started and stopped as one."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType

from llmrec_core.errors import RunFailed, UsageError
from llmrec_core.experiments.ledger import Ledger
from llmrec_core.experiments.worker import GRACE_S, live_worker
from llmrec_core.settings import Settings

APP = Path(__file__).parents[2] / "app.py"
PORT = 8501
HOST = "127.0.0.1"  # nobody else on the network can reach it
READY_S = 60.0
WARM_S = 30.0


def check_port(port: int) -> None:
    """Raise unless the web may listen there.

    Raises:
        UsageError: when another program does, with a port that is free.
    """
    if not 1024 <= port <= 65535:
        raise UsageError(f"--port is {port}; expected a number from 1024 to 65535, e.g. --port {PORT}")
    if _free(port):
        return
    other = next((one for one in range(port + 1, min(port + 50, 65535)) if _free(one)), None)
    hint = f"; {other} is free: --port {other} (make demo PORT={other})" if other else ""
    raise UsageError(f"port {port} is in use, by another program or by an app already started here{hint}")


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _end_with_parent() -> None:
    """In the new process: be told to stop when the one that started it is gone, however it went (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, int(signal.SIGTERM))


class Services:
    """A worker, unless one lives already, and the web if `port` is given; both stop at the end of the `with`."""

    def __init__(self, settings: Settings, ledger: Ledger, port: int | None, *, quiet: bool = False) -> None:
        self.settings, self.ledger, self.port, self.quiet = settings, ledger, port, quiet
        self.worker: subprocess.Popen[bytes] | None = None
        self.web: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Services:
        if self.port is not None:
            if not APP.exists():
                raise UsageError(f"no {APP}; start the web from a checkout of the project")
            check_port(self.port)
        try:
            if live_worker(self.ledger) is None:
                self.worker = self._start("worker", "-m", "llmrec_core", "worker")
            if self.port is not None:
                options = ("--server.port", str(self.port), "--server.address", HOST, "--server.headless", "true")
                self.web = self._start("web", "-m", "streamlit", "run", str(APP), *options)
                self._wait_for_web()
                self._warm()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    @property
    def address(self) -> str:
        return f"http://localhost:{self.port}"

    def _log(self, name: str) -> Path:
        return self.settings.home / f"{name}.log"

    def _start(self, name: str, *command: str) -> subprocess.Popen[bytes]:
        sink = self._log(name).open("ab") if self.quiet else None
        try:
            # a session of its own: Ctrl-C in the terminal reaches us alone, and we stop them in order
            return subprocess.Popen(
                [sys.executable, *command],
                cwd=APP.parent,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                start_new_session=True,
                preexec_fn=_end_with_parent,
                env={**os.environ, "LLMREC_HOME": str(self.settings.home)},
            )
        finally:
            if sink is not None:
                sink.close()

    def _wait_for_web(self) -> None:
        until = time.monotonic() + READY_S
        while time.monotonic() < until:
            self.alive()
            try:
                with urllib.request.urlopen(f"http://{HOST}:{self.port}/_stcore/health", timeout=2):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.2)
        raise RunFailed(f"the web did not answer on port {self.port} within {READY_S:.0f} s; see {self._log('web')}")

    def _warm(self) -> None:
        """Open one session, so that the first visitor waits for no import and a deep link finds its page.

        A failure is no reason to stop: the first visitor is then a little slower.
        """
        command = [sys.executable, "-m", "pages.shared.warm", str(self.port)]
        with contextlib.suppress(subprocess.TimeoutExpired, OSError):
            subprocess.run(command, cwd=APP.parent, capture_output=True, timeout=WARM_S, check=False)

    def alive(self) -> None:
        """Raise when one of them has ended by itself.

        Raises:
            RunFailed: with the end of its output.
        """
        for name, process in (("worker", self.worker), ("web", self.web)):
            if process is not None and process.poll() is not None:
                tail = ""
                if self.quiet:
                    lines = self._log(name).read_text(encoding="utf-8", errors="replace").splitlines()[-5:]
                    tail = "; its last lines: " + " / ".join(lines)
                raise RunFailed(
                    f"the {name} ended by itself with status {process.returncode}{tail}. Nothing stored is lost: "
                    "start again to go on"
                )

    def _stop(self) -> None:
        """Tell both to stop; the worker may finish its step and save. Ctrl-C once more does not wait."""
        running = [process for process in (self.web, self.worker) if process is not None and process.poll() is None]
        for process in running:
            process.terminate()
        try:
            for process in running:
                process.wait(timeout=GRACE_S + 10)
        except (KeyboardInterrupt, subprocess.TimeoutExpired):
            for process in running:
                process.kill()
                process.wait()
