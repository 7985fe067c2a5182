"""One catalogue for every sentence: the template is current, plurals and numbers follow the reader's language."""

from __future__ import annotations

import ast
import io
import re
import string
from datetime import date
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po, write_po

from llmrec_core import language
from llmrec_core.language import best_language, number, t, tn
from llmrec_core.reading import number_format
from tests import messages


@pytest.fixture
def read_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Choose the reader's language, with a catalogue of the given translations."""
    monkeypatch.setattr(language, "LOCALES", tmp_path)

    def choose(code: str, translations: dict[str | tuple[str, str], str | tuple[str, ...]]) -> None:
        catalogue = Catalog(locale=code)
        for message, translation in translations.items():
            catalogue.add(message, translation)
        folder = tmp_path / code / "LC_MESSAGES"
        folder.mkdir(parents=True)
        with (folder / "llmrec.po").open("wb") as file:
            write_po(file, catalogue)
        language.ask_language_of(lambda: best_language(code))

    forget()
    yield choose
    language.ask_language_of(language.source_language)
    forget()


def forget() -> None:
    language.best_language.cache_clear()
    language._catalogue.cache_clear()
    language._translations.cache_clear()


def test_template_holds_every_sentence():
    stored = messages.TEMPLATE.read_text(encoding="utf-8")
    assert stored == messages.template(), "sentences have changed: run `make messages`"


def test_a_catalogue_can_be_made_from_the_template():
    template = read_po(io.BytesIO(messages.TEMPLATE.read_bytes()), locale="de")
    assert len(template) == len(messages.collected())


@pytest.mark.parametrize("file", messages.catalogue_files(), ids=lambda file: file.parts[-3])
def test_every_sentence_is_translated_with_the_same_places(file):
    translated = {
        message.id: [message.string] if isinstance(message.string, str) else list(message.string)
        for message in messages.read(file)
        if not message.fuzzy
    }
    missing, wrong = [], []
    for message in messages.collected():
        texts = translated.get(message.id, [""])
        if message.id and not all(texts):
            missing.append(message.id)
        source = message.id if isinstance(message.id, str) else message.id[-1]
        wrong += [text for text in texts if message.id and text and places(text) != places(source)]
    assert missing == [], "translate them: docs/how-to/translate-the-app.md"
    assert wrong == []


def places(text: str) -> set[str]:
    """The names of the values that a sentence has places for."""
    return {name for _, name, *_ in string.Formatter().parse(text) if name is not None}


def test_sentences_are_written_so_that_they_can_be_collected():
    """`t` takes a literal or the name of a `marked` constant; an f-string would never be translated."""
    wrong = []
    for file in messages.sources():
        for call in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name)):
                continue
            sentences = {"t": 1, "marked": 1, "tn": 2}.get(call.func.id, 0)
            for argument in call.args[:sentences]:
                constant = isinstance(argument, ast.Constant)
                named = isinstance(argument, ast.Name | ast.Attribute | ast.Subscript | ast.Call)
                if not (constant or (named and call.func.id == "t")):
                    wrong.append(f"{file.relative_to(messages.ROOT)}:{argument.lineno}")
    assert wrong == []


def avoided_words() -> list[str]:
    """The words of the first column under "Words avoided" in the documentation."""
    page = messages.ROOT / "docs" / "explanation" / "words-and-numbers.md"
    _, _, table = page.read_text(encoding="utf-8").partition("## Words avoided")
    cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("|")]
    return [word.strip() for cell in cells[2:] for word in cell.split(",")]


def test_no_sentence_has_a_word_that_the_style_avoids():
    avoided = avoided_words()
    assert {"dearer", "whichever", "offered people"} <= set(avoided)
    pattern = re.compile(rf"\b(?:{'|'.join(map(re.escape, avoided))})\b", re.IGNORECASE)
    found = []
    for message in messages.collected():
        for text in [message.id] if isinstance(message.id, str) else message.id:
            found += [text] if pattern.search(re.sub(r"\{[^}]*\}", "", text)) else []
    assert found == []


