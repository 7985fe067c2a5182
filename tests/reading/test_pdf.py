"""The report as PDF: who prints it, and what is refused."""

import pytest

from llmrec_core.errors import LlmrecError, UnsupportedError
from llmrec_core.reading import pdf

PAGE = "<!doctype html><meta charset=utf-8><title>Report</title><h1>Item-kNN</h1><p>0.485</p>"


@pytest.mark.parametrize("printer", ["browser", "weasyprint"])
def test_a_report_is_printed_on_a4(printer, monkeypatch):
    if printer == "weasyprint":
        monkeypatch.setattr(pdf, "_browser", lambda: None)
    assert pdf.obstacle(PAGE) == ""
    content = pdf.printed(PAGE)
    assert content.startswith(b"%PDF-")
    assert b"%%EOF" in content[-32:]


def test_chinese_without_a_font_is_refused(monkeypatch, tmp_path):
    config = tmp_path / "fonts.conf"
    config.write_text("<?xml version='1.0'?><fontconfig></fontconfig>")
    monkeypatch.setenv("FONTCONFIG_FILE", str(config))
    with pytest.raises(UnsupportedError, match="no font for it"):
        pdf.printed(PAGE + "中文")


def test_a_machine_that_cannot_print_says_so(monkeypatch):
    monkeypatch.setattr(pdf, "_browser", lambda: None)
    monkeypatch.setattr(pdf.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UnsupportedError, match="nothing here can print a PDF"):
        pdf.printed(PAGE)


def test_a_browser_that_fails_is_a_sentence(monkeypatch):
    monkeypatch.setattr(pdf, "_browser", lambda: "/bin/false")
    with pytest.raises(LlmrecError, match="/bin/false could not print the report"):
        pdf.printed(PAGE)
