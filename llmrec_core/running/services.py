"""Worker and web together: started as one, each started again when it ends by itself."""

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
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType

from llmrec_core.access import accepted_hosts, read_access
from llmrec_core.errors import LedgerError, RunError, UsageError
from llmrec_core.installation import APP, ROOT
from llmrec_core.language import t
from llmrec_core.ledger.ledger import Ledger
from llmrec_core.running.run_process import GRACE_S
from llmrec_core.running.worker_lock import live_worker
from llmrec_core.settings import Settings

PORT = 8501
HOST = "127.0.0.1"
"""Nobody else on the network can reach it."""
READY_S = 60.0
WARM_S = 30.0
HEALTHY_S = 60.0
"""A program that has lived for so long is started again at once when it ends."""
LONGEST_PAUSE_S = 60.0
GIVEN_UP = 5
"""Ends in a row after which a program is broken rather than unlucky."""
LOOK_S = 2.0
"""Seconds between two looks for a worker that lives elsewhere."""
TAIL_LINES = 5
REFUSED = 2
"""Exit status of a worker that found another one at work."""


def check_port(port: int) -> None:
    """Raise unless the web may listen there.

    Raises:
        UsageError: when another program does, with a port that is free.
    """
    if not 1024 <= port <= 65535:
        raise UsageError(
            t(
                "--port is {port}; expected a number from 1024 to 65535, e.g. --port {example}",
                port=port,
                example=PORT,
            )
        )
    if _free(port):
        return
    near = range(port + 1, min(port + 50, 65535))
    other = next((candidate for candidate in near if _free(candidate)), None)
    if other is None:
        raise UsageError(
            t("port {port} is in use, by another program or by an app already started", port=port)
        )
    raise UsageError(
        t(
            "port {port} is in use, by another program or by an app already started here; {other} "
            "is free: --port {other} (make demo PORT={other})",
            port=port,
            other=other,
        )
    )


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _end_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, int(signal.SIGTERM))


