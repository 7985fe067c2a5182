"""Interactions as they stream in: ids coded by first appearance, ratings and times as numbers.

Memory: the ids that occur, 20 bytes a row, and one frame of text; never the text of a whole file.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from llmrec_core.data.importing.chunks import chunks, line_of
from llmrec_core.data.importing.describe import time_form
from llmrec_core.data.importing.described_table import Table
from llmrec_core.data.importing.llm_prompts import tokens
from llmrec_core.data.importing.row_tally import RowTally
from llmrec_core.data.importing.times import to_seconds
from llmrec_core.data.importing.title_memory import TitleMemory
from llmrec_core.data.text import has_unprintable, printable, without_unprintable
from llmrec_core.errors import DataError
from llmrec_core.language import t
from llmrec_core.types import Columns

MAX_ROWS = 60_000_000
"""About 3 GB while they are put together, what an import may take."""
MAX_SEQUENCE_ITEMS = 1_000_000
MAX_RATING = 1e30
_WORDS = {"true": "1", "false": "0", "yes": "1", "no": "0"}
_COLUMNS = (Columns.USER, Columns.ITEM, Columns.RATING, Columns.TIME)

Part = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""Codes of users and items (int32), ratings (float32), seconds (float64, NaN when unknown)."""


class Interactions:
    """What has been read so far.

    Args:
        tally: a new count of rows left out for each table.
        say: told the progress in a sentence.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say = say
        self.user_codes: dict[str, int] = {}
        self.item_codes: dict[str, int] = {}
        self.titles = TitleMemory()
        self.parts: list[Part] = []
        self.count = 0
        self.has_time = False
        self.has_instants = False
        """Whether times are instants; positions in a sequence are times without being instants."""
        self.first_histories: dict[int, tuple[float, list[str]]] = {}
        """User code → time and history of the earliest row that carries one."""

    def add(
        self,
        users: pd.Series,
        items: pd.Series,
        rating: np.ndarray | None = None,
        time: np.ndarray | None = None,
    ) -> None:
        """Take rows.

        Args:
            users: ids as text.
            items: ids as text, as many.
            rating: numbers; 1 each where there are none.
            time: seconds; unknown where there are none.

        Raises:
            DataError: above `MAX_ROWS`.
        """
        self.count += len(users)
        if self.count > MAX_ROWS:
            raise DataError(
                t(
                    "more than {MAX_ROWS:,} interactions; import a part of them, such as the last "
                    "months",
                    MAX_ROWS=MAX_ROWS,
                )
            )
        self.parts.append(
            (
                _encode(users, self.user_codes),
                _encode(items, self.item_codes),
                np.ones(len(users), np.float32) if rating is None else rating.astype(np.float32),
                np.full(len(users), np.nan) if time is None else time,
            )
        )
        self.has_time |= time is not None and bool(np.isfinite(time).any())

    def table(self) -> pd.DataFrame:
        """All rows; what was held here is given away."""
        self._add_unseen_histories()
        joined = {}
        columns = [list(column) for column in zip(*self.parts, strict=True)]
        self.parts = []
        for name in _COLUMNS:
            # The parts of a column are freed before the next one is joined.
            joined[name] = np.concatenate(columns.pop(0))
        return pd.DataFrame(joined)

    def read(self, table: Table, tally: RowTally) -> None:
        """Take the rows of a table of interactions.

        Args:
            table: its roles are known.
            tally: counts the rows that are left out.
        """
        titles = self.titles.of(table)
        for frame in chunks(table, tally):
            users, items = _ids(frame, table, "user"), _ids(frame, table, "item")
            rating = _ratings(frame, table) if "rating" in table.roles else None
            time = (
                to_seconds(frame[table.roles["time"]], time_form(table))
                if "time" in table.roles
                else None
            )
            good = (
                _filled(users, frame, table, tally, "user")
                & _filled(items, frame, table, tally, "item")
                & _numbered(rating, frame, table, tally, "rating")
                & _numbered(time, frame, table, tally, "time")
            )
            titles.remember(frame, items)
            self.add(
                users[good],
                items[good],
                None if rating is None else rating[good],
                None if time is None else time[good],
            )
            if "history" in table.roles:
                self._remember_histories(frame[table.roles["history"]][good], time, good)
            self.say(t("{label}: {count:,} rows", label=table.source.label, count=self.count))
        self.has_instants |= "time" in table.roles and table.time_unit != "order"
        titles.close()

    def read_sequences(self, table: Table, tally: RowTally) -> None:
        """Take histories of ids in order, then the target: one interaction each.

        Args:
            table: its roles are known.
            tally: counts the rows that are left out.
        """
        for frame in chunks(table, tally):
            histories = [tokens(text) for text in frame[table.roles["history"]]]
            if "item" in table.roles:
                targets = frame[table.roles["item"]]
                histories = [
                    [*history, *tokens(target)[:1]]
                    for history, target in zip(histories, targets, strict=True)
                ]
            lengths = [len(history) for history in histories]
            if max(lengths, default=0) > MAX_SEQUENCE_ITEMS:
                row = int(frame.index[int(np.argmax(lengths))])
                raise DataError(
                    t(
                        "{line}: a history of {count:,} items; at most {most:,} are read",
                        line=line_of(table, row),
                        count=max(lengths),
                        most=MAX_SEQUENCE_ITEMS,
                    )
                )
            self.add(
                _ids(frame, table, "user").repeat(lengths),
                pd.Series([item for history in histories for item in history], dtype=str),
            )

    def read_pairs(self, pairs: pd.DataFrame, with_history: bool = False) -> None:
        """Take labelled targets, the label as rating.

        Args:
            pairs: as `llm_prompts.PAIR_COLUMNS`.
            with_history: whether the history is taken too, because it stands nowhere else.
        """
        if with_history:
            users, items, labels = [], [], []
            for row in pairs.itertuples():
                history = [*row.history.split(), row.item_id]
                users += [row.user_id] * len(history)
                items += history
                labels += [*map(float, row.history_labels.split()), row.label]
            self.add(pd.Series(users), pd.Series(items), np.array(labels))
            return
        for item in dict.fromkeys(i for history in pairs["history"] for i in history.split()):
            self.item_codes.setdefault(item, len(self.item_codes))
        time = pairs["timestamp"].to_numpy(np.float64)
        has_times = not np.isnan(time).all()
        self.has_instants |= has_times
        self.add(
            pairs["user_id"],
            pairs["item_id"],
            pairs["label"].to_numpy(),
            time if has_times else None,
        )

    def _remember_histories(
        self, histories: pd.Series, time: np.ndarray | None, good: np.ndarray
    ) -> None:
        """Keep the history of each user's earliest row; later ones repeat rows that are read."""
        users = self.parts[-1][0]
        when = np.zeros(len(users)) if time is None else np.nan_to_num(time[good])
        for user, instant, text in zip(users.tolist(), when.tolist(), histories, strict=True):
            earliest = self.first_histories.get(user)
            if earliest is None or instant < earliest[0]:
                self.first_histories[user] = (instant, tokens(text))

    def _add_unseen_histories(self) -> None:
        """Put what stands only in histories before each user's first row, at its time."""
        users, items, times = [], [], []
        names = list(self.user_codes)
        for user, (instant, history) in self.first_histories.items():
            users += [names[user]] * len(history)
            items += history
            times += [instant] * len(history)
        if users:
            time = np.array(times) if self.has_time else None
            self.add(pd.Series(users, dtype=str), pd.Series(items, dtype=str), None, time)
            self.parts.insert(0, self.parts.pop())


