"""How `make docs` builds these pages: strictly, offline, with nothing fetched from elsewhere."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Annotated, Any, get_origin

from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

from llmrec_core import __version__  # noqa: E402 - found on the path that was just set

project = "LLMRec Studio"
author = "the LLMRec Studio authors"
project_copyright = f"2026, {author}"
release = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.apidoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "reference_pages",
]
exclude_patterns = ["screenshots"]
suppress_warnings = ["ref.python"]  # annotations name a class shortly, and short names occur twice

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

default_role = "code"  # our docstrings mark code with one backtick
autodoc_inherit_docstrings = False  # what SQLAlchemy says of its own methods is not ours to build
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
apidoc_modules = [
    {
        "path": "../llmrec_core",
        "destination": "reference/api",
        "exclude_patterns": ["../llmrec_core/ledger/migrations/*", "../llmrec_core/__main__.py"],
        "separate_modules": True,
        "module_first": True,
        "max_depth": 1,
        "automodule_options": {"members", "show-inheritance"},
    }
]

SIDE_BAR_LEVELS = 2
html_theme = "furo"
html_title = f"LLMRec Studio {release}"
html_show_sphinx = False
html_theme_options = {"top_of_page_buttons": []}


def _as_plain_text(
    app: Sphinx, what: str, name: str, of: object, options: object, lines: list[str]
) -> None:
    """Docstrings are plain text with code in backticks: bars and stars mean themselves."""
    lines[:] = [
        line
        if line.lstrip().startswith((">>>", "..."))
        else re.sub(r"(?<!\\)([|*])", r"\\\1", line)
        for line in lines
    ]


_attributes: dict[str, list[str]] = {}


def _keep_attribute(
    app: Sphinx, what: str, name: str, of: object, options: object, lines: list[str]
) -> None:
    """Put an attribute's docstring aside: napoleon takes what stands before a colon for a type."""
    if what == "attribute":
        _attributes[name] = lines[:]


def _restore_attribute(
    app: Sphinx, what: str, name: str, of: object, options: object, lines: list[str]
) -> None:
    """Bring it back after napoleon."""
    if what == "attribute":
        lines[:] = _attributes[name]


def _without_aliases(
    app: Sphinx, what: str, name: str, of: object, skip: bool, options: object
) -> bool | None:
    """A name for an annotated type has no documentation of its own, but that of `Annotated`."""
    return True if get_origin(of) is Annotated else None


_side_bar_of_modules: list[str] = []


def _without_modules(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: object
) -> None:
    """Name no module in the side bar: five hundred lines that nobody reads there.

    Pages of modules stand in one folder and in nobody's side bar, so one side bar serves them all.
    """
    whole = context["toctree"]

    def short(**options: object) -> str:
        if not page.startswith("reference/api/"):
            return whole(**{**options, "maxdepth": SIDE_BAR_LEVELS})
        if not _side_bar_of_modules:
            _side_bar_of_modules.append(whole(**{**options, "maxdepth": SIDE_BAR_LEVELS}))
        return _side_bar_of_modules[0]

    context["toctree"] = short


def setup(app: Sphinx) -> None:
    """Adapt docstrings before and after napoleon reads their sections (priority 500)."""
    app.connect("html-page-context", _without_modules, priority=400)  # the theme draws it at 500
    app.connect("autodoc-process-docstring", _as_plain_text, priority=100)
    app.connect("autodoc-process-docstring", _keep_attribute, priority=101)
    app.connect("autodoc-process-docstring", _restore_attribute, priority=900)
    app.connect("autodoc-skip-member", _without_aliases)
