"""The conversation of Why this item in Chromium, with a real worker: it prints how long each answer took.

With `LLMREC_DEMO_HOME` (a home whose default study has finished) the best cross-encoder of that study is asked, after a
cold start of worker and web; without it an item-kNN made on the spot.
"""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.test_app import settled

ROOT = Path(__file__).parents[2]
STUDY = """
name = "tiny"
title = "One cheap row"

[[run]]
name = "Item-kNN"
protocol = { users = 60 }
recommender = { family = "item-knn" }
"""


@pytest.fixture
def asked_home(tmp_path):
    """A home with a finished run, and the name of the run to ask."""
    demo = os.environ.get("LLMREC_DEMO_HOME")
    if demo:
        return Path(demo), "default", "MiniLM cross-encoder, 2 layers, full fine-tuning"
    home = tmp_path / "home"
    (tmp_path / "tiny.toml").write_text(STUDY, "utf-8")
    environment = {**os.environ, "LLMREC_HOME": str(home)}
    with (tmp_path / "worker.log").open("wb") as log:
        command = [sys.executable, "-m", "llmrec_core"]
        worker = subprocess.Popen(
            [*command, "worker"], cwd=ROOT, env=environment, stdout=log, stderr=log
        )
        done = subprocess.run(
            [*command, "study", str(tmp_path / "tiny.toml")],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
        )
        worker.terminate()
        worker.wait(timeout=60)
    assert done.returncode == 0, done.stderr[-2000:]
    return home, "tiny", "Item-kNN"


def why(page):
    """The sentences of the page: why, rather than, and what would change it."""
    words = re.compile("speaks? for|mostly because|rather than|Without|rises most|same order")
    return sorted(text for text in page.locator("p, h2").all_inner_texts() if words.search(text))


@pytest.mark.slow
def test_a_conversation_is_the_same_from_its_link(asked_home, serve, open_page, tmp_path):
    home, study, run = asked_home
    environment = {**os.environ, "LLMREC_HOME": str(home)}
    with (tmp_path / "cold.log").open("wb") as log:
        worker = subprocess.Popen(
            [sys.executable, "-m", "llmrec_core", "worker"],
            cwd=ROOT,
            env=environment,
            stdout=log,
            stderr=log,
        )
    try:
        address = serve(home)
        page = open_page(f"{address}/why-this-item?study={study}&why_run={run}")
        settled(page)
        took = {}

        def timed(name, act, ready):
            began = time.perf_counter()
            act()
            ready().first.wait_for(timeout=300_000)
            took[name] = time.perf_counter() - began

        def choose(label, number):
            page.get_by_role("combobox", name=label, exact=True).click()
            page.get_by_role("option").nth(number).click()
            settled(page)

        choose("Item", 3)
        below_words = re.compile(r"stays above|falls below|stands (above|below)")
        moved_words = re.compile(r"stays first|is first now|stays in the same order")
        answered = re.compile("new scorings? ·")
        explain = page.get_by_role("button", name="Explain this item")
        timed("first answer", explain.click, lambda: page.get_by_text(answered))
        choose("Item", 4)
        explain = page.get_by_role("button", name="Explain this item")
        timed("second item", explain.click, lambda: page.get_by_text(answered))
        settled(page)
        page.wait_for_timeout(1500)  # the poll's last rerun
        rival = page.get_by_role("combobox", name="Rather than")
        rival.scroll_into_view_if_needed()
        page.wait_for_timeout(500)
        rival.click()
        option = page.get_by_role("option").nth(2)
        timed(
            "contrast and counterfactual",
            option.click,
            lambda: page.get_by_text(below_words),
        )
        page.locator(".st-key-why_contrast_chart").wait_for()
        settled(page)
        taken = page.locator(".st-key-why_without").get_by_role("button")
        taken.nth(1).click()  # the first is the help
        moved = page.get_by_text(moved_words)
        moved.first.wait_for(timeout=300_000)
        settled(page)
        if os.environ.get("LLMREC_SHOT"):
            page.screenshot(path=os.environ["LLMREC_SHOT"], full_page=True)
        print("\n" + ", ".join(f"{name} {seconds:.2f} s" for name, seconds in took.items()))
        link = page.url
        for name in ("why_run", "why_user", "why_item", "why_asked", "why_against", "why_without"):
            assert f"{name}=" in link
        other = open_page(link)
        for part in (answered, below_words, moved_words):
            other.get_by_text(part).first.wait_for(timeout=300_000)
        settled(other)
        expect(other).to_have_url(link)
        sentences = why(page)
        until = time.monotonic() + 60  # parts of a page appear one after the other
        while why(other) != sentences and time.monotonic() < until:
            other.wait_for_timeout(500)
        assert why(other) == sentences
        assert page.foreign == [] and other.foreign == []
    finally:
        worker.terminate()
        worker.wait(timeout=60)
