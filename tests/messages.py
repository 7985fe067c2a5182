"""Collect every sentence of the product in the template of its catalogue: `make messages`.

`assets/locales/llmrec.pot` names each sentence that is written `t(…)`, `tn(…)` or `marked(…)` and
the files that hold it, without line numbers, so that it changes only when a sentence does. A new
language starts with `pybabel init -D llmrec -i assets/locales/llmrec.pot -d assets/locales -l de`;
this program then keeps its catalogue up to date: new sentences stand there untranslated, sentences
that are gone leave it. None is guessed from a similar one, as a wrong sentence is worse than English.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_file
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).parents[1]
TEMPLATE = ROOT / "assets" / "locales" / "llmrec.pot"
FUNCTIONS = {"t": None, "tn": (1, 2), "marked": None}


def sources() -> Iterator[Path]:
    """The modules whose sentences a person reads."""
    yield ROOT / "app.py"
    for folder in ("llmrec_core", "pages"):
        yield from sorted((ROOT / folder).rglob("*.py"))


def templates() -> Iterator[Path]:
    """The layouts of reports, which hold headings."""
    yield from sorted((ROOT / "llmrec_core" / "reading" / "templates").glob("*.html"))


def collected() -> Catalog:
    """Every sentence, with the files that hold it."""
    catalogue = Catalog(charset="utf-8")
    for method, files in (("python", sources()), ("jinja2", templates())):
        for file in files:
            for _, message, _, _ in extract_from_file(method, file, FUNCTIONS):
                catalogue.add(message, locations=[(file.relative_to(ROOT).as_posix(), 0)])
    for message in catalogue:
        # Babel takes "80 % interval" for a place of the old % formatting.
        message.flags.discard("python-format")
    return catalogue


def written(catalogue: Catalog, locations: bool) -> bytes:
    """A catalogue as its file holds it, sorted, so that it changes only where a sentence does.

    Args:
        catalogue: the sentences.
        locations: whether the files that hold each sentence are named.
    """
    file = io.BytesIO()
    write_po(
        file,
        catalogue,
        omit_header=True,
        sort_output=True,
        include_lineno=False,
        no_location=not locations,
        ignore_obsolete=True,
        width=100,
    )
    return file.getvalue()


def template() -> str:
    """The text that `assets/locales/llmrec.pot` should hold."""
    return written(collected(), locations=True).decode()


def catalogue_files() -> list[Path]:
    """The catalogue of each language but English."""
    return sorted(TEMPLATE.parent.glob("*/LC_MESSAGES/llmrec.po"))


def read(file: Path) -> Catalog:
    """The catalogue of one language."""
    return read_po(io.BytesIO(file.read_bytes()), locale=file.parts[-3])


def main() -> None:
    """Write the template and bring each catalogue up to date."""
    TEMPLATE.write_text(template(), encoding="utf-8")
    sentences = collected()
    for file in catalogue_files():
        catalogue = read(file)
        catalogue.update(sentences, no_fuzzy_matching=True)
        file.write_bytes(written(catalogue, locations=False))
    print(f"{TEMPLATE.relative_to(ROOT)}: {len(sentences)} sentences")


if __name__ == "__main__":
    main()
