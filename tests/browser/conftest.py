"""A real server per home; requests that leave the machine are recorded."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from pages.shared.warm import warm
from tests.served import free_port, start_app, study_home

ROOT = Path(__file__).parents[2]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def serve() -> Iterator[Callable[[Path], str]]:
    """Starts the app on a home and returns its address."""
    started: list[subprocess.Popen] = []

    def start(home: Path, port: int | None = None) -> str:
        port = port or free_port()
        with (home / "web.log").open("wb") as log:
            started.append(start_app(home, port, log))
        warm(port, timeout_s=60)
        return f"http://127.0.0.1:{port}"

    yield start
    for process in started:
        process.terminate()
        process.wait(timeout=20)


@pytest.fixture(scope="session")
def filled(serve: Callable[[Path], str], tmp_path_factory: pytest.TempPathFactory) -> str:
    return serve(study_home(tmp_path_factory.mktemp("web-filled")))


@pytest.fixture(scope="session")
def hostile(serve: Callable[[Path], str], tmp_path_factory: pytest.TempPathFactory) -> str:
    return serve(study_home(tmp_path_factory.mktemp("web-hostile"), hostile=True))


@pytest.fixture
def open_page(chromium: Browser) -> Iterator[Callable[..., Page]]:
    """Opens an address in a fresh context; `page.foreign` lists requests to anything but that server."""
    contexts = []

    def opened(address: str, scheme: str = "light", width: int = 1280) -> Page:
        context = chromium.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme
        )
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
