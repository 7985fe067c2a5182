"""Pages in Chinese: the language is switched, and no English sentence of ours is left on any page."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf.message import Message
from streamlit.testing.v1 import AppTest

from llmrec_core.costmodel.facts import grids
from llmrec_core.installation import ASSETS, STUDIO
from llmrec_core.reading.groups import name_without_seed
from pages.shared import samples
from pages.shared.navigation import MAP

ROOT = Path(__file__).parents[2]
SAMPLE = ASSETS / "sample" / "study.json"
VIEWS = [(file, {}) for pages in MAP.values() for file, *_ in pages] + [
    ("measure/quality.py", {"quality_tab": tab})
    for tab in ("published", "slices", "lists", "robustness", "policy", "checks")
]
NOT_READ = {
    "id",
    "key",
    "user_key",
    "form_id",
    "element_id",
    "fragment_id",
    "url",
    "url_pathname",
    "page_script_hash",
    "page",
    "query_string",
    "icon",
    "color",
    "type",
    "theme",
    "config",
    "columns",
    "data_testid",
    "default",
    "raw_value",
    "language",
}
"""Fields of an element that no reader sees as text."""
NOT_DRAWN = {
    "template",
    "type",
    "mode",
    "hoverinfo",
    "textposition",
    "marker",
    "line",
    "font",
    "hoverlabel",
    "exponentformat",
    "autorange",
    "hovermode",
    "hoverformat",
    "measure",
    "orientation",
    "bdata",
    "dtype",
}
"""Parts of a chart that no reader sees as text."""
ENGLISH = re.compile(r"[A-Za-z]?[a-z]{2,}(?: [a-z]{2,})+")
"""Two words or more in a row: a name is written with capitals or alone."""
LABELS = {"label", "head", "title", "alt"}
CHINESE = re.compile("[\u4e00-\u9fff]")
NAMES = re.compile(
    r"NDCG@10|Recall@10|MRR|AUC|p95|p50|GPU|FLOP|Id|MFU|p \(Holm\)|CSV|HTML|JSON|[\W\d_]*|English"
)
"""Labels that are the same in both languages."""


def names_from_data() -> list[str]:
    """What the recorded study brings along: names of runs, titles, sources; the longest first."""
    names: set[str] = set()

    def collect(body: object, key: str = "") -> None:
        if isinstance(body, dict):
            for name, value in body.items():
                collect(value, name)
        elif isinstance(body, list):
            for value in body:
                collect(value, key)
        elif isinstance(body, str) and key not in ("reason", "detail", "group", "noise", "energy"):
            names.update((body, name_without_seed(body)))

    collect(json.loads(SAMPLE.read_text(encoding="utf-8")))
    for table in (ASSETS / "costmodel").glob("*.csv"):
        names.update(re.findall(r'[^,"\n]+', table.read_text(encoding="utf-8")))
    for place in grids.places().values():
        names.update((place.key, place.name))
    names.add("Hugging Face")
    return sorted((name for name in names if " " in name), key=len, reverse=True)


def texts(app: AppTest) -> Iterator[tuple[str, str]]:
    """Every text that a reader may see, with the field that holds it."""
    waiting = [app._tree]
    while waiting:
        element = waiting.pop()
        waiting.extend(getattr(element, "children", {}).values())
        proto = getattr(element, "proto", None)
        if isinstance(proto, Message):
            yield from fields(proto)
        if element.type == "arrow_data_frame":
            for head in element.value.columns:
                yield "head", str(head)
                for cell in element.value[head].unique()[:50]:
                    if isinstance(cell, str):
                        yield "cell", cell


def fields(proto: Message) -> Iterator[tuple[str, str]]:
    for field, value in proto.ListFields():
        if field.name in NOT_READ:
            continue
        for part in value if field.is_repeated else [value]:
            if isinstance(part, Message):
                yield from fields(part)
            elif isinstance(part, str):
                yield from chart(part) if part.startswith('{"data"') else [(field.name, part)]


def chart(spec: str) -> Iterator[tuple[str, str]]:
    waiting: list[tuple[str, object]] = [("", json.loads(spec))]
    while waiting:
        name, body = waiting.pop()
        if isinstance(body, dict):
            waiting += [(key, part) for key, part in body.items() if key not in NOT_DRAWN]
        elif isinstance(body, list):
            waiting += [(name, part) for part in body]
        elif isinstance(body, str):
            yield name, body


def english(name: str, text: str, data: list[str]) -> str:
    """The English in a text that is neither code nor from the data."""
    plain = re.sub(r"`[^`]*`|:material/\w+:|<[^>]*>|%\{[^}]*\}|python -m \S+.*", " ", text)
    plain = html.unescape(re.sub(r"\\(.)", r"\1", plain))
    if name == "ticktext" and a_name_in_pieces(text, data):
        return ""
    if plain.endswith("…") and any(title.startswith(plain[:-1]) for title in data):
        return ""  # a name that is cut
    for title in data:
        if title in plain:
            plain = plain.replace(title, " ")
    if name in LABELS and not CHINESE.search(plain) and not NAMES.fullmatch(plain.strip()):
        return plain
    return "; ".join(ENGLISH.findall(plain))


def a_name_in_pieces(text: str, data: list[str]) -> bool:
    """Whether a label beside a chart is a name from the data, broken into lines or shortened."""
    pieces = squeezed(text.replace("<br>", "")).split("…")
    return any(all(piece in squeezed(title) for piece in pieces) for title in data)


def squeezed(text: str) -> str:
    return "".join(html.unescape(text).split())


@pytest.fixture(scope="module")
def in_chinese(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppTest]:
    patch = pytest.MonkeyPatch()
    patch.setenv("LLMREC_HOME", str(tmp_path_factory.mktemp("chinese")))
    patch.delenv("LLMREC_LEDGER", raising=False)
    patch.setattr(samples, "FILES", (SAMPLE,))
    app = AppTest.from_file(str(STUDIO), default_timeout=120)
    app.query_params["lang"] = "zh_CN"
    yield app.run()
    patch.undo()


@pytest.fixture(scope="module")
def data() -> list[str]:
    return names_from_data()


@pytest.mark.parametrize(("page", "address"), VIEWS)
def test_no_english_sentence_of_ours_is_left(in_chinese, data, page, address):
    in_chinese.switch_page(str(ROOT / "pages" / page))
    for name, value in address.items():
        in_chinese.query_params[name] = value
    in_chinese.run()
    assert not in_chinese.exception, in_chinese.exception[0].message
    left = {
        (name, words) for name, text in texts(in_chinese) if (words := english(name, text, data))
    }
    assert sorted(left) == []
