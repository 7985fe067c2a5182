"""Five questions that people bring, answered from the pages alone: the clicks, and what is then read.

They are asked of the recorded study that a fresh home shows; what the pages answer is compared with its file.
The answers are written to `.build/pictures/five-questions.md`.
"""

from __future__ import annotations

import csv
import io
import json
import re

import numpy as np
import pytest
from playwright.sync_api import Page

from llmrec_core.metrics.intervals import paired_difference
from pages.shared.samples import DEFAULT_FILE
from tests.browser.test_app import PICTURES, settled

STUDY = json.loads(DEFAULT_FILE.read_text("utf-8"))
RUNS = {run["name"]: run for run in STUDY["runs"]}
PROTOCOL = "loo/100-uniform"


@pytest.fixture(scope="module")
def sample(serve, tmp_path_factory) -> str:
    """The app over a home in which nothing was measured: it shows the recorded study."""
    return serve(tmp_path_factory.mktemp("fresh"))


@pytest.fixture(scope="module", autouse=True)
def answers():
    """What was answered, by question; written down at the end."""
    told: dict[str, str] = {}
    yield told
    PICTURES.mkdir(parents=True, exist_ok=True)
    lines = [f"- **{question}** {answer}\n" for question, answer in told.items()]
    (PICTURES / "five-questions.md").write_text("".join(lines), "utf-8")


def go(page: Page, name: str) -> None:
    """Click a page in the side bar."""
    page.get_by_test_id("stSidebar").get_by_role("link", name=name, exact=True).click()
    page.wait_for_function(f"document.title.startsWith('{name} ')")
    settled(page)


def lines_of(page: Page, key: str) -> list[dict[str, str]]:
    """The table of a key, by its button for a CSV."""
    with page.expect_download() as download:
        page.locator(f".st-key-{key}_csv").get_by_role("button").click()
    return list(csv.DictReader(io.StringIO(download.value.path().read_text("utf-8-sig"))))


def figure(run: str, name: str, protocol: str) -> float:
    """A figure of everybody in the recorded study."""
    (value,) = [
        row["value"]
        for row in RUNS[run]["measurements"]
        if (row["name"], row["protocol"], row["slice"]) == (name, protocol, "all")
    ]
    return float(value)


def people(run: str, name: str, protocol: str = PROTOCOL) -> np.ndarray:
    """Values of each person, in the order of their codes."""
    (kept,) = [
        sample
        for sample in RUNS[run]["samples"]
        if (sample["name"], sample["protocol"]) == (name, protocol)
    ]
    return np.array(kept["values"])[np.argsort(kept["keys"])]


def test_does_it_pay_for_cold_items(sample, open_page, answers):
    page = open_page(sample)
    settled(page)
    better = page.get_by_text("Where a language model does better:").first.inner_text()
    turn = page.get_by_text(re.compile("^New items among each other")).inner_text()
    answers["Does it pay for cold items?"] = f"{better} {turn}"
    shelf = "loo-cold-items/shelf"
    both = ("New items: TF-IDF and two towers fused", "New items: TF-IDF on titles")
    for run in both:
        assert f"{run} {figure(run, 'ndcg@10', shelf):.3f}" in turn
    fused, words = (people(run, "ndcg@10", shelf) for run in both)
    gap = paired_difference(fused, words)
    assert ("fused leads" in turn) == ("new items" in better) == (gap.low > 0)
    assert ("not distinguishable" in turn) == (not gap.distinguishable)


def test_what_would_three_million_users_cost_on_an_l4(sample, open_page, answers):
    page = open_page(sample)
    settled(page)
    go(page, "Plan")
    page.get_by_role("combobox", name="Recommender").click()
    name = "MiniLM cross-encoder, 2 layers, full fine-tuning"
    page.get_by_role("option", name=name, exact=True).click()
    page.wait_for_function("location.search.includes('plan_model=')")
    settled(page)
    page.keyboard.press("Escape")  # a menu that is still closing hides the rest from roles
    page.wait_for_timeout(1000)
    users = page.locator("[data-testid=stButtonGroup] button")
    users.filter(has_text=re.compile("^Users$")).click()
    field = page.get_by_role("textbox", name="Users", exact=True)
    field.fill("3,000,000")
    field.press("Enter")
    page.wait_for_function("location.search.includes('plan_users=3')")
    settled(page)
    (line,) = [line for line in lines_of(page, "plan") if line["device"] == "L4"]
    month, low, high = (float(line[name]) for name in ("usd_per_month", "usd_low80", "usd_high80"))
    answers["What would 3 M users cost on an L4?"] = (
        f"{float(line['devices']):.0f} L4, ${month:,.0f} a month ({low:,.0f} to {high:,.0f}), "
        f"p95 {1e3 * float(line['p95_s']):.1f} ms"
    )
    assert 0 < low <= month <= high
    assert page.get_by_text("3,000,000").count() or page.get_by_text("3.00 M").count()


def test_which_of_two_runs_is_better_and_how_sure(sample, open_page, answers):
    page = open_page(sample)
    settled(page)
    go(page, "Runs")
    page.get_by_role("tab", name="Compare").click()
    page.get_by_text("Quality, person by person").wait_for()
    settled(page)
    (line,) = [line for line in lines_of(page, "runs_gaps") if line["metric"] == "NDCG@10"]
    mean, low, high = (float(line[name]) for name in ("difference", "low", "high"))
    base = page.get_by_role("combobox", name="Compared with").input_value()
    answers["Which of two runs is better, and how sure?"] = (
        f"{line['run']} less {base}: {mean:+.3f} ({low:+.3f} to {high:+.3f}) NDCG@10 over "
        f"{float(line['people']):.0f} people, told apart: {line['told_apart']}"
    )
    own = paired_difference(people(line["run"], "ndcg@10"), people(base, "ndcg@10"))
    assert mean == pytest.approx(own.mean, abs=1e-9)
    assert (line["told_apart"] == "yes") == own.distinguishable


def test_why_this_film(sample, open_page, answers):
    page = open_page(sample)
    settled(page)
    go(page, "Why this item")
    said = page.get_by_text(re.compile("mostly because|speaks? for|No reason for")).first
    said.wait_for()
    answers["Why this film?"] = said.inner_text()


def test_at_what_worth_of_a_hit_does_it_pay(sample, open_page, answers):
    page = open_page(sample)
    settled(page)
    worth = page.get_by_role("textbox", name="A hit is worth, $")
    worth.fill("1")
    worth.press("Enter")
    page.wait_for_function("location.search.includes('worth=1')")
    settled(page)
    said = page.get_by_text(re.compile("^It breaks even|^An extra hit has no price|^There is no"))
    answers["At what worth of a hit does the language model pay?"] = said.first.inner_text()
    cheap, language = people("Item-kNN", "recall@10"), "Text-SASRec (MiniLM embeddings + ids)"
    seeds = np.mean([people(f"{language}, seed {seed}", "recall@10") for seed in range(3)], axis=0)
    gap = paired_difference(seeds, cheap)
    assert ("breaks even" in said.first.inner_text()) == (gap.low > 0)
