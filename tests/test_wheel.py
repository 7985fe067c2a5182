"""The wheel, installed where nothing of the checkout can be seen: it answers, serves a page and runs a study."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import sysconfig
import time
import urllib.request
import venv
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.served import free_port

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[1]
STUDY = """
name = "tiny"
title = "A tiny study"
[defaults]
data = { name = "tiny" }
protocol = { candidates = "full", users = 0 }
[[run]]
name = "Popularity"
recommender = { family = "popularity" }
[[run]]
name = "Item-kNN"
recommender = { family = "item-knn" }
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """A fresh environment with the wheel; the libraries it requires are those of this one, the product is not."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder / "env", with_pip=False)
    python = folder / "env" / "bin" / "python"
    install = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(python),
        "install",
        "--no-deps",
        "--no-index",
        str(wheel),
    ]
    subprocess.run(install, check=True, capture_output=True)
    (packages,) = (folder / "env" / "lib").glob("python*/site-packages")
    # A plain line adds the folder without reading its own .pth files, so an editable install stays out of sight.
    (packages / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def llmrec(installed) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The installed command, in a folder of its own."""

    def call(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [installed / "env" / "bin" / "llmrec", *words],
            cwd=work(installed),
            env=environment(installed),
            capture_output=True,
            text=True,
            timeout=300,
        )

    return call


def work(installed: Path) -> Path:
    folder = installed / "work"
    folder.mkdir(exist_ok=True)
    return folder


def environment(installed: Path) -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("LLMREC_", "PYTHON"))
    }
    return kept | {"LLMREC_HOME": str(installed / "home")}


def test_the_wheel_holds_app_pages_and_assets_and_nothing_else_of_the_checkout(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    product = "llmrec_core/_product/"
    for name in (
        "app.py",
        "pages/answer/start.py",
        "assets/studies/default.toml",
        "assets/sample/study.json",
    ):
        assert product + name in names
    assert product + ".streamlit/config.toml" in names
    assert "llmrec_core/py.typed" in names
    assert "llmrec_core/ledger/migrations/env.py" in names
    tops = {name.partition("/")[0] for name in names}
    assert tops == {"llmrec_core", f"llmrec_studio-{version(wheel)}.dist-info"}
    assert not [name for name in names if "__pycache__" in name or name.endswith((".pyc", ".db"))]


def version(wheel: Path) -> str:
    return wheel.name.split("-")[1]


def test_the_wheel_says_what_it_needs_and_under_which_licence(wheel):
    archive = zipfile.ZipFile(wheel)
    (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
    text = archive.read(name).decode()
    assert "License-Expression: Apache-2.0" in text
    assert "Requires-Dist: streamlit>=" in text
    assert "Requires-Python: >=3.11" in text
    assert [entry for entry in archive.namelist() if entry.endswith("licenses/LICENSE")]


def test_the_installed_product_sees_nothing_of_the_checkout(installed):
    code = "import llmrec_core.installation as i; print(i.PACKAGE, i.ROOT)"
    done = subprocess.run(
        [installed / "env" / "bin" / "python", "-c", code],
        cwd=work(installed),
        env=environment(installed),
        capture_output=True,
        text=True,
        check=True,
    )
    package, product = map(Path, done.stdout.split())
    assert package.is_relative_to(installed)
    assert product == package / "_product"


def test_runs_are_listed_in_any_folder(llmrec):
    listed = llmrec("runs", "list", "--json")
    assert listed.returncode == 0, listed.stderr
    assert json.loads(listed.stdout.splitlines()[-1]) == []


def test_a_study_of_own_data_runs_and_is_used(llmrec, installed):
    folder = work(installed)
    # Everybody takes five neighbouring items of a ring of twelve: 0 to 4, 1 to 5, …
    lines = [f"u{user},i{(user + step) % 12},{step}" for user in range(36) for step in range(5)]
    (folder / "tiny.csv").write_text(
        "user_id,item_id,timestamp\n" + "\n".join(lines) + "\n", encoding="utf-8"
    )
    (folder / "tiny.toml").write_text(STUDY, encoding="utf-8")
    stored = llmrec("data", "import", "tiny.csv", "--name", "tiny")
    assert stored.returncode == 0, stored.stderr
    done = llmrec("study", "tiny.toml", "--json")
    assert done.returncode == 0, done.stderr
    runs = json.loads(done.stdout.splitlines()[-1])
    assert [(run["name"], run["state"]) for run in runs] == [
        ("Popularity", "finished"),
        ("Item-kNN", "finished"),
    ]
    asked = llmrec("recommend", "--run", "Item-kNN", "--user", "u3", "-k", "3", "--json")
    assert asked.returncode == 0, asked.stderr
    # u3 took items 3 to 7: of the others, the next ones of the ring stand nearest to those.
    assert json.loads(asked.stdout.splitlines()[-1])["items"][0]["item_id"] in ("i2", "i8")


@pytest.mark.browser
def test_up_serves_a_page_and_stops(installed, chromium):
    port = free_port()
    with (installed / "up.log").open("wb") as log:
        process = subprocess.Popen(
            [installed / "env" / "bin" / "llmrec", "up", "--port", str(port)],
            cwd=work(installed),
            env=environment(installed),
            stdout=log,
            stderr=log,
        )
    try:
        wait_for_health(port, process)
        page = chromium.new_page()
        page.set_default_timeout(60_000)
        page.goto(f"http://127.0.0.1:{port}/runs")
        expect(page.get_by_role("heading", name="Runs: ")).to_be_visible(timeout=60_000)
        expect(page.get_by_text("Decide").first).to_be_visible(timeout=60_000)
        page.goto(f"http://127.0.0.1:{port}/decide?study=sample:default")
        expect(page.get_by_text("Take Item-kNN").first).to_be_visible(timeout=60_000)
        page.close()
    finally:
        process.send_signal(signal.SIGINT)
        status = process.wait(timeout=60)
    assert status == 130, (installed / "up.log").read_text(encoding="utf-8")[-2000:]


def wait_for_health(port: int, process: subprocess.Popen) -> None:
    until = time.monotonic() + 90
    while True:
        assert process.poll() is None, "`llmrec up` ended by itself"
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{port}/_stcore/health", timeout=2
            ) as answer:
                assert answer.read() == b"ok"
                return
        except OSError:
            assert time.monotonic() < until, "no answer from the web within 90 seconds"
            time.sleep(0.3)
