"""How quickly the app answers with 10,000 runs in its ledger: start, first page, a filter, sessions, memory.

    python tests/benchmarks/dashboard.py [--quick] [--json]

A ledger of made-up studies (14 finished runs each) is filled, the real server is started on it, and Chromium reads the
clock. "Cold" is the first visit after the start, "warm" a visit in a fresh browser context afterwards. A filter: choosing
another metric on Decide until the new chart stands. Then 20 visitors at once open 50 pages each, and the server's
memory after these 1,000 views is read. The last line of output is one JSON document.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
from playwright.sync_api import Page, sync_playwright
from websockets.exceptions import WebSocketException

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from llmrec_core.profiling.device import describe
from llmrec_core.settings import Settings
from tests import synthetic
from tests.conftest import CHROMIUM, CHROMIUM_FLAGS
from tests.served import free_port, start_app
from tests.websocket_visitor import ADDRESSES, draw, visitor

PATIENCE_S = 120.0
METRICS = ("MRR", "AUC", "Recall@10", "NDCG@10")
IDLE = "[data-testid=stApp][data-test-script-state=notRunning]"


def fill(home: Path, studies: int) -> int:
    """Write the studies; returns the number of runs."""
    settings = Settings(home, f"sqlite:///{home / 'ledger.db'}", 30.0)
    for number in range(studies):
        ledger = synthetic.write_study(settings, f"study-{number:03d}")
    runs = len(ledger.runs())
    ledger.close()
    return runs


def start(home: Path) -> tuple[subprocess.Popen[bytes], int, float]:
    """The server, its port, and the seconds until it was healthy."""
    port = free_port()
    began = time.perf_counter()
    server = start_app(home, port)
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=1).close()
            return server, port, time.perf_counter() - began
        except OSError:
            if server.poll() is not None or time.perf_counter() - began > 60:
                raise SystemExit("the server did not start") from None
            time.sleep(0.02)


def visit(page: Page, address: str) -> float:
    """Seconds from the request to a page that is drawn to its end."""
    page.set_default_timeout(
        120_000
    )  # a loaded machine is slow, not broken: the figure says how slow
    began = time.perf_counter()
    page.goto(address)
    page.wait_for_selector("h1")
    page.wait_for_selector(IDLE)
    return time.perf_counter() - began


def filters(page: Page, repeats: int) -> list[float]:
    """Seconds of each change of the metric on Decide until the chart's axis names the new one."""
    seconds = []
    for number in range(repeats):
        metric = METRICS[number % len(METRICS)]
        page.get_by_role("combobox", name="Quality").click()
        option = page.get_by_role("option", name=metric, exact=True)
        option.wait_for()
        began = time.perf_counter()
        option.click()
        page.locator(".js-plotly-plot .ytitle", has_text=metric).wait_for()
        seconds.append(time.perf_counter() - began)
        page.wait_for_selector(IDLE)
    return seconds


def session(port: int, number: int, views: int) -> int:
    """Errors of one visitor who opens one page after the other."""
    errors = []
    try:
        with visitor(port) as socket:
            for view in range(views):
                errors += draw(socket, ADDRESSES[(number + view) % len(ADDRESSES)], PATIENCE_S)
    except (OSError, WebSocketException, TimeoutError) as error:
        errors.append(f"{type(error).__name__}: {error}")
    for error in errors:
        print(error, file=sys.stderr)
    return len(errors)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer studies, filters and sessions")
    parser.add_argument("--json", action="store_true", help="only the JSON document")
    options = parser.parse_args()
    studies, repeats, visitors, views = (5, 12, 3, 5) if options.quick else (625, 40, 20, 50)

    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        runs = fill(home, studies)
        server, port, ready_s = start(home)
        address = f"http://127.0.0.1:{port}"
        try:
            with sync_playwright() as driver:
                browser = driver.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
                cold_s = visit(browser.new_context().new_page(), f"{address}/")
                warm_s = statistics.median(
                    visit(browser.new_context().new_page(), f"{address}/") for _ in range(3)
                )
                page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
                visit(page, f"{address}/decide")
                changes = filters(page, repeats)
                browser.close()
            with ThreadPoolExecutor(visitors) as pool:
                asked = [(port, number, views) for number in range(visitors)]
                errors = sum(pool.map(lambda one: session(*one), asked))
            rss = psutil.Process(server.pid).memory_info().rss
        finally:
            server.terminate()
            server.wait(timeout=20)

    results = {
        "server_ready_s": ready_s,
        "first_page_cold_s": cold_s,
        "first_page_warm_s": warm_s,
        "filter_p50_s": statistics.median(changes),
        "filter_p95_s": statistics.quantiles(changes, n=20)[-1],
        "session_errors": errors,
        "web_rss_bytes": rss,
    }
    conditions = {
        "machine": describe().name, "runs": runs, "studies": studies, "filters": repeats, "sessions": visitors,
        "views": visitors * views,
        "load_average": os.getloadavg()[0], "quick": options.quick,
    }  # fmt: skip
    if not options.json:
        for name, value in results.items():
            print(f"{name:20} {value:,.3f}" if isinstance(value, float) else f"{name:20} {value:,}")
    print(json.dumps({"bench": "dashboard", "conditions": conditions, "results": results}))


if __name__ == "__main__":
    main()
