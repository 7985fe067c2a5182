"""Pages that are served to be read only: everybody looks and asks, nobody changes anything."""

import pytest

from llmrec_core.access import GUEST, LOCAL, READ_ONLY, Person, for_reading
from tests.pages.test_pages import unescaped


@pytest.fixture
def reading_only(monkeypatch):
    monkeypatch.setenv(READ_ONLY, "1")


def test_whoever_sits_here_is_a_guest_and_whoever_logs_in_keeps_the_name():
    assert for_reading(LOCAL) == GUEST
    assert for_reading(Person("anna@example.org", "admin")) == Person("anna@example.org", "viewer")


def test_a_guest_reads_and_is_offered_no_work(reading_only, open_page):
    app = open_page("answer/start.py")
    said = [caption.value for caption in app.sidebar.get("caption")]
    assert any("Read only: nothing can be changed here." in caption for caption in said)
    assert app.text_input(key="p95").value == ""
    refused = open_page("build/train.py")
    assert "needs the role analyst; guest has the role viewer" in unescaped(refused)


@pytest.mark.parametrize("tab", ["robustness", "policy"])
def test_a_button_that_starts_work_is_shut(reading_only, open_page, tab):
    app = open_page("measure/quality.py", quality_tab=tab)
    asking = [button for button in app.button if str(button.key).endswith("_ask")]
    assert asking
    assert all(button.disabled for button in asking)
