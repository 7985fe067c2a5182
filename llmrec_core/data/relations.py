"""What items have in common by a knowledge graph: directors, actors, brands, as features and text.

A fact is (item, relation, entity), as in `dataset.extras["relations"]`. An entity may have no name
(a Freebase id), so in text it is told by what it links: "directed by as Bound" says that Bound has
the same director. Only facts of the catalogue are used, never who took what.
"""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
from scipy import sparse

from llmrec_core.data.dataset import RELATIONS, Dataset
from llmrec_core.data.text import clean_title, without_year
from llmrec_core.errors import UnsupportedError
from llmrec_core.language import t
from llmrec_core.types import Columns

RELATION, ENTITY = "relation", "entity"
MOST_LETTERS = 40
"""Of a relation's name in a text."""
_PARTS = re.compile(r"[./#:]+")


def facts_of(relations: pd.DataFrame, items_of: pd.DataFrame) -> pd.DataFrame:
    """The facts about items that a graph holds.

    A row of the graph that ends in an item counts as one that begins there, unless the item and the
    entity are linked the other way round already: public graphs hold most facts twice, as
    `film.directed_by` and as `director.film`.

    Args:
        relations: head, relation, tail, as text.
        items_of: item_id and entity, one row a link; an entity may stand for several items.

    Returns:
        item_id, relation, entity, without repetition: the facts that begin in an item in the order
        of the graph, then those that end in one.
    """

    def joined(item_side: str, other_side: str) -> pd.DataFrame:
        rows = relations.merge(
            items_of, left_on=item_side, right_on=ENTITY, how="inner", sort=False
        )
        return pd.DataFrame(
            {
                Columns.ITEM_ID: rows[Columns.ITEM_ID],
                RELATION: rows[RELATION],
                ENTITY: rows[other_side],
            }
        )

    forward, backward = joined("head", "tail"), joined("tail", "head")
    pair = [Columns.ITEM_ID, ENTITY]
    forward_pairs = pd.MultiIndex.from_frame(forward[pair])
    fresh = backward[~pd.MultiIndex.from_frame(backward[pair]).isin(forward_pairs)]
    return pd.concat([forward, fresh]).drop_duplicates(ignore_index=True)


def require_relations(dataset: Dataset, who: str) -> pd.DataFrame:
    """The facts of a data set.

    Args:
        dataset: where they stand.
        who: needs them, for the refusal.

    Raises:
        UnsupportedError: when there are none.
    """
    facts = dataset.extras.get(RELATIONS)
    if facts is None or not len(facts):
        raise UnsupportedError(
            t(
                "{who} reads relations of items, and {name!r} has none; import a table of head, "
                "relation and tail beside the interactions, or leave relations out",
                who=who,
                name=dataset.name,
            )
        )
    return facts


def shared_facts(dataset: Dataset, who: str) -> pd.DataFrame:
    """The facts that link an item to others.

    What one item alone has links nothing, and what all have tells none apart.

    Args:
        dataset: whose relations are read.
        who: needs them, for the refusal.

    Returns:
        item (code), feature (code of the relation with its entity), relation, entity, items (how
        many items have it), sorted by item, then the rarest first, then by name.

    Raises:
        UnsupportedError: when the data set has no relations.
    """
    facts = require_relations(dataset, who)
    codes = pd.Index(dataset.items[Columns.ITEM_ID]).get_indexer(facts[Columns.ITEM_ID])
    facts = facts.assign(item=codes)[codes >= 0].drop_duplicates(["item", RELATION, ENTITY])
    # sorted, so that the codes do not depend on the order of the graph's rows
    feature = facts.groupby([RELATION, ENTITY], sort=True).ngroup()
    items = feature.groupby(feature).transform("size")
    facts = facts.assign(feature=feature, items=items)
    linking = facts[(items > 1) & (items < dataset.n_items)]
    columns = ["item", "feature", RELATION, ENTITY, "items"]
    return linking.sort_values(["item", "items", RELATION, ENTITY], ignore_index=True)[columns]


def relation_features(dataset: Dataset, who: str) -> sparse.csr_array:
    """What items share, float32, shape (features, items); every item's column has length 1 or 0.

    A feature is a relation with an entity ("directed by m.05kfs"). It weighs idf = log(items ÷
    items that have it), so what nearly all share counts for little.

    Args:
        dataset: whose relations are read.
        who: needs them, for the refusal.

    Raises:
        UnsupportedError: when the data set has no relations.
    """
    facts = shared_facts(dataset, who)
    rows, _ = pd.factorize(facts["feature"])
    idf = np.log(dataset.n_items / facts["items"].to_numpy(np.float64))
    squares = np.bincount(facts["item"], weights=idf**2, minlength=dataset.n_items)
    values = idf / np.sqrt(squares)[facts["item"]]
    shape = (int(rows.max(initial=-1)) + 1, dataset.n_items)
    return sparse.csr_array((values.astype(np.float32), (rows, facts["item"])), shape=shape)


def relation_texts(dataset: Dataset, limit: int) -> list[str]:
    """What the text of each item says of its relations: `directed by as Bound, actor as Speed`.

    The rarest fact of each relation is told, the rarest relation first, by the first other item in
    the catalogue that shares it and was not named yet. An item without shared facts has "".

    Args:
        dataset: whose relations and titles are read.
        limit: most relations of an item that are told.

    Raises:
        UnsupportedError: when the data set has no relations.
    """
    facts = shared_facts(dataset, "recommender.relations")
    names = [without_year(str(title)) for title in dataset.items[Columns.TITLE]]
    owners = facts.groupby("feature")["item"].agg(list).to_dict()
    words = {name: readable(name) for name in facts[RELATION].unique()}
    phrases: list[list[str]] = [[] for _ in names]
    used: list[set[str]] = [{""} for _ in names]
    """Relations and titles that an item's text has already; no title at all is never told."""
    rows = zip(facts["item"].tolist(), facts["feature"].tolist(), facts[RELATION], strict=True)
    for item, feature, relation in rows:
        word = words[relation]
        if len(phrases[item]) >= limit or f"{word}:" in used[item]:
            continue
        avoided = {*used[item], names[item]}
        other = next((names[o] for o in owners[feature] if names[o] not in avoided), "")
        if other:
            phrases[item].append(f"{word} as {other}")
            used[item] |= {f"{word}:", other}
    return [", ".join(parts) for parts in phrases]


def readable(relation: str) -> str:
    """The name of a relation as words.

    >>> readable("film.film.directed_by"), readable("http://schema.org/brand"), readable("same-as")
    ('directed by', 'brand', 'same as')
    """
    parts = [part for part in _PARTS.split(relation) if part.strip()]
    last = re.sub(r"[_\-]+", " ", parts[-1] if parts else relation)
    return clean_title(last)[:MOST_LETTERS].strip() or "relation"
