"""What all tests share: an empty home, a ledger on either database, one browser, skips as they are."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import hypothesis
import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from llmrec_core.cli import main
from llmrec_core.ledger.ledger import Ledger
from llmrec_core.settings import Settings, load_settings
from tests.postgres import Postgres

ROOT = Path(__file__).parents[1]
CHROMIUM = Path("/usr/bin/chromium")
CHROMIUM_FLAGS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]

pytest_plugins = ["tests.complete_run"]
# What is drawn by chance is drawn alike in every run: a green commit stays green. The programs that
# search for faults (tests/fuzz.py, tests/benchmarks/plan_fuzz.py, random_runs.py) draw anew.
hypothesis.settings.register_profile("alike", derandomize=True, database=None)
hypothesis.settings.load_profile("alike")
collect_ignore_glob = ["benchmarks/*"]  # programs, each with its own command line


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with a slow test go first, so that two processes end at about the same time."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty `LLMREC_HOME`; nothing a test does reaches the reader's own."""
    folder = tmp_path / "home"
    monkeypatch.setenv("LLMREC_HOME", str(folder))
    monkeypatch.delenv("LLMREC_LEDGER", raising=False)
    return folder


@pytest.fixture
def command_line(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., SimpleNamespace]:
    """Runs the command line in this process: status, out and err."""

    def call(*words: str) -> SimpleNamespace:
        monkeypatch.setattr(sys, "argv", ["llmrec", *words])
        status = 0
        try:
            main.main()
        except SystemExit as leaving:
            status = leaving.code or 0
        out, err = capfd.readouterr()
        return SimpleNamespace(status=status, out=out, err=err)

    return call


@pytest.fixture
def settings(home: Path) -> Settings:
    return load_settings()


@pytest.fixture
def ledger(settings: Settings) -> Iterator[Ledger]:
    """An empty ledger on SQLite."""
    opened = Ledger.open(settings)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL of our own; skipped where its binaries or the driver are missing."""
    with Postgres.running() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def any_settings(
    request: pytest.FixtureRequest, home: Path, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    """Settings of an empty ledger, on each database in turn."""
    if request.param == "postgresql":
        server: Postgres = request.getfixturevalue("postgres")
        server.empty()
        monkeypatch.setenv("LLMREC_LEDGER", server.url)
    return load_settings()


@pytest.fixture
def any_ledger(any_settings: Settings) -> Iterator[Ledger]:
    """An empty ledger, on each database in turn."""
    opened = Ledger.open(any_settings)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The only Chromium of a test process: Playwright's driver cannot be started twice in one."""
    if not CHROMIUM.exists():
        pytest.skip("no Chromium: apt-get install --no-install-recommends chromium")
    expect.set_options(timeout=45_000)  # a busy machine draws a page in more than five seconds
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()
