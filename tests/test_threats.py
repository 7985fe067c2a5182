"""Every threat on the list has a test, and the page that names them is the one the markers make."""

from __future__ import annotations

from tests.threats import PAGE, ROWS, page, proofs


def test_every_row_has_a_test_and_every_marker_a_row():
    assert proofs().keys() == ROWS.keys()


def test_page_is_current():
    assert PAGE.read_text(encoding="utf-8") == page(), "write it anew: python -m tests.threats"
