"""The language of the reader: every sentence a person reads goes through one gettext catalogue.

A sentence is written in English where it is needed, with named places for its values:
`t("{count} runs wait", count=3)`. The catalogue `assets/locales/LANGUAGE/LC_MESSAGES/llmrec.po`
holds what it is in other languages; a sentence without a translation stays English. Numbers in a
sentence are written with the separators of the reader's language. `make messages` collects the
sentences in `assets/locales/llmrec.pot` and brings the catalogues up to date. A catalogue is
compiled when it is first read, in about half a second, so that no compiled copy can be stale.

A process that serves one person at a time uses one language; the web serves many, so it registers
a function that returns the language of the person whose page is being drawn.
"""

from __future__ import annotations

import gettext
import io
import math
import string
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from functools import lru_cache
from numbers import Real
from typing import TYPE_CHECKING

from babel.core import Locale, get_global, parse_locale
from babel.dates import format_date
from babel.numbers import format_compact_decimal, get_decimal_symbol, get_group_symbol

from llmrec_core.installation import ASSETS

if TYPE_CHECKING:
    from babel.messages.catalog import Catalog

SOURCE_LANGUAGE = "en"
LOCALES = ASSETS / "locales"
CATALOGUE = "LC_MESSAGES/llmrec.po"
LARGEST_IN_DIGITS = 1e21
"""Nobody counts the zeros of what lies beyond."""


def source_language() -> str:
    """English, for processes whose sentences are stored for readers of any language."""
    return SOURCE_LANGUAGE


_language_of_reader: Callable[[], str] = source_language


def ask_language_of(reader: Callable[[], str]) -> None:
    """Register the function that returns the language of whoever reads now, e.g. `"en"`."""
    global _language_of_reader
    _language_of_reader = reader


def language() -> str:
    """The language code of whoever reads now."""
    return _language_of_reader()


def catalogues() -> list[str]:
    """The language codes that the product speaks, English first."""
    return [SOURCE_LANGUAGE, *sorted(file.parts[-3] for file in LOCALES.glob(f"*/{CATALOGUE}"))]


@lru_cache(maxsize=256)
def best_language(preferred: str | None) -> str:
    """The language with a catalogue that suits a reader best; English when there is none.

    Numbers follow the same choice, so a page never mixes English words with other separators.

    Args:
        preferred: a code as a browser or `LANG` gives it, e.g. `de-AT`, `de_AT` or `de`.
    """
    wanted = _written(preferred or SOURCE_LANGUAGE)
    return next((code for code in catalogues() if _written(code) == wanted), SOURCE_LANGUAGE)


def _written(code: str) -> tuple[str, str | None]:
    """Language and script of a code: `zh` and `zh-SG` are read by whoever reads `zh_CN`.

    Readers of `zh_TW`, another script, are not.
    """
    try:
        language, territory, script, *_ = parse_locale(code.replace("-", "_"))
    except ValueError:
        return code, None
    likely = get_global("likely_subtags")
    full = likely.get(f"{language}_{territory}") or likely.get(language)
    return language, script or (parse_locale(full)[2] if full else None)


@lru_cache(maxsize=8)
def _translations(code: str) -> Catalog:
    # Babel's reader takes a third of a second to import, and an English reader needs none of it.
    from babel.messages.pofile import read_po

    with (LOCALES / code / CATALOGUE).open("rb") as file:
        return read_po(file, locale=code)


@lru_cache(maxsize=8)
def _catalogue(code: str) -> gettext.NullTranslations:
    if code == SOURCE_LANGUAGE:
        return gettext.NullTranslations()
    from babel.messages.mofile import write_mo

    compiled = io.BytesIO()
    write_mo(compiled, _translations(code))
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)


def messages(code: str) -> list[tuple[str, str | None]]:
    """The English of every sentence that a language has, with its plural form where it has one."""
    return [
        (message.id, None) if isinstance(message.id, str) else (message.id[0], message.id[1])
        for message in _translations(code)
        if message.id
    ]


def template(code: str, message: str, plural: str | None = None, count: int = 1) -> str:
    """A sentence in the given language, the places for its values still empty.

    Args:
        code: of the language.
        message: the English sentence, which comes back where there is no translation.
        plural: its plural form, where it has one.
        count: which of the forms is wanted.
    """
    if plural is None:
        return _catalogue(code).gettext(message)
    return _catalogue(code).ngettext(message, plural, count)


