"""Tables that link people to people, or people to lists of items that some method proposed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from llmrec_core.data.importing.chunks import chunks
from llmrec_core.data.importing.described_table import Table
from llmrec_core.data.importing.llm_prompts import tokens
from llmrec_core.data.importing.row_tally import RowTally


def edges_of(tables: Sequence[Table], tallies: Mapping[str, RowTally]) -> pd.DataFrame | None:
    """Who is linked to whom; a column with several friends gives a row each.

    Args:
        tables: described tables of that kind.
        tallies: file label → count of the rows that are left out.

    Returns:
        user_id, friend_id; None without tables.
    """
    parts = []
    for table in tables:
        for frame in chunks(table, tallies[table.source.label]):
            friends = frame[table.roles["friend"]].map(tokens)
            lengths = friends.map(len)
            parts.append(
                pd.DataFrame(
                    {
                        "user_id": frame[table.roles["user"]]
                        .str.strip()
                        .repeat(lengths)
                        .to_numpy(),
                        "friend_id": [friend for several in friends for friend in several],
                    }
                )
            )
    return pd.concat(parts, ignore_index=True) if parts else None


def candidate_lists(tables: Sequence[Table], tallies: Mapping[str, RowTally]) -> pd.DataFrame:
    """Lists of items for each user.

    Args:
        tables: described tables of that kind; the method is the file's ending.
        tallies: file label → count of the rows that are left out.

    Returns:
        method, user_id, items (ids separated by a space, best first).
    """
    parts = []
    for table in tables:
        method = table.source.stem.rpartition(".")[2] or table.source.stem
        for frame in chunks(table, tallies[table.source.label]):
            items = frame[table.roles["history"]].map(lambda text: " ".join(tokens(text)))
            users = frame[table.roles["user"]].str.strip()
            parts.append(pd.DataFrame({"method": method, "user_id": users, "items": items}))
    return pd.concat(parts, ignore_index=True)
