"""The diagnosis of a data set: silent on a clean one, and right about what was planted in another."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from llmrec_core.checks.diagnosis import memory
from llmrec_core.checks.diagnosis.answer import diagnose_and_keep
from llmrec_core.checks.diagnosis.diagnose import diagnose
from llmrec_core.checks.diagnosis.memory import memorised
from llmrec_core.checks.diagnosis.models import fit
from llmrec_core.data import diagnosis, store, ties
from llmrec_core.data.candidates import candidate_sets
from llmrec_core.data.dataset import build_dataset
from llmrec_core.data.splits import split
from llmrec_core.errors import DataError, UnsupportedError
from llmrec_core.metrics import evaluate
from llmrec_core.metrics.slices import CLEAR_ORDER, slices
from llmrec_core.reading.data_doubts import doubts, doubts_of, meanings
from llmrec_core.settings import Settings
from llmrec_core.types import Columns
from tests.tiny import tiny_backbone

ITEMS, DAY = 120, 86_400.0


def home(folder):
    return Settings(folder, f"sqlite:///{folder / 'ledger.db'}", 30.0)


def shop(tied: bool, users: int = 400, seed: int = 0):
    """People who walk along a hidden ring of items; with `tied`, a day's purchases by item number."""
    rng = np.random.default_rng(seed)
    ring = rng.permutation(ITEMS)
    rows = []
    for user in range(users):
        start = int(rng.integers(ITEMS))
        walk = np.unique((start + rng.integers(0, 14, 12)) % ITEMS)
        items = ring[rng.permutation(walk)]
        if tied:  # pairs of one day, listed by number as an export grouped by product does it
            items = np.sort(items[: len(items) // 2 * 2].reshape(-1, 2), axis=1).ravel()
        rows += [
            (f"u{user}", str(item), DAY * (n // 2 if tied else n) + (0 if tied else user))
            for n, item in enumerate(items)
        ]
    table = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"])
    titles = pd.DataFrame(
        {
            "item_id": [str(n) for n in range(ITEMS)],
            "title": [f"thing number{n}" for n in range(ITEMS)],
        }
    )
    return build_dataset("shop", table, titles)


@pytest.fixture(scope="module")
def clean():
    return diagnose(shop(tied=False))


@pytest.fixture(scope="module")
def tied():
    return diagnose(shop(tied=True))


def test_a_clean_set_raises_no_doubt(clean):
    assert doubts(clean) == []
    assert clean.ties.tied == clean.ties.neighbours == clean.ties.draws == 0
    assert clean.ties.models == []
    assert clean.untied.value == clean.item_knn.value
    assert clean.directed_counts.low > clean.popularity.high, "there is something to learn"
    assert "has to clear" in meanings(clean)[0]


def test_ties_by_item_number_are_a_doubt_and_cost_what_they_gave(tied):
    assert tied.ties.ascending == tied.ties.neighbours > 0
    assert tied.ties.share > 0.9, "every person's last two items share a day"
    assert tied.ties.draws == 5
    counts = next(model for model in tied.ties.models if model.model == "directed-counts")
    assert counts.loss.low > 0
    assert counts.as_is.value - counts.shuffled == pytest.approx(counts.loss.value, abs=1e-9)
    (sentence,) = [text for text in doubts(tied) if "order of equal times" in text]
    assert "100%" in sentence


def test_item_numbers_in_the_order_of_purchases_are_a_doubt():
    rows = [
        (f"u{user}", str((3 * user + n) % ITEMS), float(user + 10_000 * n))
        for user in range(300)
        for n in range(8)
    ]
    table = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"])
    found = diagnose(build_dataset("rising", table))
    assert found.next_numbers.value > 0.9  # the next number is bought next, but at the ring's end
    assert any("next ten item numbers" in text for text in doubts(found))


def test_the_short_way_to_ndcg_equals_the_full_ranking(tmp_path):
    for data in (shop(tied=False), shop(tied=True)):
        fitted = fit(data)
        measured = fitted.measure()
        cases = fitted.exam.cases
        offered = candidate_sets(fitted.split, cases, "full", 0)
        for model, short in (
            (fitted.directed_counts, measured.directed_counts),
            (fitted.item_knn, measured.item_knn),
        ):
            full = evaluate.per_user(model.score, fitted.split, cases, offered, 10)["ndcg@10"]
            assert np.allclose(short, full, atol=1e-6)


def test_a_target_is_tied_when_the_item_before_it_has_its_time():
    rows = [
        ("a", "1", 1),
        ("a", "2", 2),
        ("a", "3", 2),
        ("b", "1", 1),
        ("b", "2", 1),
        ("b", "3", 2),
    ]
    rows += [("c", "1", 1), ("c", "2", 2), ("c", "3", 3), ("c", "3", 3)]  # the same item again
    data = build_dataset("abc", pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"]))
    parts = split(data, "loo")
    assert ties.tied_cases(parts, parts.test).tolist() == [True, False, False]
    assert ties.tied_neighbours(data) == ties.Neighbours(2, 2)
    assert slices(parts, parts.test)[CLEAR_ORDER].tolist() == [False, True, True]
    ordered = build_dataset(
        "file", pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"]), order="file"
    )
    parts = split(ordered, "loo")
    assert CLEAR_ORDER not in slices(parts, parts.test), "a file in order has no ties"


def test_shuffled_ties_change_only_the_order_of_equal_times():
    data = shop(tied=True, users=30)
    other = ties.shuffled_ties(data, 1)
    columns = ["user", "item", "timestamp"]
    same = data.interactions.sort_values(columns)[columns].to_numpy()
    assert np.array_equal(same, other.interactions.sort_values(columns)[columns].to_numpy())
    before, after = split(data, "loo"), split(other, "loo")
    moved = [a.relevant[0] != b.relevant[0] for a, b in zip(before.test, after.test, strict=True)]
    assert 0.3 < np.mean(moved) < 0.7, "of two equal ones, either comes last"


def test_what_cleaning_does_is_said_as_a_difference():
    data = shop(tied=False)
    doubled = pd.concat([data.interactions, data.interactions.head(300)], ignore_index=True)
    twice = build_dataset(
        "twice",
        pd.DataFrame(
            {
                "user_id": data.users["user_id"].to_numpy()[doubled["user"]],
                "item_id": data.items["item_id"].to_numpy()[doubled["item"]],
                "timestamp": doubled["timestamp"],
            }
        ),
    )
    (effect,) = [e for e in diagnose(twice).consequences if e.check == "duplicates"]
    assert effect.count == 300
    assert effect.moves.value == pytest.approx(0, abs=1e-9), "a row twice is read once"


def test_a_diagnosis_is_kept_with_the_content_and_read_again(tmp_path):
    data = shop(tied=True)
    store.save(data, home(tmp_path), note="test")
    assert doubts_of([data.content_hash, "", "../x"], home(tmp_path)) == []
    measured = diagnose_and_keep("shop", home(tmp_path))
    assert diagnosis.kept(data.content_hash, home(tmp_path)) == measured
    assert doubts_of([data.content_hash] * 2, home(tmp_path)) == doubts(measured) != []
    path = diagnosis.path_of(data.content_hash, home(tmp_path))
    path.write_text(json.dumps({"content_hash": 1}))
    assert diagnosis.kept(data.content_hash, home(tmp_path)) is None, (
        "a damaged one is measured again"
    )
    with pytest.raises(DataError, match="content hash"):
        diagnosis.path_of("../../x", home(tmp_path))


def test_a_model_that_never_saw_the_titles_completes_none(tmp_path):
    rows = [(f"u{n}", f"i{n % 9}", float(n)) for n in range(40)]
    items = pd.DataFrame(
        {
            "item_id": [f"i{n}" for n in range(9)],
            "title": [f"white field number{n} drama" for n in range(9)],
        }
    )
    table = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"])
    data = build_dataset("titles", table, items)
    known = memorised(data, str(tiny_backbone(tmp_path / "model", "gpt2")), home(tmp_path))
    assert known.sampled == 6  # nine titles, three of them examples
    assert known.completed == 0
    assert known.share.high == pytest.approx(1 - 0.025 ** (1 / 6))
    with pytest.raises(UnsupportedError, match="reads and does not write"):
        memorised(data, str(tiny_backbone(tmp_path / "bert", "bert")), home(tmp_path))


class Parrot:
    """Writes letter by letter what follows its prompt in a text that it knows, as a cached decoder does."""

    def __init__(self, text):
        self.text, self.device = text, "cpu"

    def __call__(self, input_ids, past_key_values, use_cache):
        read = (past_key_values or "") + "".join(map(chr, input_ids[0].tolist()))
        place = self.text.find(read.rpartition("\n")[2])
        following = self.text[place + len(read.rpartition("\n")[2])] if place >= 0 else "\n"
        logits = torch.zeros(1, input_ids.shape[1], 128)
        logits[0, -1, ord(following)] = 1.0
        return SimpleNamespace(logits=logits, past_key_values=read)


class Letters:
    """A tokenizer whose tokens are letters."""

    def __call__(self, text, add_special_tokens):
        return {"input_ids": [ord(letter) for letter in text]}

    def decode(self, ids, skip_special_tokens):
        return "".join(map(chr, ids))


@pytest.mark.parametrize(
    ("known", "completed"),
    [
        ("The Long Walk Home\n", 2),  # the other one goes on as it does, but for its end
        ("The Long Walk Homewards\n", 0),  # the last word is another one
        ("The Long Walk Home Again\n", 2),  # more than the title is no fault
        ("The Long Ride Home\n", 0),
        ("nothing of it\n", 0),
    ],
)
def test_a_title_is_known_when_every_word_of_its_rest_is_written(known, completed, monkeypatch):
    items = pd.DataFrame(
        {
            Columns.ITEM_ID: ["1", "2"],
            Columns.TITLE: ["The Long Walk Home", "the long walk, home!"],
        }
    )
    rows = pd.DataFrame({"user_id": ["u", "u"], "item_id": ["1", "2"], "timestamp": [1.0, 2.0]})
    data = build_dataset("two", rows, items)
    parrot = SimpleNamespace(
        decoder=True, module=Parrot(known + known.lower()), tokenizer=Letters()
    )
    monkeypatch.setattr(memory, "load_backbone", lambda name, settings: parrot)
    assert memorised(data, "parrot", None).completed == completed