def name_of(code: str) -> str:
    """What a language is called by those who read it.

    >>> name_of("zh_CN"), name_of("de")
    ('简体中文', 'Deutsch')
    """
    spoken, script = _written(code)
    names = Locale.parse(code.replace("-", "_")).languages
    return str(names.get(f"{spoken}_{script}") or names[spoken])


@lru_cache(maxsize=8)
def _separators(code: str) -> dict[int, str]:
    locale = Locale.parse(code)
    return str.maketrans({",": get_group_symbol(locale), ".": get_decimal_symbol(locale)})


def number(value: float | Real, spec: str = ",") -> str:
    """A number with the reader's separators.

    Args:
        value: what is written.
        spec: as for `format`, e.g. `",.2f"`.

    >>> number(1234.5, ",.2f")
    '1,234.50'
    """
    text = _without_exponent(value, spec)
    code = language()
    return text if code == SOURCE_LANGUAGE else text.translate(_separators(code))


def _without_exponent(value: float | Real, spec: str) -> str:
    """What `format` makes of a number, with all its digits in place of an exponent.

    >>> _without_exponent(1234567, "g"), _without_exponent(1234567, ".3g")
    ('1234567', '1230000')
    """
    text = format(value, spec)
    if not spec.endswith("g") or "e" not in text:
        return text
    exact = Decimal(text if "." in spec else f"{value:.12g}")
    return format(exact, f"{'+' if '+' in spec else ''}{',' if ',' in spec else ''}f")


def digits(value: float) -> str:
    """A number as it was typed: every digit, thousands apart, no exponent.

    >>> digits(7.5), digits(1e-6), digits(1e30)
    ('7.5', '0.000001', 'more than 1,000,000,000,000,000,000,000')
    """
    if LARGEST_IN_DIGITS < abs(value) < math.inf:
        largest = number(LARGEST_IN_DIGITS, ",.0f")
        if value < 0:
            return t("less than -{largest}", largest=largest)
        return t("more than {largest}", largest=largest)
    return number(value, ",.12g")


def short_count(value: float) -> str:
    """A large number in the reader's own steps, e.g. 22,700,000 as 2270万; English has M and G."""
    return format_compact_decimal(value, locale=language(), fraction_digits=2)


def day(value: date) -> str:
    """A date as the reader writes it.

    >>> day(date(2026, 3, 9))
    '09 Mar 2026'
    """
    if language() == SOURCE_LANGUAGE:
        return value.strftime("%d %b %Y")
    return format_date(value, "medium", locale=language())


class _Sentences(string.Formatter):
    """`str.format` with numbers as the reader writes them."""

    def format_field(self, value: object, format_spec: str) -> str:
        if isinstance(value, Real):
            return number(value, format_spec)
        return str(super().format_field(value, format_spec))


_SENTENCES = _Sentences()


def _filled(text: str, values: dict[str, object]) -> str:
    if language() == SOURCE_LANGUAGE and "g}" not in text:
        return text.format(**values)  # the same, ten times as fast
    return _SENTENCES.vformat(text, (), values)


def t(message: str, /, **values: object) -> str:
    """The sentence in the reader's language, with its values in place.

    Args:
        message: the English sentence; places for values are written as for `str.format`.
        **values: what stands in those places.

    >>> t("{count} of {total} runs are done", count=3, total=16)
    '3 of 16 runs are done'
    """
    text = _catalogue(language()).gettext(message)
    return _filled(text, values) if values else text


def tn(singular: str, plural: str, count: int, /, **values: object) -> str:
    """As `t`, in the form that goes with `count`, which is one of the values.

    >>> tn("{count} run waits", "{count} runs wait", 1)
    '1 run waits'
    """
    text = _catalogue(language()).ngettext(singular, plural, count)
    return _filled(text, {"count": count, **values})


def marked(message: str) -> str:
    """The sentence as it is, marked for the catalogue; whoever shows it calls `t` on it.

    For constants, which are made before anybody reads, and for what is stored: see `retelling`.
    """
    return message
