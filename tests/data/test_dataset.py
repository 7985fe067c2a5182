"""Codes, titles, look-ups and the content hash of a data set."""

import doctest

import pandas as pd
import pytest

from llmrec_core.data import item_texts, text
from llmrec_core.data.dataset import build_dataset
from llmrec_core.errors import DataError, UnsupportedError, UsageError

FILMS = pd.DataFrame(
    {
        "item_id": ["50", "51", "52"],
        "title": ["Matrix, The (1999)", "Misérables, Les (1995)", ""],
        "genres": ["Action|Sci-Fi", "", "Drama"],
        "year": [1999, 1995, None],
    }
)


def ratings(rows=(("b", "51", 4, 10), ("a", "50", 5, 20), ("b", "99", 1, 30))):
    return pd.DataFrame(rows, columns=["user_id", "item_id", "rating", "timestamp"])


def test_codes_follow_the_tables_then_first_appearance():
    data = build_dataset("toy", ratings(), FILMS)
    assert data.users.user_id.tolist() == ["b", "a"]
    assert data.items.item_id.tolist() == ["50", "51", "52", "99"]
    assert data.interactions.user.tolist() == [0, 1, 0]
    assert data.interactions.item.tolist() == [1, 0, 3]
    assert data.item_code("99") == 3
    assert (data.n_users, data.n_items, data.implicit) == (2, 4, False)


def test_unknown_ids_name_the_nearest():
    data = build_dataset("toy", ratings(), FILMS)
    with pytest.raises(UsageError, match="no item '501'; nearest: 51, 50"):
        data.item_code("501")
    with pytest.raises(UsageError, match="ids look like b, a"):
        data.user_code("zzz")


@pytest.mark.parametrize("typed", ["The Matrix", "matrix, the (1999)", "MATRIX", "the matrxi 1999"])
def test_titles_are_found_however_they_are_typed(typed):
    data = build_dataset("toy", ratings(), FILMS)
    assert data.find_titles(typed) == [0]


def test_nothing_is_found_for_nonsense():
    assert build_dataset("toy", ratings(), FILMS).find_titles("?!") == []


def test_item_text_is_title_then_genres():
    data = build_dataset("toy", ratings(), FILMS)
    assert item_texts.item_text(data, 0) == "The Matrix (1999), Action, Sci-Fi"
    assert item_texts.item_texts(data) == [item_texts.item_text(data, item) for item in range(4)]
    assert item_texts.item_texts(data, genres=False)[2:] == ["untitled item", "untitled item"]


def test_a_text_model_is_refused_without_titles():
    with pytest.raises(UnsupportedError, match="id model"):
        text.require_titles(build_dataset("toy", ratings()), "TF-IDF")


@pytest.mark.parametrize(
    ("raw", "natural"),
    [
        ("L.A. Confidential (1997)", "L.A. Confidential (1997)"),
        ("Postman, The (1997)", "The Postman (1997)"),
        ("Cité des enfants perdus, La", "La Cité des enfants perdus"),
        ("Seven (a.k.a. Se7en) (1995)", "Seven (a.k.a. Se7en) (1995)"),
        ("Killer, The (a.k.a. Rebel, The) (1989)", "The Killer (a.k.a. The Rebel) (1989)"),
        ("I, Worst of All (Yo, la peor de todas)", "I, Worst of All (Yo, la peor de todas)"),
        ("Truth or Consequences, N.M.", "Truth or Consequences, N.M."),
        ("Convent, The (Convento, O) (1995)", "The Convent (O Convento) (1995)"),
        ("Head &amp; Shoulders\n400 ml\u200b", "Head & Shoulders 400 ml"),
        ("", ""),
    ],
)
def test_titles_read_naturally(raw, natural):
    assert text.clean_title(raw) == natural


def test_the_hash_knows_every_value_and_nothing_else():
    data = build_dataset("toy", ratings(), FILMS)
    assert build_dataset("other name", ratings(), FILMS).content_hash == data.content_hash
    changed = ratings((("b", "51", 4, 10), ("a", "50", 5, 20), ("b", "99", 2, 30)))
    assert build_dataset("toy", changed, FILMS).content_hash != data.content_hash
    assert (
        build_dataset("toy", ratings(), FILMS.assign(year=2000)).content_hash != data.content_hash
    )


def test_a_data_set_without_interactions_is_refused():
    with pytest.raises(DataError, match="no interactions"):
        build_dataset("toy", ratings(()))


def test_examples_in_the_documentation():
    assert doctest.testmod(text).failed == 0
