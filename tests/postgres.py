"""A PostgreSQL server of our own, from the binaries of this machine: started, stopped, emptied."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.served import free_port

READY_S = 60.0


class Postgres:
    """One server with one database."""

    def __init__(self, folder: Path, prefix: list[str]) -> None:
        self._folder, self._prefix = folder, prefix
        self._port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"postgresql://llmrec@127.0.0.1:{self._port}/postgres"

    @classmethod
    @contextlib.contextmanager
    def running(cls) -> Iterator[Postgres]:
        """A server with an empty database for as long as the `with` lasts.

        The test is skipped where the binaries or the driver are missing.
        """
        pytest.importorskip("psycopg", reason="no psycopg: pip install 'psycopg[binary]'")
        initdb = _tool("initdb")
        # pytest's own folders are closed to the user that the server runs as
        folder = Path(tempfile.mkdtemp(prefix="llmrec-postgres-"))
        try:
            server = cls(folder, _as_another_user(folder))
            server._command(
                initdb, "-D", folder / "data", "-A", "trust", "-U", "llmrec", "--no-sync"
            ).wait()
            server.start()
            yield server
        finally:
            if server.process is not None:
                server.stop()
            shutil.rmtree(folder, ignore_errors=True)

    def _command(self, *words: str | Path) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*self._prefix, *words],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self._folder,
        )

    def start(self) -> None:
        """Start it and wait until it takes connections."""
        import psycopg

        options = {
            "listen_addresses": "127.0.0.1",
            "port": str(self._port),
            "unix_socket_directories": str(self._folder),
        }
        flags = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        command = (_tool("postgres"), "-D", self._folder / "data", *flags, "-F")
        self.process = self._command(*command)
        until = time.monotonic() + READY_S
        while True:
            if self.process.poll() is not None:
                # After a crash, a session of the server before may still hold the memory.
                self.process = self._command(*command)
            try:
                psycopg.connect(self.url).close()
                return
            except psycopg.OperationalError:
                assert time.monotonic() < until, "PostgreSQL did not start within a minute"
                time.sleep(0.1)

    def stop(self, number: signal.Signals = signal.SIGINT) -> None:
        """Stop it, cutting off whoever is connected; SIGKILL is a crash."""
        assert self.process is not None, "it runs"
        self.process.send_signal(number)
        self.process.wait(timeout=30)
        self.process = None

    def empty(self) -> None:
        """Drop all tables."""
        import psycopg

        with psycopg.connect(self.url) as connection:
            connection.execute("DROP SCHEMA public CASCADE")
            connection.execute("CREATE SCHEMA public")


def _tool(name: str) -> str:
    installed = shutil.which(name)
    if installed is None:
        near = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
        if not near:
            pytest.skip("no PostgreSQL binaries: apt-get install postgresql")
        return str(near[-1])
    return installed


def _as_another_user(folder: Path) -> list[str]:
    """The words that start a command as a user other than root, whom the server refuses."""
    if os.geteuid() != 0:
        return []
    try:
        user = pwd.getpwnam("postgres")
    except KeyError:
        pytest.skip("PostgreSQL refuses root and there is no user `postgres`")
    os.chown(folder, user.pw_uid, user.pw_gid)
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
