"""Three people and what they came for: a product manager, an engineer, a stakeholder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from pypdf import PdfReader

from tests.browser.test_app import keep, settled

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]


def go(page: Page, name: str) -> None:
    """Click a page in the side bar."""
    page.get_by_test_id("stSidebar").get_by_role("link", name=name, exact=True).click()
    page.wait_for_function(f"document.title.startsWith('{name} ')")
    settled(page)


def type_into(page: Page, label: str, text: str, key: str) -> None:
    """Fill a field and wait until the address holds it."""
    field = page.get_by_role("textbox", name=label)
    field.fill(text)
    field.press("Enter")
    page.wait_for_function(f"location.search.includes('{key}=')")
    settled(page)


def test_a_product_manager_goes_from_the_question_to_the_report(filled, open_page, tmp_path):
    page = open_page(filled)
    settled(page)
    expect(page.get_by_role("heading", name=re.compile("^(Yes|No|Not yet)"))).to_be_visible()
    type_into(page, "Million requests a month", "300", "requests")
    type_into(page, "Slowest p95, ms", "50", "p95")
    type_into(page, "Budget, $ per month", "900", "budget")
    page.get_by_text("300 M requests a month").first.wait_for()
    keep(page, "story-manager-start")

    page.get_by_role("link", name="Set limits and see every trade-off").click()
    page.wait_for_url(re.compile("/decide"))
    settled(page)
    expect(page.get_by_role("textbox", name="Slowest p95, ms")).to_have_value("50")
    chosen = page.locator("h2").first.inner_text()
    assert chosen.startswith("Take "), chosen
    run = chosen.removeprefix("Take ").partition(":")[0]
    page.get_by_role("combobox", name="Machine of the language models").click()
    page.keyboard.type("L4")
    page.get_by_role("option", name="L4, predicted", exact=True).click()
    settled(page)
    assert page.get_by_text("predicted").count()
    keep(page, "story-manager-decide")

    go(page, "Plan")
    expect(page.get_by_role("textbox", name="p95 limit, ms")).to_have_value("50")
    assert run in page.get_by_role("combobox", name="Recommender").input_value()
    bill = page.get_by_test_id("stMetric").filter(has_text="$ per month").inner_text()
    dollars = re.search(r"\$[\d,.]+", bill).group()
    keep(page, "story-manager-plan")

    go(page, "Report")
    expect(page.get_by_text(re.compile("For: 300 M requests a month"))).to_be_visible()
    with page.expect_download() as download:
        page.get_by_test_id("stDownloadButton").first.get_by_role("button").click()
    target = tmp_path / "report.html"
    download.value.save_as(target)
    words = re.sub(r"<[^>]+>|\s+", " ", target.read_text("utf-8"))
    for part in ("300 M requests a month", "50.0 ms", "$900", run, dollars):
        assert part in words, part
    assert page.foreign == []


MESSY = """Kunde;Artikel;Wann;Bezeichnung
{lines}
;999;01.02.2024 10:00;ohne Kunde
k1;;02.02.2024 11:00;ohne Artikel
k2;5;kein Datum;Artikel 5
"""


def shop(people: int = 60, items: int = 30) -> str:
    """Orders of a shop as somebody exports them: German heads, semicolons, days first, broken lines."""
    lines = [
        f"k{person};{(person * 7 + step * step) % items};{1 + step:02d}.03.2024 {person % 24:02d}:15;"
        f"Artikel {(person * 7 + step * step) % items}"
        for person in range(people)
        for step in range(8)
    ]
    return MESSY.format(lines="\n".join(lines))


@pytest.fixture
def worked(tmp_path, serve):
    """The app and a real worker over an empty home."""
    home = tmp_path / "home"
    home.mkdir()
    with (home / "worker.log").open("wb") as log:
        worker = subprocess.Popen(
            [sys.executable, "-m", "llmrec_core", "worker"],
            cwd=ROOT,
            env={**os.environ, "LLMREC_HOME": str(home)},
            stdout=log,
            stderr=log,
        )
    yield serve(home)
    worker.terminate()
    worker.wait(timeout=60)


def test_an_engineer_imports_a_messy_shop_and_measures_on_it(worked, open_page, tmp_path):
    file = tmp_path / "orders.csv"
    file.write_text(shop(), "utf-8")
    page = open_page(f"{worked}/data")
    settled(page)
    page.locator("input[type=file]").set_input_files(file)
    page.get_by_text("orders.csv").first.wait_for()
    name = page.get_by_role("textbox", name="Name of the data set")
    name.fill("shop")
    name.press("Enter")
    settled(page)
    page.get_by_role("button", name="Look at the files").click()
    page.get_by_text("3 things have to be settled").wait_for(timeout=120_000)
    page.get_by_text("Leave out rows that cannot be read", exact=True).click()
    settled(page)
    page.get_by_role("button", name="Look again").click()
    would = page.get_by_text(re.compile("An import would store 480 interactions"))
    would.wait_for(timeout=120_000)
    settled(page)
    expect(page.get_by_text(re.compile("rows? left out")).first).to_be_visible()
    keep(page, "story-engineer-import")
    page.get_by_role("button", name="Import", exact=True).click()
    page.get_by_text("Stored as version 1").wait_for(timeout=120_000)

    page.get_by_role("link", name="Train on this").click()
    page.wait_for_url(re.compile("/train.*train_data=shop"))
    settled(page)
    for family, more in (
        ("item-knn", ""),
        ("popularity", ""),
        ("sasrec", "&train_steps=990"),
    ):
        page.goto(f"{worked}/train?train_data=shop&train_family={family}{more}")
        settled(page)
        study = page.get_by_role("textbox", name="Study to put them in")
        study.fill("first")
        study.press("Enter")
        settled(page)
        page.get_by_role("button", name="Queue 1 run").click()
        page.get_by_text("queued in study first").wait_for()
    page.get_by_role("link", name="Watch them on Runs").click()
    page.wait_for_url(re.compile("/runs"))
    page.get_by_text("2 of 3 runs finished").first.wait_for(timeout=120_000)
    page.get_by_text(re.compile(r"SASRec.*: fit, \d+ of 990")).first.wait_for(timeout=120_000)
    page.get_by_role("combobox", name="Run", exact=True).click()
    page.get_by_role("option", name=re.compile("SASRec")).click()
    settled(page)
    keep(page, "story-engineer-running")
    page.get_by_role("button", name="Stop", exact=True).click()
    resume = page.get_by_role("button", name=re.compile(r"Resume from step \d+"))
    expect(page.get_by_role("button", name="Stopping…").or_(resume)).to_be_visible()
    resume.wait_for(timeout=120_000)
    step = int(re.search(r"\d+", resume.inner_text()).group())
    assert step > 0
    resume.click()
    page.get_by_text(re.compile(r"SASRec.*: fit, \d+ of 990")).first.wait_for(timeout=120_000)
    went_on = page.get_by_text(re.compile(rf"resumed from step-0*{step} "))
    # in the log, as the progress of before may stand there for a moment
    went_on.first.wait_for(state="attached", timeout=120_000)

    page.get_by_role("tab", name="Runs compared").click()
    page.get_by_text("Quality, person by person").wait_for()
    settled(page)
    keep(page, "story-engineer-compared")

    go(page, "Profile")
    subject = page.get_by_role("combobox", name="Model or finished run")
    subject.scroll_into_view_if_needed()
    page.wait_for_timeout(500)  # a menu closes when the page scrolls
    subject.click()
    page.get_by_role("option", name=re.compile("Item-kNN")).click()
    for label, number in (("Candidates", "20"), ("History items", "5")):
        page.get_by_role("textbox", name=label, exact=True).fill(number)
    page.get_by_role("button", name="Measure", exact=True).click()
    page.get_by_text(re.compile("answers a request in")).wait_for(timeout=300_000)
    expect(page.get_by_text(re.compile("The measurement took"))).to_be_visible()
    link = page.url
    page.goto(link)
    page.get_by_text(re.compile("answers a request in")).wait_for()  # still there after a reload
    keep(page, "story-engineer-profile")
    assert page.foreign == []


def test_a_stakeholder_reads_a_link_and_a_report_without_a_network(
    filled, open_page, chromium, tmp_path
):
    page = open_page(f"{filled}/report?requests=300&p95=50")
    settled(page)
    headline = page.locator("h2").nth(1).inner_text()
    link = page.locator("[data-testid=stCode]", has_text="?").first.inner_text().strip()
    address = link if link.startswith("http") else f"{filled}/report{link}"
    other = open_page(address, "dark", width=390)
    settled(other)
    assert other.locator("h2").nth(1).inner_text() == headline
    with page.expect_download() as download:
        page.get_by_test_id("stDownloadButton").first.get_by_role("button").click()
    file = tmp_path / "report.html"
    download.value.save_as(file)

    context = chromium.new_context(java_script_enabled=False, offline=True)
    reader = context.new_page()
    reader.goto(file.as_uri())
    assert headline in reader.locator("body").inner_text()
    assert reader.locator("svg").count() == 1
    printed = tmp_path / "report.pdf"
    printed.write_bytes(reader.pdf(format="A4"))
    pages = PdfReader(printed).pages
    words = " ".join(" ".join(sheet.extract_text() for sheet in pages).split())
    for cell in reader.locator("table").first.locator("tr td:first-child").all_inner_texts():
        assert " ".join(cell.split())[:20] in words, f"{cell} is lost in print"
    assert headline in words
    for sheet in pages:
        sides = sorted((float(sheet.mediabox.width), float(sheet.mediabox.height)))
        assert sides == pytest.approx([595, 842], abs=2), "A4"
    context.close()
