"""Tables of a knowledge graph beside interactions: who is what of whom, and which item is which.

RecBole writes them as `.kg` (head, relation, tail) and `.link` (item, entity). Without a table of
links, heads and tails that are ids of items are the items. A public graph may be linked by the ids
of another edition of the data (the `ml-100k.link` of RecBole 1.2.1 has the ids of MovieLens 1M), so
the import says whether items that share an entity also share a category more often than others do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from llmrec_core.data.importing.chunks import chunks
from llmrec_core.data.importing.described_table import Table
from llmrec_core.data.importing.problems import ImportDataError
from llmrec_core.data.importing.role_names import squeezed
from llmrec_core.data.importing.row_tally import RowTally
from llmrec_core.data.relations import ENTITY, RELATION, facts_of
from llmrec_core.errors import DataError
from llmrec_core.language import t
from llmrec_core.types import Columns

GRAPH, LINKS = "relations", "entity-links"
"""Kinds of tables: head, relation, tail; and item, entity."""
ROLES: dict[str, tuple[str, ...]] = {GRAPH: ("head", RELATION, "tail"), LINKS: ("item", ENTITY)}
MAX_FACTS = 20_000_000
RARE = 20
"""An entity of at most so many items is one that says something of them."""
MOST_PAIRS = 20_000
LEAST_PAIRS = 50
"""With fewer pairs nothing is said of categories."""
_NAMES = {
    "head": ("headid", "head", "headentity", "subject"),
    RELATION: ("relationid", "relation", "predicate"),
    "tail": ("tailid", "tail", "tailentity", "object"),
    "item": ("itemid", "item"),
    ENTITY: ("entityid", "entity"),
}


def graph_roles(table: Table, chosen: str = "") -> dict[str, str]:
    """Role → column of a table of a graph; empty for any other table.

    A table is one when it has exactly these columns, by name. Of one whose kind a person chose, the
    first columns are taken in the order head, relation, tail, or item, entity.

    Args:
        table: its columns are known.
        chosen: the kind that a person chose; empty when it is to be found.

    Raises:
        ImportDataError: when a table that was chosen has too few columns.
    """
    for kind, roles in ROLES.items():
        named = {
            role: column
            for role in roles
            for column in table.columns
            if squeezed(column) in _NAMES[role]
        }
        if len(named) == len(roles) and (chosen == kind or len(table.columns) == len(roles)):
            return named
    if chosen not in ROLES:
        return {}
    roles = ROLES[chosen]
    if len(table.columns) < len(roles):
        raise ImportDataError(
            t(
                "{label} has the columns {columns}; a table of kind {kind} needs {roles}",
                label=table.source.label,
                columns=", ".join(table.columns),
                kind=chosen,
                roles=", ".join(roles),
            )
        )
    return dict(zip(roles, table.columns, strict=False))


def relations_of(
    graphs: Sequence[Table],
    links: Sequence[Table],
    items: Sequence[str],
    categories: Sequence[str],
    tallies: Mapping[str, RowTally],
) -> pd.DataFrame | None:
    """The facts of a graph about items; what concerns none is counted in the evidence.

    Args:
        graphs: described tables of head, relation and tail.
        links: described tables of item and entity.
        items: ids of all items of the data set.
        categories: of each item, as `A|B`.
        tallies: file label → count of the rows that are left out.

    Returns:
        item_id, relation, entity; None when no row concerns an item.

    Raises:
        DataError: above `MAX_FACTS`.
    """
    if not graphs:
        for table in links:
            table.evidence.append(
                t("not used: no table of head, relation and tail came along to link items to")
            )
        return None
    item_ids = pd.Index(items)
    linked = _linked(links, item_ids, tallies) if links else _themselves(item_ids)
    facts = facts_of(_rows(graphs, tallies), linked)
    if len(facts) > MAX_FACTS:
        raise DataError(
            t(
                "more than {most:,} relations of items; leave out the relations that matter least",
                most=MAX_FACTS,
            )
        )
    if not len(facts):
        graphs[0].evidence.append(
            t(
                "not used: no head or tail is an item of this data set; a table of item_id and "
                "entity_id links other ids to items"
            )
        )
        return None
    graphs[0].evidence.append(
        t(
            "{facts:,} relations of {linked:,} of {items:,} items: {kinds:,} kinds, {entities:,} "
            "entities",
            facts=len(facts),
            linked=facts[Columns.ITEM_ID].nunique(),
            items=len(items),
            kinds=facts[RELATION].nunique(),
            entities=facts[ENTITY].nunique(),
        )
    )
    _judge_links(facts, item_ids, categories, graphs[0])
    return facts


def _rows(graphs: Sequence[Table], tallies: Mapping[str, RowTally]) -> pd.DataFrame:
    """All rows of the graph: head, relation, tail; those with an empty cell are counted."""
    return pd.concat([_named(table, tallies) for table in graphs], ignore_index=True)


def _linked(
    links: Sequence[Table], item_ids: pd.Index, tallies: Mapping[str, RowTally]
) -> pd.DataFrame:
    """item_id and entity of the items that are there; the others are told in the evidence."""
    parts = []
    for table in links:
        frame = _named(table, tallies).set_axis([Columns.ITEM_ID, ENTITY], axis=1)
        is_there = frame[Columns.ITEM_ID].isin(item_ids)
        table.evidence.append(
            t(
                "{there:,} rows link items of this data set, {others:,} others are left out",
                there=int(is_there.sum()),
                others=int((~is_there).sum()),
            )
        )
        parts.append(frame[is_there])
    return pd.concat(parts, ignore_index=True).drop_duplicates(ignore_index=True)


def _themselves(item_ids: pd.Index) -> pd.DataFrame:
    return pd.DataFrame({Columns.ITEM_ID: item_ids, ENTITY: item_ids})


def _named(table: Table, tallies: Mapping[str, RowTally]) -> pd.DataFrame:
    """The columns of a table's roles, under the names of the roles, without incomplete rows."""
    roles, tally = ROLES[table.kind], tallies[table.source.label]
    parts, incomplete = [pd.DataFrame({role: [] for role in roles}, dtype=str)], 0
    for frame in chunks(table, tally):
        part = pd.DataFrame({role: frame[table.roles[role]].str.strip() for role in roles})
        whole = (part != "").all(axis=1)
        incomplete += int((~whole).sum())
        parts.append(part[whole])
    if incomplete:
        table.evidence.append(t("{count:,} rows with an empty cell are left out", count=incomplete))
    return pd.concat(parts, ignore_index=True)


