"""People log in at a real provider: roles hold on every page, and one's data is nobody else's."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from llmrec_core.data import store
from llmrec_core.ledger.ledger import Ledger
from llmrec_core.settings import Settings
from pages.shared.navigation import MAP
from tests import synthetic
from tests.metrics.test_facets import dataset
from tests.served import free_port

pytestmark = pytest.mark.slow
EVE, BEN, VERA, ANNA, MALLORY = (
    f"{name}@example.org" for name in ("eve", "ben", "vera", "anna", "mallory")
)
ADDRESSES = [address for pages in MAP.values() for *_, address in pages]
ACCESS = """
[login]
server_metadata_url = "http://localhost:{provider}/.well-known/openid-configuration"
client_id = "llmrec"
client_secret = "hush-hush"
redirect_uri = "http://localhost:{port}/oauth2callback"
cookie_secret = "0123456789abcdef0123456789abcdef"
[roles]
"eve@example.org" = "analyst"
"ben@example.org" = "analyst"
"vera@example.org" = "viewer"
"anna@example.org" = "admin"
"""


def private_study(settings: Settings) -> None:
    """A study of everybody, and Eve's own on her own data, full of canaries."""
    ledger = synthetic.write_study(settings)
    shop = dataset()
    items = shop.items.assign(title=[f"canary item {code}" for code in range(shop.n_items)])
    shop = dataclasses.replace(shop, name="eve-shop", title="canary shop", items=items)
    store.save(shop, settings, note="canary note")
    ledger.own("eve-shop", EVE)
    rows = [(f"canary {row[0]}", *row[1:]) for row in synthetic.ROWS[:3]]
    specs = [
        dataclasses.replace(synthetic.spec(row), data=dataclasses.replace(
            synthetic.spec(row).data, name="eve-shop", content_hash=shop.content_hash
        ))
        for row in rows
    ]  # fmt: skip
    for spec in specs:
        ledger.enqueue(spec, "canary-study", title="The canary study", asked_by=EVE, priority=9)
    for number, row in enumerate(rows):
        lease = ledger.claim("w")
        ledger.report(lease, lines=["canary log"])
        ledger.finish(lease, *synthetic.record(row, number))
    ledger.close()


