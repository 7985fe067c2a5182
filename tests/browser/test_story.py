"""The story with the real engine: queue a tiny run, watch it finish, find it on Decide, ask why one item."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import expect

from llmrec_core.ledger.ledger import Ledger
from llmrec_core.settings import Settings
from tests.browser.test_app import settled

ROOT = Path(__file__).parents[2]
TINY = """
name = "tiny"
title = "One cheap row"

[defaults]
data = { name = "ml-100k" }
protocol = { users = 60 }

[[run]]
name = "Item-kNN"
recommender = { family = "item-knn" }
"""


@pytest.fixture
def worker(home):
    """A real worker on the test's home."""
    environment = {**os.environ, "LLMREC_HOME": str(home)}
    home.mkdir(parents=True, exist_ok=True)
    with (home / "worker.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "llmrec_core", "worker"],
            cwd=ROOT,
            env=environment,
            stdout=log,
            stderr=log,
        )
    yield process
    process.terminate()
    process.wait(timeout=60)


@pytest.mark.slow
def test_a_run_is_queued_watched_found_and_explained(home, worker, serve, open_page, tmp_path):
    study = tmp_path / "tiny.toml"
    study.write_text(TINY, "utf-8")
    command = [sys.executable, "-m", "llmrec_core", "study", str(study)]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "LLMREC_HOME": str(home)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    address = serve(home)

    page = open_page(f"{address}/train?train_family=ease")
    settled(page)
    expect(page.get_by_role("textbox", name="Study to put them in")).to_have_value("tiny")
    page.get_by_role("button", name="Queue 1 run").click()
    page.get_by_text("queued in study tiny").wait_for()
    page.get_by_role("link", name="Watch them on Runs").click()
    page.wait_for_url(re.compile("/runs"))
    page.get_by_text("2 of 2 runs finished").wait_for(timeout=300_000)

    page.get_by_role("link", name="Decide").first.click()
    page.wait_for_url(re.compile("/decide"))
    settled(page)
    page.get_by_text(re.compile("(Take|The next best,) EASE")).first.wait_for()
    page.locator(".js-plotly-plot .legendtext", has_text="Counts, words, factors").wait_for()
    ledger = Ledger.open(Settings(home, f"sqlite:///{home / 'ledger.db'}", 30.0))
    run = next(run for run in ledger.runs("tiny") if run.family == "ease")
    table = ledger.measurements([run.id])
    figure = table[(table.name == "ndcg@10") & (table.slice == "all")].iloc[0].value
    assert 0 < figure < 1
    page.locator(".js-plotly-plot").first.wait_for()

    page.goto(f"{address}/why-this-item?study=tiny&why_run=EASE")
    settled(page)
    item = page.get_by_role("combobox", name="Item", exact=True)
    item.click()
    page.get_by_role("option").nth(4).click()
    page.get_by_role("button", name="Explain this item").click()
    page.locator(".js-plotly-plot .waterfalllayer").wait_for(timeout=300_000)
    page.get_by_text(re.compile("mostly because of|speaks? for|No reason for")).first.wait_for()
    assert page.foreign == []
