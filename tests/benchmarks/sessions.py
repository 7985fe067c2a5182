"""Many people at once: websocket sessions and browsers look at pages for some minutes; errors and waits are counted.

    python tests/benchmarks/sessions.py --json            200 sessions and four Chromiums, 5 minutes
    python tests/benchmarks/sessions.py --json --quick    20 sessions and one Chromium, 20 seconds

The app serves a stored study on the loopback. A session is a websocket of its own that opens a page, waits until it
is drawn, thinks for a while (10 to 30 s) and opens another one. A browser does the same with what it draws. `errors`
are sessions that broke off, pages that said an error, and messages in a browser's console; waits are until the script
has run to its end (sessions) or until the page stands still (browsers).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from playwright.sync_api import sync_playwright
from websockets.exceptions import WebSocketException

from llmrec_core.running.services import web_command
from pages.shared.warm import warm
from tests.conftest import CHROMIUM, CHROMIUM_FLAGS
from tests.served import free_port, study_home
from tests.websocket_visitor import ADDRESSES, draw, visitor

THINK_S = (10.0, 30.0)
PATIENCE_S = 120.0


class Visitors:
    """What all visitors together saw."""

    def __init__(self, port: int, seconds: float) -> None:
        self.port, self.until = port, time.monotonic() + seconds
        self.waits: dict[str, list[float]] = {"session": [], "browser": []}
        self.errors: list[str] = []
        self._lock = threading.Lock()

    def saw(self, kind: str, wait_s: float) -> None:
        with self._lock:
            self.waits[kind].append(wait_s)

    def failed(self, what: str) -> None:
        with self._lock:
            self.errors.append(what[:200])

    def over(self) -> bool:
        return time.monotonic() >= self.until

    def session(self, number: int) -> None:
        """One websocket that goes from page to page."""
        chance = random.Random(number)
        time.sleep(chance.uniform(0, min(THINK_S[1], (self.until - time.monotonic()) / 3)))
        try:
            with visitor(self.port) as socket:
                while not self.over():
                    began = time.monotonic()
                    for said in draw(socket, chance.choice(ADDRESSES), PATIENCE_S):
                        self.failed(said)
                    self.saw("session", time.monotonic() - began)
                    time.sleep(chance.uniform(*THINK_S))
        except (OSError, WebSocketException, TimeoutError) as error:
            self.failed(f"session {number}: {type(error).__name__}: {error}")

    def browser(self, number: int) -> None:
        """One Chromium that goes from page to page."""
        chance = random.Random(1000 + number)
        with sync_playwright() as driver:
            chromium = driver.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
            page = chromium.new_page()
            page.set_default_timeout(PATIENCE_S * 1000)
            page.on("pageerror", lambda error: self.failed(f"browser {number}: {error}"))
            while not self.over():
                address = chance.choice(ADDRESSES)
                began = time.monotonic()
                page.goto(f"http://127.0.0.1:{self.port}/{address}")
                page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
                self.saw("browser", time.monotonic() - began)
                if page.get_by_test_id("stException").count():
                    self.failed(f"browser {number}: an exception on {address}")
                time.sleep(chance.uniform(*THINK_S) / 2)
            chromium.close()


def processor_s(pid: int) -> float:
    """Seconds of processor time that a process has taken until now."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def visit(sessions: int, browsers: int, seconds: float) -> tuple[Visitors, float, float]:
    """Let everybody in; returns what they saw, the server's largest memory in bytes, its seconds.

    The seconds are of processor time, from the first visitor to the last one.
    """
    with tempfile.TemporaryDirectory() as folder:
        study_home(Path(folder))
        port = free_port()
        command = [sys.executable, *web_command(port, "127.0.0.1", ("localhost", "127.0.0.1"))]
        server = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, "LLMREC_HOME": folder},
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            warm(port, timeout_s=120)
            visitors = Visitors(port, seconds)
            threads = [
                *(threading.Thread(target=visitors.session, args=(n,)) for n in range(sessions)),
                *(threading.Thread(target=visitors.browser, args=(n,)) for n in range(browsers)),
            ]
            before_s = processor_s(server.pid)
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            status = Path(f"/proc/{server.pid}/status").read_text()
            peak = float(status.split("VmHWM:")[1].split()[0]) * 1024
            busy_s = processor_s(server.pid) - before_s
        finally:
            server.terminate()
            server.wait(timeout=30)
    return visitors, peak, busy_s


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="end with one JSON line")
    parser.add_argument("--quick", action="store_true", help="20 sessions, one browser, 20 seconds")
    options = parser.parse_args()
    sessions, browsers, seconds = (20, 1, 20.0) if options.quick else (200, 4, 300.0)
    visitors, peak, busy_s = visit(sessions, browsers, seconds)
    results = {"sessions": sessions, "browsers": browsers, "errors": len(visitors.errors)}
    for kind, waits in visitors.waits.items():
        results[f"{kind}_pages"] = len(waits)
        for share in (50, 95):
            results[f"{kind}_p{share}_s"] = round(float(np.percentile(waits, share)), 3)
    results["server_peak_bytes"] = peak
    pages = sum(map(len, visitors.waits.values()))
    results["server_s_per_page"] = round(busy_s / pages, 4) if pages else None
    for name, value in results.items():
        print(f"{name:>18} {value}")
    for error in visitors.errors[:10]:
        print(error)
    conditions = {
        "machine": platform.machine(), "cores": os.cpu_count(), "python": platform.python_version(),
        "load": os.getloadavg()[2], "seconds": seconds,
    }  # fmt: skip
    if options.json:
        print(json.dumps({"bench": "sessions", "conditions": conditions, "results": results}))
    sys.exit(bool(visitors.errors))


if __name__ == "__main__":
    main()
