"""Relations of items: how a graph is imported, what is told of it in texts, and what it never changes."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from llmrec_core.contract.run_context import RunContext
from llmrec_core.contract.spec import RecommenderSpec, RunSpec, run_from_dict
from llmrec_core.data import store
from llmrec_core.data.dataset import build_dataset
from llmrec_core.data.importing.described_table import FileChoices, Options
from llmrec_core.data.importing.plan import plan_import
from llmrec_core.data.importing.reading import read_plan
from llmrec_core.data.item_texts import item_text, item_texts
from llmrec_core.data.relations import facts_of, relation_features, relation_texts, shared_facts
from llmrec_core.data.removal import without
from llmrec_core.data.splits import split
from llmrec_core.errors import DataError, UnsupportedError, UsageError
from llmrec_core.recommenders.model_refusals import require_same_relations
from llmrec_core.recommenders.registry import build, family_class
from llmrec_core.recommenders.storage import load_arrays, save_arrays

EVENTS = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n" + "".join(
    f"{user}\t{10 + (user + place) % 6}\t4\t{1_000_000_000 + 100 * place}\n"
    for user in range(1, 7)
    for place in range(4)
)
ITEMS = "item_id:token\tmovie_title:token_seq\tclass:token_seq\n" + "".join(
    f"{10 + item}\tFilm {'ABCDEF'[item]} ({1990 + item})\tDrama\n" for item in range(6)
)
GRAPH = (
    "head_id:token\trelation_id:token\ttail_id:token\n"
    "m.a\tfilm.film.directed_by\tm.x\n"
    "m.b\tfilm.film.directed_by\tm.x\n"
    "m.x\tfilm.director.film\tm.a\n"  # the first row, the other way round
    "m.y y\tfilm.actor.film\tm.c\n"  # an id with a blank; only this way round
    "m.y y\tfilm.actor.film\tm.b\n"
    "m.q\tfilm.film.language\tm.z\n"  # about no item
    "m.a\t\tm.x\n"
)
LINKS = "item_id:token\tentity_id:token\n10\tm.a\n11\tm.b\n12\tm.c\n99\tm.q\n"


def imported(folder, *, files=None, **options):
    folder.mkdir(exist_ok=True)
    usual = {"toy.inter": EVENTS, "toy.item": ITEMS, "toy.kg": GRAPH, "toy.link": LINKS}
    for name, content in (usual if files is None else files).items():
        (folder / name).write_text(content, encoding="utf-8")
    chosen = Options(**options)
    plan = plan_import(folder, chosen)
    data = read_plan(plan, "toy", chosen)
    return data, {table.source.label: table for table in plan.tables}, plan


def evidence_of(tables):
    return " | ".join(line for table in tables.values() for line in table.evidence)


def test_a_graph_and_its_links_are_found_beside_interactions(tmp_path, settings):
    data, tables, _ = imported(tmp_path / "in")
    assert (tables["toy.kg"].kind, tables["toy.link"].kind) == ("relations", "entity-links")
    assert data.extras["relations"].values.tolist() == [
        ["10", "film.film.directed_by", "m.x"],
        ["11", "film.film.directed_by", "m.x"],
        ["12", "film.actor.film", "m.y y"],
        ["11", "film.actor.film", "m.y y"],
    ]
    assert "4 relations of 3 of 6 items: 2 kinds, 2 entities" in evidence_of(tables)
    assert "3 rows link items of this data set, 1 others are left out" in evidence_of(tables)
    assert "1 rows with an empty cell are left out" in evidence_of(tables)
    store.save(data, settings, note="imported")
    again = store.load("toy", settings)
    assert again.content_hash == data.content_hash
    assert again.extras["relations"].equals(data.extras["relations"])


def test_a_graph_is_part_of_the_identity_and_one_about_no_item_is_not(tmp_path):
    plain = {"toy.inter": EVENTS, "toy.item": ITEMS}
    alone, *_ = imported(tmp_path / "plain", files=plain)
    whole, *_ = imported(tmp_path / "whole")
    other, tables, _ = imported(tmp_path / "other", files={**plain, "toy.kg": GRAPH})
    assert alone.content_hash == other.content_hash != whole.content_hash
    assert other.extras == {} and "no head or tail is an item of this data set" in evidence_of(
        tables
    )
    linked, tables, _ = imported(tmp_path / "linked", files={**plain, "toy.link": LINKS})
    assert linked.content_hash == alone.content_hash
    assert "no table of head, relation and tail came along" in evidence_of(tables)


def test_a_graph_of_items_themselves_needs_no_links(tmp_path):
    graph = "subject,predicate,object\n10,brand,acme\n11,brand,acme\n15,brand,other\n"
    files = {"toy.inter": EVENTS, "toy.item": ITEMS, "triples.csv": graph}
    data, *_ = imported(tmp_path / "in", files=files)
    assert data.extras["relations"].values.tolist()[:2] == [
        ["10", "brand", "acme"],
        ["11", "brand", "acme"],
    ]


def test_the_kind_of_a_graph_without_a_header_can_be_chosen(tmp_path):
    files = {"toy.inter": EVENTS, "toy.item": ITEMS, "g.tsv": "10\tr\te\n11\tr\te\n12\tr\tf\n"}
    chosen = {"g.tsv": FileChoices(kind="relations")}
    data = with_choices(tmp_path / "in", files, chosen)
    assert len(data.extras["relations"]) == 3
    files["g.tsv"] = "10\tr\n11\tr\n12\tq\n"
    with pytest.raises(DataError, match="a table of kind relations needs head, relation, tail"):
        with_choices(tmp_path / "in", files, chosen)


def with_choices(folder, files, chosen):
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / name).write_text(content, encoding="utf-8")
    options = Options(files=chosen)
    plan = plan_import(folder, options)
    return read_plan(plan, "toy", options)


def test_a_header_without_rows_is_a_sentence(tmp_path):
    files = {"toy.inter": EVENTS, "toy.item": ITEMS, "toy.kg": GRAPH.split("\n")[0] + "\n"}
    with pytest.raises(DataError, match="has no rows"):
        imported(tmp_path / "in", files=files)


def test_ages_of_people_are_no_items_though_items_have_such_numbers(tmp_path):
    people = "user_id:token\tage:token\n" + "".join(f"{n}\t{10 + n % 6}\n" for n in range(1, 7))
    files = {"toy.inter": EVENTS, "toy.item": ITEMS, "toy.user": people}
    data, tables, _ = imported(tmp_path / "in", files=files)
    assert tables["toy.user"].kind == "users" and len(data.interactions) == 24


@pytest.mark.parametrize(("shift", "sentence"), [(0, False), (1, True)])
def test_links_of_another_edition_are_told(tmp_path, shift, sentence):
    """Two shelves of 60 items; entities link items of one shelf, or of the shelf of the number before."""
    items = "item_id,title,genres\n" + "".join(
        f"{n},Name {n},{'red' if n % 2 else 'blue'}\n" for n in range(120)
    )
    rng = np.random.default_rng(3)
    rows = []
    for entity in range(80):
        shelf = rng.permutation(60)[:2] * 2 + entity % 2
        place = shelf if not shift else rng.permutation(120)[:2]
        rows += [f"{item},shelf,e{entity}\n" for item in place]
    files = {
        "events.csv": "user_id,item_id,timestamp\n"
        + "".join(f"u{n % 9},{n},{1_000_000_000 + n}\n" for n in range(120)),
        "items.csv": items,
        "graph.csv": "head,relation,tail\n" + "".join(rows),
    }
    _, tables, _ = imported(tmp_path / "in", files=files)
    assert "items that share a rare entity share a category in" in evidence_of(tables)
    assert ("the links seem to be of other items" in evidence_of(tables)) == sentence


def films(facts, titles=("Alpha (1990)", "Beta (1991)", "Gamma (1992)", "", "Epsilon (1994)")):
    """Five films whom two people saw in turn, with these facts."""
    table = pd.DataFrame(
        [(f"u{user}", f"i{item}", float(item)) for user in range(4) for item in range(5)],
        columns=["user_id", "item_id", "timestamp"],
    )
    items = pd.DataFrame({"item_id": [f"i{n}" for n in range(5)], "title": list(titles)})
    relations = pd.DataFrame(facts, columns=["item_id", "relation", "entity"])
    return build_dataset("films", table, items, extras={"relations": relations})


FACTS = [
    *((f"i{n}", "film.language", "m.all") for n in range(5)),  # all have it: tells none apart
    ("i0", "film.directed_by", "m.d"),
    ("i1", "film.directed_by", "m.d"),
    ("i0", "film.actor", "m.1"),
    ("i2", "film.actor", "m.1"),
    ("i4", "film.actor", "m.1"),
    ("i2", "film.actor", "m.2"),  # rarer than m.1: told in its place
    ("i4", "film.actor", "m.2"),
    ("i3", "film.actor", "m.3"),  # alone: links nothing
    ("i1", "film.genre", "m.4"),
    ("i3", "film.genre", "m.4"),  # shared with an untitled film only
    ("gone", "film.genre", "m.4"),
]


def test_texts_tell_the_rarest_fact_of_each_relation_by_another_item():
    data = films(FACTS)
    assert relation_texts(data, 3) == [
        "directed by as Beta, actor as Gamma",
        "directed by as Alpha",
        "actor as Epsilon",
        "genre as Beta",
        "actor as Gamma",
    ]
    assert relation_texts(data, 1)[0] == "directed by as Beta"
    assert item_texts(data)[0] == "Alpha (1990)" == item_text(data, 0)
    assert item_texts(data, relations=1)[0] == "Alpha (1990), directed by as Beta"


def test_texts_do_not_depend_on_rows_or_on_people():
    data = films(FACTS)
    turned = films(FACTS[::-1])
    assert relation_texts(turned, 3) == relation_texts(data, 3)
    some = dataclasses.replace(data, interactions=data.interactions.iloc[:3])
    assert item_texts(some, relations=3) == item_texts(data, relations=3)
    forgotten = without(data, 0)
    assert forgotten.extras["relations"].equals(data.extras["relations"])
    assert relation_texts(forgotten, 3) == relation_texts(data, 3)


def test_relation_names_and_titles_are_data():
    odd = [("i0", "a\x1b[31m\n" + "long_" * 30, "m"), ("i1", "a\x1b[31m\n" + "long_" * 30, "m")]
    (text, *_) = relation_texts(films(odd), 2)
    assert "\x1b" not in text and "\n" not in text and len(text) < 60
    assert relation_texts(films([("i0", "///", "m"), ("i1", "///", "m")]), 2)[0]


def test_features_weigh_what_is_rare_and_leave_out_what_all_or_one_have():
    data = films(FACTS)
    features = relation_features(data, "x").toarray()
    assert features.shape == (4, 5)
    assert np.allclose((features**2).sum(axis=0), [1, 1, 1, 1, 1])
    # Alpha: its director by two of five items, its actor by three
    idf = np.log([5 / 2, 5 / 3])
    assert sorted(features[:, 0][features[:, 0] > 0]) == pytest.approx(
        sorted(idf / np.sqrt((idf**2).sum())), abs=1e-6
    )
    nothing_shared = films([("i0", "r", "m"), ("i1", "r", "n")])
    assert relation_features(nothing_shared, "x").shape == (0, 5)
    assert relation_texts(nothing_shared, 2) == [""] * 5
    assert len(shared_facts(data, "x")) == 9


def test_a_fact_that_stands_both_ways_round_counts_once():
    graph = pd.DataFrame(
        [("a", "r", "x"), ("x", "of", "a"), ("y", "of", "a")], columns=["head", "relation", "tail"]
    )
    links = pd.DataFrame({"item_id": ["1", "2"], "entity": ["a", "a"]})  # two items, one entity
    assert facts_of(graph, links).values.tolist() == [
        ["1", "r", "x"], ["2", "r", "x"], ["1", "of", "y"], ["2", "of", "y"],
    ]  # fmt: skip


def fitted(data, tmp_path, **recommender):
    parts = split(data, "loo")
    made = build(run_from_dict({"recommender": recommender}), data, settings=None)
    made.fit(parts, RunContext(tmp_path))
    return parts, made


@pytest.mark.parametrize("weight", [3.0, 40.0])
def test_ease_with_relations_is_the_least_squares_solution_of_the_stacked_rows(tmp_path, weight):
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        [
            (f"u{u}", f"i{i}", float(t))
            for u in range(25)
            for t, i in enumerate(rng.permutation(12)[:7])
        ],
        columns=["user_id", "item_id", "timestamp"],
    )
    items = pd.DataFrame({"item_id": [f"i{n}" for n in range(12)]})
    facts = pd.DataFrame(
        [(f"i{n}", "r", f"e{n % m}") for m in (3, 4, 5) for n in range(12)],
        columns=["item_id", "relation", "entity"],
    ).drop_duplicates()
    data = build_dataset("wide", table, items, extras={"relations": facts})
    l2 = 8.0
    parts, ease = fitted(data, tmp_path, family="ease", options={"l2": l2, "relations": weight})
    seen = np.zeros((25, 12))
    for user, sequence in enumerate(parts.train):
        seen[user, sequence] = 1
    shared = relation_features(data, "x").toarray().astype(np.float64)
    rows = np.vstack([seen, np.sqrt(weight) * shared, np.sqrt(l2) * np.eye(12)])
    expected = np.zeros((12, 12))
    for item in range(12):
        others = np.delete(np.arange(12), item)
        wanted = np.concatenate([rows[:-12, item], np.zeros(12)])
        expected[others, item] = np.linalg.lstsq(
            np.delete(rows[:, others], len(rows) - 12 + item, axis=0),
            np.delete(wanted, len(rows) - 12 + item), rcond=None,
        )[0]  # fmt: skip
    assert np.abs(ease.weights - expected).max() < 1e-6
    plain = fitted(data, tmp_path, family="ease", options={"l2": l2})[1]
    assert np.abs(plain.weights - expected).max() > 1e-3


def test_weight_0_is_ease_and_needs_no_relations(tmp_path):
    data = dataclasses.replace(films([]), extras={})
    plain = fitted(data, tmp_path, family="ease", options={"l2": 2})[1]
    other = fitted(data, tmp_path, family="ease", options={"l2": 2, "relations": 0})[1]
    assert np.array_equal(plain.weights, other.weights)


@pytest.mark.parametrize(
    "recommender",
    [{"family": "ease", "options": {"relations": 1}}, {"family": "tf-idf", "relations": 2}],
)
@pytest.mark.parametrize(
    "extras", [{}, {"relations": films([]).extras["relations"]}], ids=["none", "empty"]
)
def test_a_data_set_without_relations_is_refused_in_a_sentence(recommender, extras, tmp_path):
    data = dataclasses.replace(films(FACTS), extras=extras)
    with pytest.raises(
        UnsupportedError, match="'films' has none; import a table of head, relation"
    ):
        fitted(data, tmp_path, **recommender)


@pytest.mark.parametrize("family", ["tf-idf", "bm25"])
def test_words_of_relations_count_and_are_kept(family, tmp_path):
    data = films(FACTS)
    _, made = fitted(data, tmp_path, family=family, relations=3)
    history, candidates = [np.array([1])], np.array([[0, 4]])  # "directed by as Alpha"
    plain = fitted(data, tmp_path, family=family)[1].score(history, candidates)
    score = made.score(history, candidates)
    assert plain[0, 0] == 0 < score[0, 0]
    made.save(tmp_path / "model")
    loaded = family_class(family).load(tmp_path / "model", data)
    assert loaded.relations == 3 and np.array_equal(loaded.score(history, candidates), score)
    stored = load_arrays(tmp_path / "model", "tf-idf", data)
    stored["options"] = stored["options"][:5]  # as it was before relations
    save_arrays(tmp_path / "old", "tf-idf", **stored)
    assert family_class(family).load(tmp_path / "old", data).relations == 0


def test_the_number_of_relations_is_part_of_a_run_and_0_is_as_before():
    body = {"recommender": {"family": "tf-idf"}}
    before, after = (
        run_from_dict(body),
        run_from_dict({"recommender": {"family": "tf-idf", "relations": 3}}),
    )
    assert before.hash != after.hash
    assert run_from_dict({"recommender": {"family": "tf-idf", "relations": 0}}).hash == before.hash
    assert RunSpec().hash == "7899ffa84c6a22ba"


@pytest.mark.parametrize(
    "recommender",
    [
        {"family": "item-knn"},
        {"family": "fusion", "retriever": "item-knn+tf-idf"},
        {"family": "sasrec", "adaptation": "full"},
    ],
)
def test_families_that_read_no_relations_refuse_them(recommender):
    with pytest.raises(UsageError, match=r"recommender\.relations is 2, which .* does not look at"):
        run_from_dict({"recommender": {**recommender, "relations": 2}})
    with pytest.raises(UsageError, match="expected at most 20"):
        run_from_dict({"recommender": {"family": "tf-idf", "relations": 21}})


def test_borrowed_weights_read_the_texts_that_they_were_trained_on(tmp_path):
    def reader(family="cross-encoder", relations=0):
        retrieval = {"retriever": "item-knn", "rerank_k": 5} if family == "cascade" else {}
        return RecommenderSpec(
            family=family, backbone="minilm-l6", relations=relations, **retrieval
        )

    require_same_relations(reader(relations=3), reader(relations=3), tmp_path)
    require_same_relations(reader(relations=3), reader("cascade"), tmp_path)
    with pytest.raises(UsageError, match=r"relations is 0, and the weights in .* trained with 3"):
        require_same_relations(reader(relations=3), reader(), tmp_path)
