"""The app in Chromium: looks, addresses, downloads, and data that tries to be code."""

import re
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from pages.shared.navigation import MAP, NEEDS

FEWEST_PAGES = 10
ADDRESSES = [
    "" if address == "start" else address  # the first page has no address of its own
    for pages in MAP.values()
    for file, *_, address in pages
    if NEEDS.get(file) != "admin"
]
PICTURES = Path(__file__).parents[2] / ".build" / "pictures"
"""Where tests keep pictures of pages; not part of the repository."""


def settled(page) -> None:
    """Wait until the page's script has run to its end."""
    page.wait_for_selector("h1")
    page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")


def each_page(page):
    """Go through the navigation, yielding each page's title once it is drawn."""
    links = page.get_by_test_id("stSidebar").get_by_test_id("stPageLink-NavLink")
    settled(page)
    links.nth(FEWEST_PAGES - 1).wait_for()  # the side bar may be drawn a moment after the page
    for index in range(links.count()):
        links.nth(index).click()
        name = links.nth(index).inner_text().split("\n")[-1]
        page.wait_for_function(f"document.title.startsWith('{name} ')")
        settled(page)
        yield name


def keep(page, name: str) -> None:
    """Keep a picture of the page, to be looked at."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=PICTURES / f"{name}.png")


def barriers(page):
    """What axe calls serious or critical on the page: the rule and where it is broken."""
    report = Axe().run(page, options={"resultTypes": ["violations"]})
    return [
        (broken["id"], node["target"], node["failureSummary"])
        for broken in report.response["violations"]
        if broken["impact"] in ("serious", "critical")
        for node in broken["nodes"]
    ]


@pytest.mark.threat("remote-image")
def test_every_page_draws_in_dark_without_an_error_or_a_foreign_request(filled, open_page):
    page = open_page(f"{filled}/", "dark")
    problems = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    names = []
    for name in each_page(page):
        names.append(name)
        assert page.get_by_test_id("stException").count() == 0, name
        assert page.get_by_test_id("stDialog").count() == 0, name
        background = page.evaluate(
            "getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor"
        )
        assert sum(map(int, re.findall(r"\d+", background)[:3])) < 200, (
            f"{name} is not dark: {background}"
        )
        assert barriers(page) == [], name
    assert len(names) >= FEWEST_PAGES
    assert {"Plan", "Other hardware"} <= set(names)
    assert problems == []
    assert page.foreign == []


@pytest.mark.threat("script-in-title", "remote-image")
def test_titles_that_try_to_be_code_stay_text_on_every_page(hostile, open_page):
    page = open_page(f"{hostile}/")
    for name in each_page(page):
        page.wait_for_timeout(200)
        assert page.evaluate("window.__xss") is None, name
        assert page.locator("img[src='x']").count() == 0, name
        assert page.locator("a[href^='javascript']").count() == 0, name
        assert page.locator("a[href*='evil.invalid']").count() == 0, name
        assert barriers(page) == [], name
    assert page.foreign == []


def test_a_phone_has_room_for_the_charts(filled, open_page):
    for address in ("decide", "plan", "profile", "other-hardware"):
        page = open_page(f"{filled}/{address}", width=390)
        page.locator(".js-plotly-plot .nsewdrag").first.wait_for(state="attached")
        settled(page)
        assert page.get_by_test_id("stMain").evaluate("main => main.scrollWidth") <= 390, address
        widths = page.locator(".js-plotly-plot .nsewdrag").evaluate_all(
            "areas => areas.map(area => area.getBoundingClientRect().width)"
        )
        assert min(widths) > 140, f"{address}: {widths}"
        page.context.close()


def test_every_page_fits_a_phone_in_chinese_and_english(filled, open_page):
    for language, scheme in (("zh_CN", "light"), ("en", "dark")):
        page = open_page(f"{filled}/?lang={language}", scheme, width=390)
        for address in ADDRESSES:
            page.goto(f"{filled}/{address}?lang={language}")
            settled(page)
            name = f"{address} in {language}"
            assert page.get_by_test_id("stException").count() == 0, name
            expect(page.get_by_test_id("stDialog")).to_have_count(0)
            main = page.get_by_test_id("stMain")
            assert main.evaluate("main => main.scrollWidth") <= 390, name
            title = page.locator("h1").first.inner_text()
            assert bool(re.search(r"[\u4e00-\u9fff]", title)) == (language == "zh_CN"), name
            assert barriers(page) == [], name
            keep(page, f"{address or 'start'}-{language}-{scheme}-390")
        assert page.foreign == []
        page.context.close()


def test_the_keyboard_leaves_a_table_again(filled, open_page):
    page = open_page(f"{filled}/runs")
    settled(page)
    grid = page.get_by_test_id("stDataFrame").first
    grid.scroll_into_view_if_needed()
    box = grid.bounding_box()
    page.mouse.click(box["x"] + 60, box["y"] + 60)
    inside = "node => node.contains(document.activeElement)"
    page.wait_for_timeout(500)
    page.keyboard.press("Tab")
    assert grid.evaluate(inside), "Tab goes from cell to cell"
    page.keyboard.press("Escape")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert not grid.evaluate(inside)
    assert page.get_by_text("Esc and then Tab leave it").count() == 1


def test_a_shared_address_shows_the_same_view(filled, open_page):
    page = open_page(f"{filled}/decide")
    settled(page)
    page.get_by_role("combobox", name="Quality").click()
    page.get_by_role("option", name="MRR").click()
    limit = page.get_by_role("textbox", name="Slowest p95, ms")
    limit.fill("0.05")
    limit.press("Enter")
    page.wait_for_function("location.search.includes('p95=0.05')")
    settled(page)
    page.get_by_text("is above").first.wait_for()
    sentence = page.locator("h2").first.inner_text()
    assert "study=default" in page.url

    other = open_page(page.url)
    settled(other)
    other.get_by_text("is above").first.wait_for()
    assert other.locator("h2").first.inner_text() == sentence
    assert other.get_by_role("combobox", name="Quality").input_value() == "MRR"


def test_the_chosen_study_stays_in_the_address_from_page_to_page(filled, open_page):
    page = open_page(f"{filled}/decide?study=default")
    settled(page)
    page.get_by_role("link", name="Runs").click()
    page.wait_for_url(re.compile("/runs"))
    page.wait_for_function("location.search.includes('study=default')")


@pytest.mark.threat("formula")
def test_a_table_downloads_as_csv_without_formulas(hostile, open_page, tmp_path):
    page = open_page(f"{hostile}/why-this-item")
    settled(page)
    with page.expect_download() as download:
        page.locator(".st-key-why_list_csv").get_by_role("button").click()
    target = tmp_path / "reasons.csv"
    download.value.save_as(target)
    lines = target.read_text("utf-8").splitlines()
    assert lines[0] == "#,Title,Score,✓"
    assert not any(cell.startswith(("=", "@", "+")) for line in lines for cell in line.split(","))


@pytest.mark.threat("script-in-title", "remote-image")
def test_the_report_opens_from_disk_and_asks_nobody(hostile, open_page, tmp_path):
    page = open_page(f"{hostile}/report")
    settled(page)
    page.get_by_label("Your comment").fill("For the board <script>window.__xss=1</script>")
    page.get_by_label("Your comment").press("Control+Enter")
    page.get_by_test_id("stText").get_by_text(
        "For the board"
    ).wait_for()  # in the preview, below the button
    settled(page)
    with page.expect_download() as download:
        page.get_by_test_id("stDownloadButton").first.get_by_role("button").click()
    target = tmp_path / "report.html"
    download.value.save_as(target)
    assert target.stat().st_size < 6 * 2**20
    with page.expect_download() as download:
        page.get_by_role("button", name="Print as PDF").click()
    assert download.value.path().read_bytes().startswith(b"%PDF-")

    reader = open_page(target.as_uri(), "dark")
    assert reader.get_by_text("For the board").count() == 1
    assert reader.locator("svg").count() == 1
    assert reader.locator("table tr").count() > 14
    assert reader.evaluate("window.__xss") is None
    assert reader.evaluate("performance.getEntriesByType('resource').length") == 0
    assert reader.foreign == []


def test_a_box_on_the_chart_leads_to_a_comparison_of_its_runs(filled, open_page):
    page = open_page(f"{filled}/decide")
    settled(page)
    plot = page.locator(".js-plotly-plot .nsewdrag").first
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    page.mouse.move(box["x"] + 3, box["y"] + 3)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps=5)
    page.mouse.move(box["x"] + box["width"] - 3, box["y"] + box["height"] - 3, steps=5)
    page.mouse.up()
    button = page.get_by_role("button", name=re.compile("Compare these . runs"))
    count = int(re.search(r"\d", button.inner_text()).group())
    button.click()
    page.wait_for_url(re.compile("/runs"))
    settled(page)
    page.get_by_text("Quality, person by person").wait_for()
    assert page.url.count("runs_compared=") == count
    axes = page.locator(".js-plotly-plot .parcoords")
    axes.scroll_into_view_if_needed()
    assert axes.locator(".y-axis").count() >= 4
    assert page.get_by_test_id("stException").count() == 0
