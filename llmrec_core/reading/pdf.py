"""The report as a PDF on A4, printed by a browser of this machine, else by WeasyPrint."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path

from llmrec_core.errors import LlmrecError, UnsupportedError
from llmrec_core.language import t

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = (
    "--headless",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--no-first-run",
    "--no-pdf-header-footer",
)
LONGEST_S = 60.0
_CHINESE = re.compile("[\u3400-\u9fff\uf900-\ufaff]")
_one_at_a_time = threading.Lock()
"""A browser takes some hundred megabytes; many readers wait for each other."""


def obstacle(html: str) -> str:
    """Why a document cannot be printed on this machine; empty when it can."""
    if _CHINESE.search(html) and not _has_chinese_font():
        return t(
            "the report holds Chinese and this machine has no font for it: install one, e.g. "
            "Debian's fonts-noto-cjk, or take the HTML file"
        )
    if _browser() is None and importlib.util.find_spec("weasyprint") is None:
        return t(
            "nothing here can print a PDF: install Chromium or WeasyPrint, or take the HTML "
            "file and print it from your browser"
        )
    return ""


def printed(html: str) -> bytes:
    """The PDF of a report.

    Args:
        html: a whole document that asks for nothing from elsewhere and holds no script of others.

    Raises:
        UnsupportedError: when nothing here can print, or no font has the signs of the text.
        LlmrecError: when the browser failed or took longer than a minute.
    """
    why_not = obstacle(html)
    if why_not:
        raise UnsupportedError(why_not)
    browser = _browser()
    if browser is not None:
        with _one_at_a_time:
            return _by_browser(browser, html)
    import weasyprint

    return bytes(weasyprint.HTML(string=html).write_pdf())


def _browser() -> str | None:
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def _by_browser(browser: str, html: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        page, target = Path(folder) / "report.html", Path(folder) / "report.pdf"
        page.write_text(html, encoding="utf-8")
        flags = [*FLAGS, f"--user-data-dir={folder}/profile", f"--print-to-pdf={target}"]
        if os.geteuid() == 0:  # the browser's own sandbox does not start for root
            flags.append("--no-sandbox")
        try:
            subprocess.run(
                [browser, *flags, page.as_uri()],
                capture_output=True,
                timeout=LONGEST_S,
                check=True,
            )
            return target.read_bytes()
        except (subprocess.SubprocessError, OSError) as error:
            raise LlmrecError(
                t(
                    "{browser} could not print the report ({error}); take the HTML file",
                    browser=browser,
                    error=type(error).__name__,
                )
            ) from error


def _has_chinese_font() -> bool:
    """Whether fontconfig knows a font for Chinese; true where there is no fontconfig to ask."""
    lister = shutil.which("fc-list")
    if lister is None:
        return True
    done = subprocess.run([lister, ":lang=zh"], capture_output=True, text=True, check=False)
    return bool(done.stdout.strip())
