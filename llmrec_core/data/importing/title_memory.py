"""Titles in the rows of interactions: one an item, or none when they are not the item's."""

from __future__ import annotations

from dataclasses import dataclass, field

import pandas as pd

from llmrec_core.data.importing.dependence import AGREE
from llmrec_core.data.importing.described_table import Table
from llmrec_core.data.text import fold
from llmrec_core.language import t


@dataclass
class TitleMemory:
    """Item → title, and its category, of all tables read so far."""

    titles: dict[str, str] = field(default_factory=dict)
    genres: dict[str, str] = field(default_factory=dict)

    def of(self, table: Table) -> TitlesOfTable:
        """What one table adds."""
        return TitlesOfTable(self, table)


@dataclass
class TitlesOfTable:
    """Titles of one table; they count only when the whole table gives an item one title."""

    memory: TitleMemory
    table: Table
    first: dict[str, str] = field(default_factory=dict)
    genres: dict[str, str] = field(default_factory=dict)
    repeated: set[str] = field(default_factory=set)
    changed: set[str] = field(default_factory=set)

    def remember(self, frame: pd.DataFrame, items: pd.Series) -> None:
        """Take the titles of a frame.

        Args:
            frame: rows of the table.
            items: their item ids.
        """
        title, genres = self.table.roles.get("title"), self.table.roles.get("genres")
        if title == self.table.roles["item"]:
            self.first.update({item: item for item in items.unique()})
        elif title:
            self._compare(items, frame[title])
        if genres:
            first = ~items.duplicated()
            for item, text in zip(items[first], frame.loc[first, genres], strict=True):
                self.genres.setdefault(item, text)

    def _compare(self, items: pd.Series, titles: pd.Series) -> None:
        """Keep the first title of each item, and note which items come again with another one."""
        self.repeated.update(items[items.duplicated()].unique())
        self.repeated.update(self.first.keys() & set(items.unique()))
        pairs = pd.DataFrame({"item": items.to_numpy(), "title": titles.to_numpy()})
        for item, text in pairs.drop_duplicates().itertuples(index=False, name=None):
            before = self.first.setdefault(item, text)
            if before != text and fold(before) != fold(text):
                self.changed.add(item)

    def close(self) -> None:
        """Hand the titles over, unless too many items have several."""
        if self.changed and len(self.changed) > (1 - AGREE) * len(self.repeated):
            self.table.evidence.append(
                t(
                    "{column} is not taken as title: {count:,} of {total:,} items that come again "
                    "have another",
                    column=self.table.roles.pop("title"),
                    count=len(self.changed),
                    total=len(self.repeated),
                )
            )
            return
        for item, text in self.first.items():
            self.memory.titles.setdefault(item, text)
        for item, text in self.genres.items():
            self.memory.genres.setdefault(item, text)
