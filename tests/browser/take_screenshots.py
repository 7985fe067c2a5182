"""Screenshots of every page of a home, light and dark, at 1280 px: a program, not a test.

    python -m tests.browser.take_screenshots HOME OUT [--scheme dark] [PAGE …]

Starts a server on HOME and writes OUT/PAGE-SCHEME.png, each as tall as its page. PAGE is an address such as
`decide?decide_metric=MRR`; without any, all pages.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from playwright.sync_api import sync_playwright

from pages.shared.warm import warm
from tests.conftest import CHROMIUM, CHROMIUM_FLAGS
from tests.served import free_port, start_app

ROOT = Path(__file__).parents[2]
PAGES = [
    "start",
    "decide",
    "plan",
    "report",
    "side-by-side",
    "why-this-item",
    "what-drives-the-model",
    "quality",
    "profile",
    "this-machine",
    "other-hardware",
    "data",
    "train",
    "runs",
]
IDLE = "[data-testid=stApp][data-test-script-state=notRunning]"
HEIGHT = "document.querySelector('[data-testid=stMain]').scrollHeight"


def take(address: str, pages: list[str], scheme: str, out: Path) -> None:
    """Write one file per page."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
        page = browser.new_page(color_scheme=scheme)
        page.set_default_timeout(120_000)
        for name in pages:
            page.set_viewport_size({"width": 1280, "height": 900})
            page.goto(f"{address}/{name.removeprefix('start')}")
            page.wait_for_selector("h1")
            page.wait_for_selector(IDLE)
            page.wait_for_timeout(2500)  # charts draw after the script has ended
            page.set_viewport_size(
                {"width": 1280, "height": max(900, min(page.evaluate(HEIGHT), 4000))}
            )
            page.wait_for_timeout(1500)
            page.screenshot(path=out / f"{name.partition('?')[0]}-{scheme}.png")
        browser.close()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("home", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("pages", nargs="*", default=PAGES)
    parser.add_argument("--scheme", choices=("light", "dark"), default="light")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    port = free_port()
    server = start_app(options.home.resolve(), port, log=None)
    try:
        warm(port, timeout_s=60)
        take(f"http://127.0.0.1:{port}", options.pages, options.scheme, options.out)
    finally:
        server.terminate()
        server.wait(timeout=20)


if __name__ == "__main__":
    main()
