"""What an item is called: titles in natural order, and the one template of an item's text.

Item text is data, never instruction: control characters and line breaks go, and the template adds
nothing but commas.
"""

from __future__ import annotations

import html
import re
import unicodedata
from typing import TYPE_CHECKING

from llmrec_core.errors import UnsupportedError
from llmrec_core.language import t
from llmrec_core.types import Columns

if TYPE_CHECKING:
    from llmrec_core.data.dataset import Dataset

# Articles that library catalogues move behind a comma, in the languages met in MovieLens.
ARTICLES = (
    "The", "A", "An",
    "Le", "La", "Les", "L'", "L’", "Un", "Une",
    "El", "Los", "Las", "Lo", "Una",
    "Il", "Gli", "I",
    "Der", "Die", "Das", "Ein", "Eine", "Det", "Den", "De", "En", "Et", "Het",
    "O", "Os", "As", "Um", "Uma",
)  # fmt: skip
_ARTICLE_LAST = re.compile(
    rf"^(?P<name>.*\S),\s*(?P<article>{'|'.join(map(re.escape, ARTICLES))})$", re.IGNORECASE
)
_PARENTHESIS = re.compile(r"\(([^()]*)\)")
_ALSO_KNOWN_AS = re.compile(r"^(a\.?k\.?a\.?:?)\s+(.*)$", re.IGNORECASE)
_YEAR_LAST = re.compile(r"\((\d{4})(?:\s*[-–]\s*(?:\d{4})?)?\)\s*$")
_UNPRINTABLE = re.compile(
    r"["
    r"\x00-\x1f\x7f-\x9f"  # control characters, escape codes of terminals among them
    r"\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"  # directions
    r"\ud800-\udfff\U000e0000-\U000e007f"  # half characters, and tags that nobody sees
    r"]+"
)
"""Characters that steer a terminal, turn text around or hide in it."""
UNTITLED = "untitled item"


def printable(text: str, limit: int = 80) -> str:
    r"""The text as it may stand in a sentence, a terminal or a log: one line, nothing invisible.

    Args:
        text: from data or a file's name.
        limit: most letters; what is beyond is cut.

    >>> printable("a\x1b[31mb\u202ec\nd")
    'a\ufffd[31mb\ufffdc\ufffdd'
    """
    plain = _UNPRINTABLE.sub("\ufffd", text)
    return plain if len(plain) <= limit else plain[: limit - 1] + "…"


def has_unprintable(text: str) -> bool:
    """Whether a text holds control, direction or invisible characters."""
    return bool(_UNPRINTABLE.search(text))


def without_unprintable(text: str) -> str:
    """The text without control, direction and invisible characters."""
    return _UNPRINTABLE.sub("", text)


def clean_title(raw: str) -> str:
    """The title as a person would say it.

    HTML entities are decoded, line breaks and invisible characters become a space, and an article
    behind a comma goes to the front, also inside parentheses.

    >>> clean_title("Matrix, The (1999)")
    'The Matrix (1999)'
    >>> clean_title("City of Lost Children, The (Cité des enfants perdus, La) (1995)")
    'The City of Lost Children (La Cité des enfants perdus) (1995)'
    >>> clean_title("Star Maker, The (Uomo delle stelle, L')")
    "The Star Maker (L'Uomo delle stelle)"
    >>> clean_title("L.A. Confidential (1997)"), clean_title("Paris, France")
    ('L.A. Confidential (1997)', 'Paris, France')
    """
    text = _UNPRINTABLE.sub(" ", html.unescape(raw))
    text = " ".join(text.split())
    text = _PARENTHESIS.sub(lambda match: f"({_natural(match.group(1))})", text)
    name, opening, rest = text.partition(" (")
    if not opening:
        return _natural(text)
    return f"{_natural(name)} ({rest}"


def _natural(name: str) -> str:
    """Moves a trailing article to the front; `a.k.a.` stays in front of it."""
    name = name.strip()
    alias = _ALSO_KNOWN_AS.match(name)
    if alias:
        return f"{alias.group(1)} {_natural(alias.group(2))}"
    match = _ARTICLE_LAST.match(name)
    if not match:
        return name
    article = match.group("article")
    return f"{article}{'' if article[-1] in chr(39) + '’' else ' '}{match.group('name')}"


def year_of(title: str) -> int | None:
    """The year in parentheses at the end, if there is one.

    >>> year_of("The Matrix (1999)"), year_of("Blade Runner")
    (1999, None)
    """
    match = _YEAR_LAST.search(title)
    return int(match.group(1)) if match else None


def without_year(title: str) -> str:
    """The title without the year in parentheses at its end.

    >>> without_year("The Matrix (1999)"), without_year("Blade Runner")
    ('The Matrix', 'Blade Runner')
    """
    return _YEAR_LAST.sub("", title).strip()


def fold(text: str) -> str:
    """Lower case without accents and punctuation, for searching.

    >>> fold("Les Misérables (1995)")
    'les miserables 1995'
    """
    plain = unicodedata.normalize("NFKD", text.casefold())
    return " ".join(re.findall(r"\w+", "".join(c for c in plain if not unicodedata.combining(c))))


def require_titles(dataset: Dataset, who: str) -> None:
    """Refuses a text model on a data set whose items have no names.

    Args:
        dataset: the catalogue.
        who: the model, for the refusal.

    Raises:
        UnsupportedError: when no item has a title.
    """
    if not (dataset.items[Columns.TITLE] != "").any():
        raise UnsupportedError(
            t(
                "{who} reads item titles, and none of the {items} items of {name!r} has one; "
                "import a table of items with a title column, or use an id model (item-knn, ease, "
                "sasrec)",
                who=who,
                items=dataset.n_items,
                name=dataset.name,
            )
        )
