"""What may be shown, whatever the recommender says: a policy of a TOML file or a request."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

from pydantic import Field

from llmrec_core.contract.parsing import Flag, Number, Text, parse, parsed
from llmrec_core.files import read_toml

MOST_LISTED = 1_000_000
"""The longest list of blocked items or genres."""
Penalty = Annotated[Number, Field(ge=-100, le=100)]
"""Standard deviations of a request's scores: 100 of them put any item last, or first."""


@parsed
class Policy:
    """Rules of display."""

    block: Annotated[tuple[Text, ...], Field(max_length=MOST_LISTED)] = ()
    """Item ids that are never shown."""
    block_genres: Annotated[tuple[Text, ...], Field(max_length=MOST_LISTED)] = ()
    """Genres whose items are never shown."""
    popularity_penalty: Penalty = 0.0
    """Standard deviations taken off the score per tenfold of training interactions."""
    genre_penalty: dict[Text, Penalty] = dataclasses.field(default_factory=dict)
    """Standard deviations taken off items of a genre; a negative number lifts them."""
    review_flagged: Flag = True
    """Items whose text reads like an instruction or is damaged wait for a person."""


def load_policy(path: Path) -> Policy:
    """The policy of a TOML file.

    Raises:
        UsageError: for a file that is missing or not TOML, an unknown field, or a value of another
            kind or out of its bounds.
    """
    return parse(Policy, read_toml(path), path.name)
