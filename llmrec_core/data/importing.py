"""From a path to a stored data set: describe every file, stream interactions into codes, join items and users.

Memory: ids that occur, plus 20 bytes a row, plus one chunk; never the text of the whole file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from llmrec_core.data import store
from llmrec_core.data.attributes import item_table, tag_table, user_table
from llmrec_core.data.dataset import Dataset, assemble
from llmrec_core.data.detect import Undecided, describe
from llmrec_core.data.prompts import labelled_histories, pairs_from_prompts, read_prompts, titles_from_prompts, tokens
from llmrec_core.data.reading import chunks, line_of
from llmrec_core.data.sources import find_sources, is_documentation
from llmrec_core.data.tables import COUNT_NAMES, Options, Table
from llmrec_core.data.times import to_seconds
from llmrec_core.errors import DataError
from llmrec_core.settings import Settings
from llmrec_core.types import Columns

MAX_SEQUENCE_ITEMS = 1_000_000
_WORDS = {"true": "1", "false": "0", "yes": "1", "no": "0"}


@dataclass
class Plan:
    """What an import would do: the tables it understands and the files it leaves out, with the reason."""

    tables: list[Table] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)

    def of(self, *kinds: str) -> list[Table]:
        return [table for table in self.tables if table.kind in kinds]

    def rows(self) -> list[dict[str, Any]]:
        """Evidence for the report: one entry a file."""
        found = [table.to_dict() for table in self.tables]
        return found + [{"file": label, "kind": "skipped", "evidence": [why]} for label, why in self.skipped]


def plan_import(path: Path, options: Options) -> Plan:
    """Describes every file at the path without storing anything.

    Raises:
        DataError: a damaged file, or nothing that holds interactions.
        UsageError: when a flag is needed to decide.
    """
    plan, undecided = Plan(), []
    for source in find_sources(path):
        if is_documentation(source):
            plan.skipped.append((source.label, "documentation by its name"))
            continue
        try:
            table = describe(source, options)
        except Undecided as question:
            undecided.append(question)
            plan.skipped.append((source.label, str(question)))
            continue
        if table.kind == "other":
            plan.skipped.append((source.label, f"no known role among the columns {', '.join(table.columns[:8])}"))
        else:
            plan.tables.append(table)
    if not plan.of("interactions", "sequences", "prompts", "edges"):
        if undecided:
            raise undecided[0]
        seen = "; ".join(f"{row['file']}: {row['kind']}" for row in plan.rows()[:6])
        raise DataError(
            f"{path.name}: no table of interactions found ({seen}); expected a user and an item column: name them "
            "with --user and --item"
        )
    return plan


def import_path(
    path: Path,
    name: str,
    settings: Settings,
    options: Options | None = None,
    *,
    title: str = "",
    progress: Callable[[str], None] | None = None,
) -> Dataset:
    """Imports the file, folder or zip as data set `name`, version 1 (or the next one when the name exists).

    Raises:
        DataError: what is wrong, where, and what to do; nothing is stored then.
        UsageError: a bad name, or a flag that is needed.
    """
    options = options or Options()
    store.check_name(name)
    plan = plan_import(path, options)
    dataset = read_plan(plan, name, options, title=title, source=path.name, progress=progress)
    store.save(dataset, settings, note="imported", tables=plan.rows())
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
    """The data set of a plan, in memory."""
    say = progress or (lambda line: None)
    rows = _Rows(options, say)
    extras: dict[str, pd.DataFrame] = {}
    titles: dict[str, str] = {}
    order = options.order
    for table in plan.of("interactions"):
        rows.interactions(table)
    labelled = [t for t in plan.of("sequences") if "rating" in t.roles]
    for table in plan.of("sequences"):
        if table not in labelled:
            rows.sequences(table)
            order = order or "file"
    prompts = read_prompts(plan.of("prompts"), options.skip_bad_rows) if plan.of("prompts") else None
    if labelled:
        pairs = labelled_histories(labelled, options.skip_bad_rows)
        titles = (titles_from_prompts(pairs, prompts) if prompts is not None else None) or {}
        if prompts is not None:
            for table in plan.of("prompts"):
                table.evidence.append(
                    "rows and answers agree with the labelled histories: titles taken from here"
                    if titles
                    else "rows do not agree with the labelled histories: left out"
                )
        extras["pairs"] = pairs
        rows.pairs(pairs)
    elif prompts is not None and not rows.count:
        extras["pairs"] = pairs = pairs_from_prompts(prompts)
        titles = pairs.attrs.pop("titles")
        rows.pairs(pairs, with_history=True)
        order = order or "file"
    edges = _edges(plan.of("edges"), options)
    if edges is not None and not rows.count:
        rows.add(edges["user_id"], edges["friend_id"], None, None)
    elif edges is not None:
        extras["edges"] = edges
    if plan.of("lists"):
        extras["lists"] = _lists(plan.of("lists"), options)
    if plan.of("tags"):
        extras["tags"] = tag_table(plan.of("tags"), plan.of("tag-names"), options.skip_bad_rows)
    items = item_table(plan.of("items"), {**rows.titles, **titles}, options.skip_bad_rows)
    users = user_table(plan.of("users"), options.skip_bad_rows)
    if not rows.count:
        raise DataError(f"data set {name!r} has no interactions; expected at least one row with a user and an item")
    order = order or ("time" if rows.has_time else "none")
    say(f"{rows.count:,} interactions, {len(rows.user_codes):,} users, {len(rows.item_codes):,} items")
    return assemble(
        name, rows.table(), list(rows.user_codes), list(rows.item_codes), items, users,
        title=title, source=source, order=order, extras=extras,
    )  # fmt: skip


class _Rows:
    """Interactions as they stream in: codes of ids in order of first appearance, ratings and times as numbers."""

    def __init__(self, options: Options, say: Callable[[str], None]) -> None:
        self.options, self.say = options, say
        self.user_codes: dict[str, int] = {}
        self.item_codes: dict[str, int] = {}
        self.titles: dict[str, str] = {}
        self.parts: list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]] = []
        self.count, self.has_time = 0, False

    def add(self, users: pd.Series, items: pd.Series, rating: np.ndarray | None, time: np.ndarray | None) -> None:
        self.parts.append(
            (
                _encode(users, self.user_codes),
                _encode(items, self.item_codes),
                np.ones(len(users), np.float32) if rating is None else rating.astype(np.float32),
                np.full(len(users), np.nan) if time is None else time,
            )
        )
        self.count += len(users)
        self.has_time |= time is not None and bool(np.isfinite(time).any())

    def table(self) -> pd.DataFrame:
        columns = (Columns.USER, Columns.ITEM, Columns.RATING, Columns.TIME)
        joined = {}
        for position, column in enumerate(columns):
            joined[column] = np.concatenate([part[position] for part in self.parts])
            self.parts = [tuple(None if i == position else p for i, p in enumerate(part)) for part in self.parts]  # type: ignore[misc]
        return pd.DataFrame(joined)

    def interactions(self, table: Table) -> None:
        roles = table.roles
        for frame in chunks(table, skip_bad_rows=self.options.skip_bad_rows):
            users, items = frame[roles["user"]].str.strip(), frame[roles["item"]].str.strip()
            rating = _numbers(frame, table, "rating") if "rating" in roles else None
            time = to_seconds(frame[roles["time"]], table.time_unit, table.time_format) if "time" in roles else None
            good = ((users != "") & (items != "")).to_numpy(copy=True)
            self._refuse(table, frame, good, "user" if (users == "").any() else "item", "is empty")
            if rating is not None:
                bad = np.isnan(rating) & (frame[roles["rating"]].str.strip() != "").to_numpy()
                self._refuse(table, frame, ~bad, "rating", "is no number")
                good &= ~bad
            if time is not None:
                bad = np.isnan(time) & (frame[roles["time"]].str.strip() != "").to_numpy()
                self._refuse(
                    table, frame, ~bad, "time", f"is no time of the form found ({table.time_format or table.time_unit})"
                )
                good &= ~bad
            self._remember_titles(table, frame, items)
            self.add(
                users[good], items[good], None if rating is None else rating[good], None if time is None else time[good]
            )
            self.say(f"{table.source.label}: {self.count:,} rows")
        if "rating" in roles and roles["rating"].lower().replace("_", "") in COUNT_NAMES:
            table.evidence.append(f"{roles['rating']} is a count or an amount, not a rating on a scale")

    def _refuse(self, table: Table, frame: pd.DataFrame, good: np.ndarray, role: str, what: str) -> None:
        if good.all() or self.options.skip_bad_rows:
            return
        row = int(frame.index[~good][0])
        column = table.roles[role]
        raise DataError(
            f"{line_of(table, row)}, column {column!r}: {frame.loc[row, column][:40]!r} {what}; repair it, name "
            f"another column with --{role}, or "
            "leave such rows out with --skip-bad-rows"
        )

    def _remember_titles(self, table: Table, frame: pd.DataFrame, items: pd.Series) -> None:
        title = table.roles.get("title")
        if title and title != table.roles["item"]:
            first = ~items.duplicated()
            for item, text in zip(items[first], frame.loc[first, title], strict=True):
                self.titles.setdefault(item, text)
        elif title:
            self.titles.update({item: item for item in items.unique()})

    def sequences(self, table: Table) -> None:
        """Histories as ids in order, then the target: one interaction each."""
        roles = table.roles
        for frame in chunks(table, rows=50_000, skip_bad_rows=self.options.skip_bad_rows):
            histories = [tokens(text) for text in frame[roles["history"]]]
            if "item" in roles:
                histories = [
                    [*history, *tokens(target)[:1]]
                    for history, target in zip(histories, frame[roles["item"]], strict=True)
                ]
            lengths = [len(history) for history in histories]
            if max(lengths) > MAX_SEQUENCE_ITEMS:
                row = int(frame.index[int(np.argmax(lengths))])
                raise DataError(
                    f"{line_of(table, row)}: a history of {max(lengths):,} items; at most {MAX_SEQUENCE_ITEMS:,} are "
                    "read"
                )
            self.add(
                frame[roles["user"]].repeat(lengths),
                pd.Series([i for history in histories for i in history], dtype=str),
                None,
                None,
            )

    def pairs(self, pairs: pd.DataFrame, with_history: bool = False) -> None:
        """Targets as interactions with their label as rating; the history too where it appears nowhere else."""
        if with_history:
            users, items, labels = [], [], []
            for row in pairs.itertuples():
                history = [*row.history.split(), row.item_id]
                users += [row.user_id] * len(history)
                items += history
                labels += [*map(float, row.history_labels.split()), row.label]
            self.add(pd.Series(users), pd.Series(items), np.array(labels), None)
        else:
            for item in dict.fromkeys(i for history in pairs["history"] for i in history.split()):
                self.item_codes.setdefault(item, len(self.item_codes))
            time = pairs["timestamp"].to_numpy(np.float64)
            self.add(
                pairs["user_id"], pairs["item_id"], pairs["label"].to_numpy(), None if np.isnan(time).all() else time
            )


def _encode(ids: pd.Series, codes: dict[str, int]) -> np.ndarray:
    local, unique = pd.factorize(ids, sort=False)
    known = np.fromiter((codes.setdefault(value, len(codes)) for value in unique), np.int32, len(unique))
    return known[local]


def _numbers(frame: pd.DataFrame, table: Table, role: str) -> np.ndarray:
    text = frame[table.roles[role]].str.strip()
    numbers = pd.to_numeric(text, errors="coerce")
    if numbers.isna().any():
        text = text.str.lower().replace(_WORDS)
        if table.separator != ",":
            text = text.str.replace(r"^(-?\d+),(\d+)$", r"\1.\2", regex=True)  # decimal comma
        numbers = pd.to_numeric(text, errors="coerce")
    return numbers.to_numpy(np.float64)


def _edges(tables: Iterable[Table], options: Options) -> pd.DataFrame | None:
    """user_id, friend_id; a friends column with several ids gives a row each."""
    parts = []
    for table in tables:
        for frame in chunks(table, skip_bad_rows=options.skip_bad_rows):
            friends = frame[table.roles["friend"]].map(tokens)
            lengths = friends.str.len()
            flat = [friend for several in friends for friend in several]
            parts.append(
                pd.DataFrame({"user_id": frame[table.roles["user"]].repeat(lengths).to_numpy(), "friend_id": flat})
            )
    return pd.concat(parts, ignore_index=True) if parts else None


def _lists(tables: Iterable[Table], options: Options) -> pd.DataFrame:
    """method (the file's ending), user_id, items (ids separated by a space, best first)."""
    parts = []
    for table in tables:
        method = table.source.stem.rpartition(".")[2] or table.source.stem
        for frame in chunks(table, skip_bad_rows=options.skip_bad_rows):
            items = frame[table.roles["history"]].map(lambda text: " ".join(tokens(text)))
            parts.append(pd.DataFrame({"method": method, "user_id": frame[table.roles["user"]], "items": items}))
    return pd.concat(parts, ignore_index=True)
