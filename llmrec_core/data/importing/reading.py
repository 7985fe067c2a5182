"""From a plan to a data set: read the rows of every table, join items and users."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from llmrec_core.data import store
from llmrec_core.data.dataset import RELATIONS, Dataset, assemble, content_hash
from llmrec_core.data.importing.attributes import item_table, tag_table, user_table
from llmrec_core.data.importing.chunks import read_failure
from llmrec_core.data.importing.described_table import Options, Table
from llmrec_core.data.importing.graph import GRAPH, LINKS, relations_of
from llmrec_core.data.importing.interactions import Interactions
from llmrec_core.data.importing.limits import lift_growth
from llmrec_core.data.importing.links import candidate_lists, edges_of
from llmrec_core.data.importing.llm_prompts import (
    labelled_histories,
    pairs_from_prompts,
    read_prompts,
    titles_from_prompts,
)
from llmrec_core.data.importing.plan import Plan, plan_import
from llmrec_core.data.importing.role_names import COUNT_NAMES, squeezed
from llmrec_core.data.importing.row_tally import RowTally
from llmrec_core.data.text import printable
from llmrec_core.errors import DataError, LlmrecError
from llmrec_core.language import t
from llmrec_core.settings import Settings
from llmrec_core.types import Columns


def import_path(
    path: Path,
    name: str,
    settings: Settings,
    options: Options | None = None,
    *,
    title: str = "",
    progress: Callable[[str], None] | None = None,
) -> Dataset:
    """Import into a data set, in this process and without its limits.

    Args:
        path: a file, a folder or a zip.
        name: of the data set; version 1, or the next one when it exists.
        settings: where the home is.
        options: what is fixed instead of found.
        title: for people.
        progress: called with a sentence now and then.

    Raises:
        DataError: what is wrong, where, and what to do; nothing is stored then.
        UsageError: a bad name, or a choice that is needed.
    """
    options = options or Options()
    store.check_name(name)
    plan = plan_import(path, options)
    dataset = read_plan(plan, name, options, title=title, source=path.name, progress=progress)
    store.save(dataset, settings, note=t("imported"), tables=plan.rows())
    return dataset


def read_plan(
    plan: Plan,
    name: str,
    options: Options,
    *,
    title: str = "",
    source: str = "",
    progress: Callable[[str], None] | None = None,
) -> Dataset:
    """The data set of a plan, in memory.

    Args:
        plan: as `plan_import` makes it; its tables learn how many rows were left out.
        name: of the data set.
        options: what is fixed instead of found.
        title: for people.
        source: where it comes from, for people.
        progress: called with a sentence now and then.

    Raises:
        DataError: for rows that cannot be read, unless they are to be left out.
        UsageError: for questions that are open.
    """
    plan.raise_problems()
    reading = _Reading(plan, options, progress or (lambda line: None))
    try:
        return reading.dataset(name, title or name, source)
    except LlmrecError:
        raise
    except Exception as error:
        raise read_failure(printable(source) or name, error) from error


class _Reading:
    """One pass over the tables of a plan."""

    def __init__(self, plan: Plan, options: Options, say: Callable[[str], None]) -> None:
        self.plan, self.options, self.say = plan, options, say
        self.rows = Interactions(say)
        self.tallies = {table.source.label: RowTally() for table in plan.tables}
        self.extras: dict[str, pd.DataFrame] = {}
        self.titles: dict[str, str] = {}
        self.order = options.order

    def dataset(self, name: str, title: str, source: str) -> Dataset:
        """All tables, joined."""
        for table in self.plan.of("interactions"):
            self.rows.read(table, self.tallies[table.source.label])
            self._say_amount(table)
        self._read_histories()
        self._read_links()
        memory = self.rows.titles
        items = item_table(
            self.plan.of("items"), {**memory.titles, **self.titles}, memory.genres, self.tallies
        )
        users = user_table(self.plan.of("users"), self.tallies)
        self._settle_left_out(name)
        self.say(
            t(
                "{rows:,} interactions, {users:,} users, {items:,} items",
                rows=self.rows.count,
                users=len(self.rows.user_codes),
                items=len(self.rows.item_codes),
            )
        )
        lift_growth()
        table = self.rows.table()
        dataset = assemble(
            name,
            table,
            list(self.rows.user_codes),
            list(self.rows.item_codes),
            items,
            users,
            title=title,
            source=source,
            order=self._order(),
            extras=self.extras,
        )
        return self._with_relations(dataset)

    def _with_relations(self, dataset: Dataset) -> Dataset:
        """The data set with the facts of a graph beside it, which are part of its identity."""
        facts = relations_of(
            self.plan.of(GRAPH),
            self.plan.of(LINKS),
            dataset.items[Columns.ITEM_ID].tolist(),
            dataset.items[Columns.GENRES].tolist(),
            self.tallies,
        )
        if facts is None:
            return dataset
        extras = {**dataset.extras, RELATIONS: facts}
        identity = content_hash(dataset.interactions, dataset.items, dataset.users, extras)
        return dataclasses.replace(dataset, extras=extras, content_hash=identity)

    def _order(self) -> str:
        """What orders a user's items."""
        if self.order:
            return self.order
        if self.rows.has_instants and self.rows.has_time:
            return "time"
        return "position" if self.rows.has_time else "none"

    def _read_histories(self) -> None:
        """Sequences, labelled histories and prompts."""
        labelled = [table for table in self.plan.of("sequences") if "rating" in table.roles]
        for table in self.plan.of("sequences"):
            if table not in labelled:
                self.rows.read_sequences(table, self.tallies[table.source.label])
                self.order = self.order or "file"
        prompted = self.plan.of("prompts")
        prompts = read_prompts(prompted, self.tallies) if prompted else None
        if labelled:
            pairs = labelled_histories(labelled, self.tallies)
            if prompts is not None:
                self.titles = titles_from_prompts(pairs, prompts) or {}
                self._say_titles(prompted)
            self.extras["pairs"] = pairs
            self.rows.read_pairs(pairs)
        elif prompts is not None and not self.rows.count:
            self.extras["pairs"] = pairs = pairs_from_prompts(prompts)
            self.titles = pairs.attrs.pop("titles")
            self.rows.read_pairs(pairs, with_history=True)
            self.order = self.order or "file"

    def _read_links(self) -> None:
        """Friends, candidate lists and tags."""
        edges = edges_of(self.plan.of("edges"), self.tallies)
        if edges is not None and not self.rows.count:
            self.rows.add(edges["user_id"], edges["friend_id"])
        elif edges is not None:
            self.extras["edges"] = edges
        if self.plan.of("lists"):
            self.extras["lists"] = candidate_lists(self.plan.of("lists"), self.tallies)
        if self.plan.of("tags"):
            names = self.plan.of("tag-names")
            self.extras["tags"] = tag_table(self.plan.of("tags"), names, self.tallies)

    def _say_titles(self, prompted: list[Table]) -> None:
        for table in prompted:
            table.evidence.append(
                t("rows and answers agree with the labelled histories: titles taken from here")
                if self.titles
                else t("rows do not agree with the labelled histories: left out")
            )

    def _say_amount(self, table: Table) -> None:
        rating = table.roles.get("rating")
        if rating and squeezed(rating) in COUNT_NAMES:
            table.evidence.append(
                t("{column} is a count or an amount, not a rating on a scale", column=rating)
            )

    def _settle_left_out(self, name: str) -> None:
        """Say how many rows were left out, or stop because of them."""
        for table in self.plan.tables:
            tally = self.tallies[table.source.label]
            table.left_out = tally.counts
            if not self.options.skip_bad_rows:
                self.plan.problems += [(table.source.label, p) for p in tally.problems()]
        self.plan.raise_problems()
        if not self.rows.count:
            raise DataError(
                t(
                    "data set {name!r} has no interactions; expected at least one row with a user "
                    "and an item",
                    name=name,
                )
            )
