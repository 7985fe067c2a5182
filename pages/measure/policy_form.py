"""The fields of a policy, filled with those of the example that comes with the product."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from llmrec_core.contract.policy import Policy, load_policy
from llmrec_core.installation import ASSETS
from llmrec_core.language import t
from llmrec_core.reading import number_format
from llmrec_core.reading.row import Row
from llmrec_core.types import Columns
from pages.shared import fields, records

EXAMPLE = ASSETS / "policies" / "example.toml"
KEY = "quality_policy"
STRONGEST = 100.0
"""The largest penalty, in standard deviations of a request's scores."""
ACROSS = 4
"""Fields of genres in a line."""


def draw(rows: Sequence[Row]) -> Policy:
    """Draw the fields; returns the policy that they describe.

    Args:
        rows: the runs that it is measured on, for the genres of their items.
    """
    example = load_policy(EXAMPLE)
    genres = sorted({*_genres(rows), *example.block_genres, *example.genre_penalty})
    block_column, genre_column = st.columns(2)
    block = block_column.text_input(
        t("Items never shown"),
        ", ".join(example.block),
        key=f"{KEY}_block",
        help=t("Their ids, with commas between them."),
    )
    block_genres = genre_column.multiselect(
        t("Genres never shown"),
        genres,
        default=list(example.block_genres),
        key=f"{KEY}_block_genres",
        accept_new_options=True,
    )
    popular_column, lowered_column = st.columns([1, 2])
    popularity = fields.number_field(
        popular_column,
        t("Penalty for popular items"),
        f"{KEY}_popularity",
        default=example.popularity_penalty,
        low=-STRONGEST,
        high=STRONGEST,
        help=t("Standard deviations of a request's scores, for each tenfold of interactions."),
    )
    lowered = lowered_column.multiselect(
        t("Genres with a penalty"),
        genres,
        default=list(example.genre_penalty),
        key=f"{KEY}_genres",
        accept_new_options=True,
    )
    penalties = _penalties(lowered, example)
    review = st.checkbox(
        t("Damaged titles, and those that read like an instruction, wait for a person"),
        value=example.review_flagged,
        key=f"{KEY}_review",
    )
    return Policy(
        block=tuple(item.strip() for item in block.split(",") if item.strip()),
        block_genres=tuple(block_genres),
        popularity_penalty=popularity or 0.0,
        genre_penalty=penalties,
        review_flagged=review,
    )


def _penalties(genres: Sequence[str], example: Policy) -> dict[str, float]:
    """A field for each of these genres; returns what they hold.

    A genre that the example does not name begins with no penalty.
    """
    found: dict[str, float] = {}
    for start in range(0, len(genres), ACROSS):
        columns = st.columns(ACROSS)
        for column, genre in zip(columns, genres[start : start + ACROSS], strict=False):
            label = t("Penalty for {genre}", genre=genre)
            amount = fields.number_field(
                column,
                label,
                f"{KEY}_penalty_{genre}",
                default=example.genre_penalty.get(genre, 0.0),
                low=-STRONGEST,
                high=STRONGEST,
                help=t("Standard deviations of a request's scores; a negative number lifts them."),
                shown=number_format.plain(label),
            )
            found[genre] = amount or 0.0
    return found


def _genres(rows: Sequence[Row]) -> set[str]:
    """The genres of the items that these runs recommend, as far as the data is here."""
    found: set[str] = set()
    for name in dict.fromkeys(row.spec.data.name for row in rows):
        if records.has_dataset(name):
            for own in records.dataset(name).items[Columns.GENRES].unique():
                found |= {genre for genre in str(own).split("|") if genre}
    return found