class Service:
    """A program that is started again when it ends by itself, after a longer pause each time."""

    def __init__(
        self,
        name: str,
        command: tuple[str, ...],
        settings: Settings,
        *,
        quiet: bool,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Describe the program.

        Args:
            name: `worker` or `web`; its output goes to HOME/NAME.log when `quiet`.
            command: arguments of the Python interpreter.
            settings: the home it works in.
            quiet: keep its output out of the terminal.
            monotonic: the clock.
        """
        self.name, self._command, self._settings, self._quiet = name, command, settings, quiet
        self._monotonic = monotonic
        self._began = 0.0
        self._again_at: float | None = None
        self.ends = 0
        """How often in a row it has ended without having lived for `HEALTHY_S`."""
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """Where its output goes when it is quiet."""
        return self._settings.home / f"{self.name}.log"

    def start(self) -> None:
        """Start it now."""
        sink = self.log.open("ab") if self._quiet else None
        self._began, self._again_at = self._monotonic(), None
        try:
            # A session of its own: Ctrl-C in the terminal reaches us alone; we stop it in order.
            self.process = subprocess.Popen(
                [sys.executable, *self._command],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                start_new_session=True,
                preexec_fn=_end_with_parent,
                env={**os.environ, "LLMREC_HOME": str(self._settings.home)},
            )
        finally:
            if sink is not None:
                sink.close()

    def keep(self) -> None:
        """Start it again when it has ended by itself and the pause is over."""
        if self.process is None or self.process.poll() in (None, REFUSED):
            return
        clock = self._monotonic()
        if self._again_at is None:
            lived = clock - self._began >= HEALTHY_S
            self.ends = 1 if lived else self.ends + 1
            pause_s = 0.0 if lived else min(2.0 ** (self.ends - 1), LONGEST_PAUSE_S)
            self._again_at = clock + pause_s
            self._say(pause_s)
        if clock >= self._again_at:
            self.start()

    def _say(self, pause_s: float) -> None:
        sentence = t(
            "{moment} the {name} ended {how}; it is started again in {pause:.0f} s",
            moment=time.strftime("%H:%M:%S"),
            name=self.name,
            how=self._how(),
            pause=pause_s,
        )
        if self._quiet:
            with self.log.open("a", encoding="utf-8") as sink:
                print(sentence, file=sink)
        else:
            print(sentence, file=sys.stderr, flush=True)

    def _how(self) -> str:
        status = self.process.returncode if self.process is not None else 0
        if status < 0 and -status in signal.valid_signals():
            return t("by {signal}", signal=signal.Signals(-status).name)
        return t("with status {status}", status=status)

    @property
    def broken(self) -> RunError | None:
        """The failure to raise when it has ended too often in a row, else `None`."""
        if self.ends < GIVEN_UP:
            return None
        tail = ""
        if self._quiet:
            lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
            last = " / ".join(lines[-TAIL_LINES:])
            tail = t("; its last lines: {last}", last=last)
        return RunError(
            t(
                "the {name} ended {ends} times in a row{tail}. Nothing stored is lost: start again "
                "to go on",
                name=self.name,
                ends=self.ends,
                tail=tail,
            )
        )


class Services:
    """A worker, unless one lives already, and the web if `port` is given.

    Both stop at the end of the `with`. Whoever waits inside it calls `keep` about once a second.
    """

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        port: int | None,
        *,
        host: str = HOST,
        quiet: bool = False,
    ) -> None:
        """Describe what to start.

        Args:
            settings: the home.
            ledger: tells whether a worker lives already.
            port: where the web listens; no web when `None`.
            host: address on which it listens; others than the loopback need a login.
            quiet: keep their output out of the terminal.

        Raises:
            UsageError: for an `access.toml` that is wrong.
        """
        self._ledger, self.port = ledger, port
        # One that listens everywhere answers here too; our own look must come in by the loopback.
        self._reached = HOST if host in ("", "0.0.0.0", "::") else host
        self._looked = 0.0
        self.worker = Service("worker", ("-m", "llmrec_core", "worker"), settings, quiet=quiet)
        self.web: Service | None = None
        if port is not None:
            hosts = accepted_hosts(read_access(settings))
            self.web = Service("web", web_command(port, host, hosts), settings, quiet=quiet)

    def __enter__(self) -> Services:
        """Start both and wait until the first page is drawn."""
        if self.port is not None:
            check_port(self.port)
        try:
            self._keep_worker()
            if self.web is not None:
                self.web.start()
                self._wait_for_web(self.web)
                self._warm()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop both."""
        self._stop()

    @property
    def address(self) -> str:
        """Where a browser finds the pages."""
        return f"http://localhost:{self.port}"

    def _wait_for_web(self, web: Service) -> None:
        until = time.monotonic() + READY_S
        while time.monotonic() < until:
            self.keep()
            try:
                with urllib.request.urlopen(
                    f"http://{self._reached}:{self.port}/_stcore/health", timeout=2
                ):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.2)
        raise RunError(
            t(
                "the web did not answer on port {port} within {READY_S:.0f} s; see {log}",
                port=self.port,
                READY_S=READY_S,
                log=web.log,
            )
        )

    def _warm(self) -> None:
        """Open one session, so that the first visitor waits for no import.

        A failure is no reason to stop: the first visitor is then a little slower.
        """
        command = [sys.executable, "-m", "pages.shared.warm", str(self.port)]
        with contextlib.suppress(subprocess.TimeoutExpired, OSError):
            subprocess.run(command, cwd=ROOT, capture_output=True, timeout=WARM_S, check=False)

    def keep(self) -> None:
        """Start again what has ended by itself; start a worker when none lives any more.

        Raises:
            RunError: when the web, or the worker where nobody sees pages, is broken.
        """
        self._keep_worker()
        if self.web is not None:
            self.web.keep()
        watched = self.worker if self.web is None else self.web
        if (failure := watched.broken) is not None:
            raise failure

    def _keep_worker(self) -> None:
        if self.worker.process is not None and self.worker.process.returncode != REFUSED:
            self.worker.keep()
            return
        if time.monotonic() - self._looked < LOOK_S:
            return
        self._looked = time.monotonic()
        with contextlib.suppress(LedgerError):  # it is away; the worker would wait for it as well
            if live_worker(self._ledger) is None:
                self.worker.start()

    def _stop(self) -> None:
        """Ask both to stop; the worker may finish its step and save.

        Ctrl-C once more does not wait.
        """
        running = [
            service.process
            for service in (self.web, self.worker)
            if service is not None
            and service.process is not None
            and service.process.poll() is None
        ]
        for process in running:
            process.terminate()
        try:
            for process in running:
                process.wait(timeout=GRACE_S + 10)
        except (KeyboardInterrupt, subprocess.TimeoutExpired):
            for process in running:
                process.kill()
                process.wait()


def web_command(port: int, host: str, hosts: Sequence[str]) -> tuple[str, ...]:
    """Return the arguments of the interpreter that start the web.

    Every guard is a flag: flags win over environment variables and files, so none of those can
    switch a guard off by mistake.

    Args:
        port: where it listens.
        host: address on which it listens.
        hosts: host names that it answers to.
    """
    options = {
        "server.port": str(port),
        "server.address": host,
        "server.headless": "true",
        "server.enableCORS": "true",
        "server.enableXsrfProtection": "true",
        "server.enableStaticServing": "false",
        "server.enableAgentApi": "false",
        "server.fileWatcherType": "none",
        "server.maxUploadSize": "50",
        "client.showErrorDetails": "none",
        "client.disableDataExport": "true",
        "browser.gatherUsageStats": "false",
        "global.developmentMode": "false",
    }
    flags = [word for name, value in options.items() for word in (f"--{name}", value)]
    names = [word for name in hosts for word in ("--server.allowedHosts", name)]
    return ("-m", "streamlit", "run", str(APP), *flags, *names)
