"""What all tests share: a home of their own, a ledger on SQLite and on PostgreSQL, missing hardware as skips."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llmrec_core.experiments.ledger import Ledger
from llmrec_core.settings import Settings, load_settings

ROOT = Path(__file__).parents[1]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty `LLMREC_HOME`; nothing a test does reaches the reader's own."""
    folder = tmp_path / "home"
    monkeypatch.setenv("LLMREC_HOME", str(folder))
    monkeypatch.delenv("LLMREC_LEDGER", raising=False)
    return folder


@pytest.fixture
def settings(home: Path) -> Settings:
    return load_settings()


@pytest.fixture
def ledger(settings: Settings) -> Iterator[Ledger]:
    """An empty ledger on SQLite."""
    opened = Ledger.open(settings)
    yield opened
    opened.close()


def _postgres_tool(name: str) -> str | None:
    found = shutil.which(name)
    if found:
        return found
    return next((str(path) for path in sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))), None)


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a PostgreSQL of our own; skipped where its binaries or the driver are missing."""
    psycopg = pytest.importorskip("psycopg", reason="no psycopg: pip install 'psycopg[binary]'")
    initdb, server = _postgres_tool("initdb"), _postgres_tool("postgres")
    if not (initdb and server):
        pytest.skip("no PostgreSQL binaries: apt-get install postgresql")
    prefix: list[str] = []
    folder = tmp_path_factory.mktemp("postgres", numbered=True)
    if os.geteuid() == 0:  # the server refuses root
        try:
            user = pwd.getpwnam("postgres")
        except KeyError:
            pytest.skip("PostgreSQL refuses root and there is no user `postgres`")
        folder = Path("/tmp") / f"llmrec-postgres-{os.getpid()}"  # pytest's own folders are closed to others
        folder.mkdir(mode=0o700)
        os.chown(folder, user.pw_uid, user.pw_gid)
        prefix = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    data = folder / "data"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder}
    subprocess.run([*prefix, initdb, "-D", data, "-A", "trust", "-U", "llmrec", "--no-sync"], check=True, **quiet)
    options = ["-c", "listen_addresses=127.0.0.1", "-c", f"port={port}", "-c", f"unix_socket_directories={folder}"]
    process = subprocess.Popen([*prefix, server, "-D", str(data), *options, "-F"], **quiet)
    try:
        url = f"postgresql://llmrec@127.0.0.1:{port}/postgres"
        until = time.monotonic() + 60
        while True:
            try:
                psycopg.connect(url).close()
                break
            except psycopg.OperationalError:
                assert time.monotonic() < until, "PostgreSQL did not start within a minute"
                time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=20)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def any_settings(request: pytest.FixtureRequest, home: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of an empty ledger, on each database in turn."""
    if request.param == "postgresql":
        import sqlalchemy as sa

        url = request.getfixturevalue("postgres_server")
        engine = sa.create_engine(url)
        with engine.begin() as connection:
            connection.execute(sa.text("DROP SCHEMA public CASCADE; CREATE SCHEMA public"))
        engine.dispose()
        monkeypatch.setenv("LLMREC_LEDGER", url)
    return load_settings()


@pytest.fixture
def any_ledger(any_settings: Settings) -> Iterator[Ledger]:
    """An empty ledger, on each database in turn."""
    opened = Ledger.open(any_settings)
    yield opened
    opened.close()


# ── browser tests that must not be skipped ───────────────────────────────────────────────────────


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--browser-required", action="store_true", help="fail when a browser test was skipped or none ran")


class BrowserTests:
    """Counts what became of the browser tests; pytest-xdist's workers tell what they skipped while collecting."""

    def __init__(self) -> None:
        self.ran = 0
        self.skipped: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if "browser" in report.keywords or report.nodeid.startswith("tests/browser/"):
            if report.skipped:
                self.skipped.append(report.nodeid)
            elif report.when == "call":
                self.ran += 1

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.skipped and report.nodeid.startswith("tests/browser/"):
            self.skipped.append(report.nodeid)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        self.skipped += [name for name in node.workeroutput["browser_skipped"] if name not in self.skipped]

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if hasattr(session.config, "workeroutput"):
            session.config.workeroutput["browser_skipped"] = self.skipped
        elif (self.skipped or not self.ran) and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.skipped or not self.ran:
            names = ", ".join(self.skipped) or "none was collected"
            terminalreporter.write_line(f"browser tests are required here; {self.ran} ran, skipped: {names}", red=True)


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--browser-required"):
        config.pluginmanager.register(BrowserTests())