@pytest.fixture(scope="module")
def site(
    serve: Callable[..., str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Settings]]:
    """The app with a login, on a home with Eve's private data."""
    home = tmp_path_factory.mktemp("people")
    settings = Settings(home, f"sqlite:///{home / 'ledger.db'}", 30.0)
    private_study(settings)
    port, at = free_port(), free_port()
    provider = subprocess.Popen(
        [sys.executable, "-m", "oidc_provider_mock", "--port", str(at)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        file = home / "access.toml"
        file.write_text(ACCESS.format(provider=at, port=port))
        file.chmod(0o600)
        serve(home, port)
        yield f"http://localhost:{port}", settings
    finally:
        provider.terminate()
        provider.wait()


@pytest.fixture
def log_in(chromium: Browser, site: tuple[str, Settings]) -> Iterator[Callable[[str], Page]]:
    """Log somebody in, in a browser of their own."""
    contexts = []

    def logged_in(email: str) -> Page:
        context = chromium.new_context(viewport={"width": 1280, "height": 900})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(45_000)
        page.goto(site[0])
        page.get_by_role("button", name="Log in").click()
        page.locator("input[name=sub]").fill(email)
        page.get_by_role("button", name="Authorize").click()
        page.wait_for_url(re.compile(r"http://localhost:\d+/(start|\?|$)"))
        page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
        return page

    yield logged_in
    for context in contexts:
        context.close()


def visit(page: Page, address: str) -> str:
    """Open a page by its address; returns all that the browser holds of it."""
    page.goto(address)
    page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
    page.wait_for_timeout(300)
    return page.content()


@pytest.mark.threat("unauthenticated")
def test_logged_out_no_page_shows_anything(site, open_page):
    page = open_page(site[0])
    for address in ["", *ADDRESSES, "start?study=canary-study", "runs?study=default"]:
        shown = visit(page, f"{site[0]}/{address}")
        expect(page.get_by_role("button", name="Log in")).to_be_visible()
        for word in ("canary", "EASE", "ml-100k", "Films"):
            assert word not in shown, (address, word)


@pytest.mark.threat("leak-between-people")
def test_private_data_is_on_no_page_of_another(site, log_in):
    """Two people in two browsers: no string of Eve's reaches Ben, whatever address he types."""
    eve, ben = log_in(EVE), log_in(BEN)
    seen = 0
    for address in ADDRESSES:
        seen += "canary" in visit(eve, f"{site[0]}/{address}?study=canary-study")
        assert "canary" not in visit(ben, f"{site[0]}/{address}"), address
        shown = visit(ben, f"{site[0]}/{address}?study=canary-study&data_name=eve-shop")
        assert "canary" not in shown.replace("study=canary-study", ""), address
    assert seen >= 8  # Eve sees her own


@pytest.mark.threat("stale-tab")
def test_stale_tab_ends_with_the_login(site, log_in):
    """Logged out in one tab, the other one's old connection shows nothing more."""
    first = log_in(EVE)
    second = first.context.new_page()
    second.set_default_timeout(45_000)
    assert "canary" in visit(second, f"{site[0]}/runs?study=canary-study")
    first.get_by_role("button", name="Log out").click()
    first.get_by_role("button", name="End session").click()  # the provider's own page
    expect(first.get_by_role("button", name="Log in")).to_be_visible()
    second.get_by_test_id("stSidebar").get_by_test_id("stPageLink-NavLink").filter(
        has_text="Data"
    ).click()
    expect(second.get_by_role("button", name="Log in")).to_be_visible()
    second.wait_for_timeout(500)
    assert "canary" not in second.content()


@pytest.mark.threat("unauthenticated")
def test_roles_hold_on_pages_and_actions(site, log_in):
    base, settings = site
    vera = log_in(VERA)
    entries = vera.get_by_test_id("stSidebar").get_by_test_id("stPageLink-NavLink")
    entries.filter(has_text="Runs").wait_for()
    links = entries.all_inner_texts()
    assert not [text for text in links if "Train" in text or "People" in text]
    for address in ("train", "people"):  # by its address
        visit(vera, f"{base}/{address}")
        expect(vera.get_by_text("needs the role")).to_be_visible()
    ledger = Ledger.open(settings)
    broken = next(run for run in ledger.runs("default") if run.name == "Broken run")
    visit(vera, f"{base}/runs?study=default&runs_id={broken.id}")
    vera.get_by_role("button", name="Run again").click()
    expect(vera.get_by_text("retry needs the role analyst")).to_be_visible()
    assert ledger.run(broken.id).state == "failed"
    refused = [(row.person, row.action) for row in ledger.actions() if not row.allowed]
    assert (VERA, "retry") in refused
    ledger.close()

    anna = log_in(ANNA)
    shown = visit(anna, f"{base}/people")
    assert "Seen by" in shown or "Actions" in shown
    assert "needs the role" not in shown


@pytest.mark.threat("unauthenticated")
def test_somebody_without_a_role_sees_a_sentence(site, log_in):
    page = log_in(MALLORY)
    expect(page.get_by_text("has no role here")).to_be_visible()
    assert page.get_by_test_id("stSidebar").get_by_test_id("stPageLink-NavLink").count() == 0
    for address in ADDRESSES[:4]:
        assert "EASE" not in visit(page, f"{site[0]}/{address}")


@pytest.mark.threat("secrets")
def test_secrets_stay_out_of_logs_and_pages(site, log_in):
    page = log_in(ANNA)
    home: Path = site[1].home
    kept = [
        path.read_bytes()
        for path in home.rglob("*")
        if path.is_file() and path.name != "access.toml"
    ]
    for secret in (b"hush-hush", b"0123456789abcdef0123456789abcdef"):
        assert not [text for text in kept if secret in text]
        assert secret.decode() not in visit(page, f"{site[0]}/people")