def test_plural_forms_follow_the_language(read_in):
    # Polish has three forms: 1 plik, 2 pliki, 5 plików.
    read_in(
        "pl",
        {("{count} file", "{count} files"): ("{count} plik", "{count} pliki", "{count} plików")},
    )
    assert [tn("{count} file", "{count} files", n) for n in (1, 2, 5, 22)] == [
        "1 plik",
        "2 pliki",
        "5 plików",
        "22 pliki",
    ]


def test_numbers_in_sentences_follow_the_language(read_in):
    read_in(
        "de", {"{users:,} users, {share:.1f} % of them": "{users:,} Personen, {share:.1f} % davon"}
    )
    assert (
        t("{users:,} users, {share:.1f} % of them", users=12345, share=0.5)
        == "12.345 Personen, 0,5 % davon"
    )
    assert t("{name} took {hours:.2f} h", name="a.b,c", hours=1.5) == "a.b,c took 1,50 h"
    assert number(1234567.891, ",.2f") == "1.234.567,89"


@pytest.mark.parametrize(
    ("value", "shown"),
    [(1e30, "1" + "0" * 30), (1e-7, "0.0000001"), (2.5e7, "25000000"), (12.5, "12.5")],
)
def test_no_sentence_writes_an_exponent(value, shown):
    assert t("{value:g} of them", value=value) == f"{shown} of them"
    assert t("{value:+g} of them", value=-value) == f"-{shown} of them"
    assert number(1.5e9, ",.3g") == "1,500,000,000"


def test_what_was_typed_is_written_with_all_its_digits(read_in):
    assert language.digits(12345678.9) == "12,345,678.9"
    assert language.digits(-1e30) == "less than -1,000,000,000,000,000,000,000"
    read_in("de", {"{value:g} of them": "{value:g} davon"})
    assert language.digits(1e-6) == "0,000001"
    assert t("{value:g} of them", value=1.5e-7) == "0,00000015 davon"


def test_units_and_currency_follow_the_language(read_in):
    read_in("de", {"${amount}": "{amount} $"})
    assert number_format.duration(0.0123) == "12,3 ms"
    assert number_format.dollars(12345) == "12.345 $"
    assert number_format.dollars(-0.5) == "-0,50 $"
    assert number_format.share(0.7312) == "73,1 %"
    assert number_format.quality(0.3126) == "0,313"


def test_dates_and_large_numbers_follow_the_language(read_in):
    when = date(2026, 3, 9)
    assert (language.day(when), number_format.count(22_700_000)) == ("09 Mar 2026", "22.7 M")
    read_in("zh_CN", {"h": "小时"})
    assert language.day(when) == "2026年3月9日"
    assert number_format.count(22_700_000) == "2270万"  # 2270 × 10⁴
    assert number_format.count(134_500_000) == "1.34亿"  # 1.345 × 10⁸, to two decimals
    assert number_format.duration(9000) == "2.50 小时"


def test_a_language_is_named_by_its_readers():
    assert [language.name_of(code) for code in ("en", "zh_CN", "de")] == [
        "English",
        "简体中文",
        "Deutsch",
    ]


def test_a_language_without_a_catalogue_is_read_in_english(read_in):
    read_in("de", {})
    assert best_language("de-AT") == "de"
    assert best_language("fr-FR") == "en"
    assert best_language(None) == "en"
    assert best_language("*") == "en"  # as a browser may send
    language.ask_language_of(lambda: best_language("fr-FR"))
    assert t("{count:,} runs", count=1234) == "1,234 runs"


@pytest.mark.parametrize("code", ["zh", "zh-CN", "zh_CN", "zh-Hans", "zh-Hans-SG", "zh-SG"])
def test_whoever_reads_simplified_characters_gets_them(code):
    assert best_language(code) == "zh_CN"


@pytest.mark.parametrize("code", ["zh-TW", "zh-Hant", "zh-HK"])
def test_simplified_characters_are_not_given_to_readers_of_another_script(code):
    assert best_language(code) == "en"
