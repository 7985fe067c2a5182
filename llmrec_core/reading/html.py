"""HTML files that open from disk: no script, no request, every value escaped by the engine.

The content security policy forbids everything but the style that the page brings. Reports and
single explanations are written through here; their layouts stand in `templates/`.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from llmrec_core.language import language

TEMPLATES = Path(__file__).parent / "templates"
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
    "form-action 'none'"
)


@lru_cache(maxsize=1)
def _environment() -> Environment:
    """The template engine: it escapes every value, and refuses a name that nobody gave."""
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def fragment(template: str, **values: object) -> Markup:
    """A part of a page, which may stand in another template as it is.

    Args:
        template: file name in `templates/`.
        **values: what stands in its places; text is escaped.
    """
    return Markup(_environment().get_template(template).render(**values))


def page(title: str, body: Markup) -> str:
    """A whole HTML file around a body made by `fragment`."""
    return fragment("page.html", title=title, body=body, policy=POLICY, language=language())