def _ids(frame: pd.DataFrame, table: Table, role: str) -> pd.Series:
    """The identifiers of a role without blanks around them and without invisible characters."""
    ids = frame[table.roles[role]].str.strip()
    hidden = ids.map(has_unprintable)
    return ids.where(~hidden, ids.map(without_unprintable)) if hidden.any() else ids


def _filled(
    ids: pd.Series, frame: pd.DataFrame, table: Table, tally: RowTally, role: str
) -> np.ndarray:
    """Which rows have an identifier; the others are counted."""
    good: np.ndarray = (ids != "").to_numpy(dtype=bool)
    if not good.all():
        row = int(frame.index[~good][0])
        column = table.roles[role]
        tally.add(
            t("{column} is empty", column=column),
            t(
                "{line}, column {column!r}: {value!r} is empty",
                line=line_of(table, row),
                column=column,
                value="",
            ),
            "columns",
            count=int((~good).sum()),
        )
    return good


def _numbered(
    numbers: np.ndarray | None, frame: pd.DataFrame, table: Table, tally: RowTally, role: str
) -> np.ndarray:
    """Which rows have a number or nothing where one is expected; the others are counted."""
    if numbers is None:
        return np.ones(len(frame), dtype=bool)
    column = table.roles[role]
    text = frame[column].str.strip()
    bad: np.ndarray = np.isnan(numbers) & (text != "").to_numpy(dtype=bool)
    if bad.any():
        row = int(frame.index[bad][0])
        what = (
            t("is no number")
            if role == "rating"
            else t(
                "is no time of the form found ({form})", form=table.time_format or table.time_unit
            )
        )
        tally.add(
            t("{column} {what}", column=column, what=what),
            t(
                "{line}, column {column!r}: {value!r} {what}",
                line=line_of(table, row),
                column=column,
                value=printable(text.loc[row], 40),
                what=what,
            ),
            role,
            count=int(bad.sum()),
        )
    return ~bad


def _encode(ids: pd.Series, codes: dict[str, int]) -> np.ndarray:
    local, unique = pd.factorize(ids, sort=False)
    unique_codes = np.fromiter(
        (codes.setdefault(value, len(codes)) for value in unique), np.int32, len(unique)
    )
    return unique_codes[local] if len(local) else np.zeros(0, np.int32)


def _ratings(frame: pd.DataFrame, table: Table) -> np.ndarray:
    """Numbers, also with a decimal comma, and yes and no as 1 and 0; NaN for anything else."""
    text = frame[table.roles["rating"]].str.strip()
    numbers = pd.to_numeric(text, errors="coerce")
    if numbers.isna().any():
        text = text.str.lower().replace(_WORDS)
        if table.separator != ",":
            text = text.str.replace(r"^(-?\d+),(\d+)$", r"\1.\2", regex=True)
        numbers = pd.to_numeric(text, errors="coerce")
    values = numbers.to_numpy(np.float64, na_value=np.nan)
    return np.where(np.abs(values) <= MAX_RATING, values, np.nan)
