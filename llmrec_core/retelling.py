"""Stored sentences in the language of whoever reads them now.

Another process writes the reasons, refusals and check results of a record, and does not know who
will read them. It stores English sentences, so that a ledger can be read anywhere, by older
versions and without a catalogue. Whoever shows one finds the message of the catalogue that it was
made from and the values in its places, and writes both as the reader expects them. What matches no
message, such as a name from the data or the words of a library, stays as it is.
"""

from __future__ import annotations

import re
import string
from dataclasses import dataclass
from functools import lru_cache

from llmrec_core.language import SOURCE_LANGUAGE, language, marked, messages, template

LEAST_LETTERS = 7
"""Letters outside its places that a message needs to be recognised; places alone fit every text."""
LONGEST = 2_000
"""Letters of a text beyond which no message is looked for: many places take too long to match."""
BETWEEN = (marked("; "), marked(". "))


@dataclass(frozen=True)
class _Form:
    """One message with places, as it is recognised in a text."""

    message: str
    plural: str | None
    """Set where the message has one; `message` is then the form for one."""
    written: str
    """The form that is compared: the message or its plural."""
    longest: str
    """Its longest part without places; a text without it need not be compared."""
    letters: int


class _Texts(string.Formatter):
    """Puts texts, which are written out already, in places that may ask for number formats."""

    def format_field(self, value: object, format_spec: str) -> str:
        return str(value)

    def convert_field(self, value: object, conversion: str | None) -> object:
        return value


_TEXTS = _Texts()


def retold(text: str) -> str:
    """A stored English sentence in the reader's language; several of them one after the other.

    Numbers stay as they were written.

    Args:
        text: as stored; unknown sentences and those beyond `LONGEST` come back unchanged.
    """
    code = language()
    if code == SOURCE_LANGUAGE or not text or len(text) > LONGEST:
        return text
    return _retold(text, code)


@lru_cache(maxsize=4096)
def _retold(text: str, code: str) -> str:
    whole_text = template(code, text)
    if whole_text != text:
        return whole_text
    for form in _forms(code):
        if form.longest in text:
            match = _pattern(form.written).fullmatch(text)
            if match:
                return _filled(form, match.groupdict(), code)
    first, between, rest = _parted(text)
    if not between:
        return text
    # A sentence is stored with its full stop, a reason without.
    whole = _retold(first + between.strip(), code)
    if whole == first + between.strip():
        whole = _retold(first, code) + template(code, between)
    return whole + _retold(rest, code)


def _parted(text: str) -> tuple[str, str, str]:
    """The first of several sentences or reasons, what stands behind it, and the others."""
    places = [(text.find(mark), mark) for mark in BETWEEN if mark in text]
    at, mark = min(places, default=(len(text), ""))
    return text[:at], mark, text[at + len(mark) :]


def _filled(form: _Form, values: dict[str, str], code: str) -> str:
    several = form.plural is not None and form.written == form.plural
    values = {
        name: _retold(value, code) if " " in value.strip() else value
        for name, value in values.items()
    }
    words = template(code, form.message, form.plural, 2 if several else 1)
    return _TEXTS.vformat(words, (), values)


@lru_cache(maxsize=8)
def _forms(code: str) -> tuple[_Form, ...]:
    """Every message that can be recognised, the most particular first."""
    forms = []
    for message, plural in messages(code):
        for written in dict.fromkeys((message, plural or message)):
            parts = [literal for literal, *_ in string.Formatter().parse(written)]
            letters = sum(character.isalpha() for part in parts for character in part)
            if "{" in written and letters >= LEAST_LETTERS:
                forms.append(_Form(message, plural, written, max(parts, key=len), letters))
    return tuple(sorted(forms, key=lambda form: -form.letters))


@lru_cache(maxsize=4096)
def _pattern(message: str) -> re.Pattern[str]:
    """What a sentence made from the message looks like, its values as named groups."""
    pieces, seen = [], set()
    for literal, name, _, _ in string.Formatter().parse(message):
        pieces.append(re.escape(literal))
        if name is not None:
            pieces.append(".+?" if name in seen else f"(?P<{name}>.*?)")
            seen.add(name)
    return re.compile("".join(pieces), re.DOTALL)