def _judge_links(
    facts: pd.DataFrame, item_ids: pd.Index, categories: Sequence[str], table: Table
) -> None:
    """Say whether items that share a rare entity share a category more often than any two do.

    Links by the ids of other data would leave both shares alike. Pairs are drawn by a fixed seed.
    """
    sets = [frozenset(filter(None, text.split("|"))) for text in categories]
    codes = pd.Series(item_ids.get_indexer(facts[Columns.ITEM_ID]))
    has_category = np.array([bool(some) for some in sets])[codes.to_numpy()]
    sharing = codes[has_category].groupby(
        [facts[RELATION].to_numpy()[has_category], facts[ENTITY].to_numpy()[has_category]]
    )
    owners = [np.unique(group.to_numpy()) for _, group in sharing if 2 <= len(group) <= RARE]
    pairs = [(some[0], some[-1]) for some in owners if len(some) > 1][:MOST_PAIRS]
    if len(pairs) < LEAST_PAIRS:
        return
    drawn = np.random.default_rng(0).choice(np.unique(np.array(pairs)), (len(pairs), 2))
    linked, chance = (
        float(np.mean([bool(sets[code] & sets[other]) for code, other in some if code != other]))
        for some in (pairs, drawn.tolist())
    )
    table.evidence.append(
        t(
            "items that share a rare entity share a category in {linked:.0%} of pairs, items drawn "
            "by chance in {chance:.0%}",
            linked=linked,
            chance=chance,
        )
    )
    # Two standard errors of a share of this many pairs, which is 0.014 at 20,000.
    if linked < chance + 2 * np.sqrt(0.5 / len(pairs)):
        table.evidence.append(
            t(
                "this is no more than chance: the links seem to be of other items, as when a table "
                "of links was made for another edition of the data"
            )
        )
