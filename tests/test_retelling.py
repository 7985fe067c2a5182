"""Stored English sentences, read in another language: values kept, unknown text unchanged."""

from __future__ import annotations

import pytest

from llmrec_core import language
from llmrec_core.explain import notes
from llmrec_core.explain.explanation import Explanation
from llmrec_core.language import messages, template
from llmrec_core.retelling import _TEXTS, LEAST_LETTERS, retold


@pytest.fixture
def in_chinese():
    language.ask_language_of(lambda: "zh_CN")
    yield
    language.ask_language_of(language.source_language)


@pytest.mark.parametrize(
    ("stored", "read"),
    [
        ("no RAPL counter", "没有 RAPL 计数器"),
        ("it uses the weights of 'EASE'", "它使用 'EASE' 的权重"),
        # Numbers stay as they were written, whatever format the message asks for.
        ("foreign load 12 %", "外部负载 12%"),
        (
            "run abc is finished: there is nothing to cancel",
            "运行 abc 的状态为finished：没有可取消的",
        ),
        # A reason in a reason, and two reasons in one line.
        (
            "not measured: no NVML energy counter; no RAPL counter",
            "未测量：没有 NVML 能耗计数器；没有 RAPL 计数器",
        ),
        ("1 is no number", "1 is no number"),
        ("Heat (1995)", "Heat (1995)"),
        ("", ""),
    ],
)
def test_a_stored_sentence_is_read_in_the_readers_language(in_chinese, stored, read):
    assert retold(stored) == read


def test_notes_and_groups_of_an_explanation_are_read_in_the_readers_language(in_chinese):
    message = (
        "The {items} history items are grouped into {groups} {by}: a group comes and goes as one."
    )
    stored = [{"message": message, "values": {"items": 50, "groups": 20, "by": "by recency"}}]
    assert notes.texts(stored) == ["50 个历史物品按远近分为 20 组：每组作为整体增减。"]
    players = [
        {"kind": kind, "title": "4 items, 47 to 50 back", "value": 1.0}
        for kind in ("group", "item")
    ]
    read = Explanation.from_json({"players": players, "base": 0.0, "prediction": 2.0})
    assert [player.label for player in read.players] == [
        "4 个物品，倒数第 47 到 50 个",
        "4 items, 47 to 50 back",  # a title from the data, whatever it says
    ]


def test_an_english_reader_gets_what_is_stored():
    assert retold("no RAPL counter") == "no RAPL counter"


def test_every_sentence_that_is_recognised_leads_back_to_itself(in_chinese):
    """No message hides behind a more general one: made with plain values, each is found again."""
    sentences: dict[str, set[str]] = {}
    for message, plural in messages("zh_CN"):
        names = {name for _, name, _, _ in _TEXTS.parse(message) if name}
        letters = sum(c.isalpha() for literal, *_ in _TEXTS.parse(message) for c in literal)
        if not plural and names and letters >= LEAST_LETTERS:
            values = {name: f"v{place}" for place, name in enumerate(sorted(names))}
            stored = _TEXTS.vformat(message, (), values)
            # "measured on {where}" and "measured on {exam}" are the same when they are stored.
            told = _TEXTS.vformat(template("zh_CN", message), (), values)
            sentences.setdefault(stored, set()).add(told)
    assert len(sentences) > 800
    assert [stored for stored, told in sentences.items() if retold(stored) not in told] == []
