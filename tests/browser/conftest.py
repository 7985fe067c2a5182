"""A real server per home and one Chromium for all tests; requests that leave the machine are recorded."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from llmrec_core.settings import Settings
from pages.shared.warm import warm
from tests import synthetic

ROOT = Path(__file__).parents[2]
CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    if not Path(CHROMIUM).exists():
        pytest.skip("no Chromium: apt-get install --no-install-recommends chromium")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session")
def serve() -> Iterator[Callable[[Path], str]]:
    """Starts the app on a home and returns its address."""
    started: list[subprocess.Popen] = []

    def start(home: Path) -> str:
        port = free_port()
        command = [sys.executable, "-m", "streamlit", "run", str(ROOT / "app.py"), "--server.port", str(port)]
        environment = {**os.environ, "LLMREC_HOME": str(home)}
        with (home / "web.log").open("wb") as log:
            started.append(subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT))
        warm(port, timeout_s=60)
        return f"http://127.0.0.1:{port}"

    yield start
    for process in started:
        process.terminate()
        process.wait(timeout=20)


def _study(tmp_path_factory: pytest.TempPathFactory, name: str, hostile: bool) -> Path:
    home = tmp_path_factory.mktemp(name)
    synthetic.write_study(Settings(home, f"sqlite:///{home / 'ledger.db'}", 30.0), hostile=hostile).close()
    return home


@pytest.fixture(scope="session")
def filled(serve: Callable[[Path], str], tmp_path_factory: pytest.TempPathFactory) -> str:
    return serve(_study(tmp_path_factory, "web-filled", hostile=False))


@pytest.fixture(scope="session")
def hostile(serve: Callable[[Path], str], tmp_path_factory: pytest.TempPathFactory) -> str:
    return serve(_study(tmp_path_factory, "web-hostile", hostile=True))


@pytest.fixture
def open_page(chromium: Browser) -> Iterator[Callable[..., Page]]:
    """Opens an address in a fresh context; `page.foreign` lists requests to anything but that server."""
    contexts = []

    def opened(address: str, scheme: str = "light") -> Page:
        context = chromium.new_context(viewport={"width": 1280, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(45_000)
        page.foreign = []
        own = address.split("/", 3)[2]
        page.on(
            "request",
            lambda request: (
                None
                if own in request.url or request.url.startswith(("data:", "blob:", "file:"))
                else page.foreign.append(request.url)
            ),
        )
        page.goto(address)
        return page

    yield opened
    for context in contexts:
        context.close()
