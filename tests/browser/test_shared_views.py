"""What is shown to others: a page in a frame of a named origin, pages to be read only, a marked line."""

import re
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from pages.shared.warm import warm
from tests.browser.test_app import settled
from tests.served import free_port, start_app, study_home


@pytest.fixture
def intranet(tmp_path):
    """A page of another origin that shows whatever address stands in it; gives its origin."""
    folder = tmp_path / "intranet"
    folder.mkdir()
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", free_port()), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("named", [True, False])
def test_only_a_page_of_a_named_origin_shows_ours(named, intranet, open_page, serve, tmp_path):
    folder, origin = intranet
    home = study_home(tmp_path)
    if named:
        (home / "access.toml").write_text(f'[web]\nembed = ["{origin}"]\n')
        (home / "access.toml").chmod(0o600)
    ours = serve(home)
    frame = f'<iframe src="{ours}/decide?embed=true" width="1100" height="800"></iframe>'
    (folder / "index.html").write_text(f"<h1>Intranet</h1>{frame}")
    page = open_page(f"{origin}/index.html")
    inside = page.frame_locator("iframe")
    if not named:
        page.wait_for_load_state("networkidle")
        assert inside.get_by_role("heading", name="Decide").count() == 0
        return
    inside.get_by_role("heading", name="Decide").wait_for()
    inside.locator(".js-plotly-plot").first.wait_for()
    assert not inside.get_by_test_id("stMainMenu").is_visible()
    assert inside.get_by_test_id("stSidebar").get_attribute("aria-expanded") != "true"


def test_pages_to_be_read_only_offer_no_work(open_page, tmp_path, monkeypatch):
    monkeypatch.setenv("LLMREC_READ_ONLY", "1")
    port = free_port()
    process = start_app(study_home(tmp_path), port)
    try:
        warm(port, timeout_s=60)
        page = open_page(f"http://127.0.0.1:{port}")
        settled(page)
        page.get_by_text("Read only: nothing can be changed here.").wait_for()
        side_bar = page.get_by_test_id("stSidebar")
        side_bar.get_by_role("link", name="Runs").wait_for()  # of the last section
        assert side_bar.get_by_role("link", name="Decide").count() == 1
        assert side_bar.get_by_role("link", name="Train").count() == 0
        page.goto(f"http://127.0.0.1:{port}/train")
        page.get_by_text(re.compile("needs the role analyst")).wait_for()
    finally:
        process.terminate()
        process.wait(timeout=20)


def test_a_line_that_is_clicked_has_its_mark_framed(filled, open_page):
    page = open_page(f"{filled}/decide")
    settled(page)
    legend = page.locator(".js-plotly-plot .legend").first
    assert "the marked line" not in legend.text_content()
    table = page.get_by_test_id("stDataFrame").first
    table.scroll_into_view_if_needed()
    box = table.bounding_box()
    page.mouse.click(box["x"] + 12, box["y"] + 52)
    page.get_by_role("link", name="Open the marked run").wait_for()
    page.locator(".js-plotly-plot .legend", has_text="the marked line").wait_for()
    page.get_by_role("link", name="Open the marked run").click()
    page.wait_for_url(re.compile("/runs.*runs_id="))
