"""Ready LLM prompts with yes/no answers (the form of TALLRec) and labelled histories as tables.

A prompt names liked titles, disliked titles and a target; a labelled history gives the same by item
ids. Where both lie in one folder and their rows agree, the prompts give the ids their titles.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from llmrec_core.data.importing.chunks import chunks, line_of
from llmrec_core.data.importing.describe import time_form
from llmrec_core.data.importing.described_table import Table
from llmrec_core.data.importing.row_tally import RowTally
from llmrec_core.data.importing.times import to_seconds
from llmrec_core.data.text import printable
from llmrec_core.language import t

SPLITS = ("train", "valid", "test")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_TOKEN = re.compile(r"[^\s\[\]'\",|;]+")
_SECTIONS = re.compile(
    r"(?:user\s+)?preference\s*:(?P<liked>.*?)(?:user\s+)?unpreference\s*:(?P<disliked>.*?)(?:\n|$)(?P<target>.*)",
    re.IGNORECASE | re.DOTALL,
)
MAX_PROMPT = 20_000
"""Characters of a prompt that are looked at."""
PAIR_COLUMNS = ["split", "user_id", "item_id", "label", "timestamp", "history", "history_labels"]


def split_of(table: Table) -> str:
    """`train`, `valid` or `test` when the file's name says so, else an empty string."""
    named = [split for split in SPLITS if re.search(rf"(^|[^a-z]){split}", table.source.stem)]
    return named[0] if len(named) == 1 else ""


def tokens(text: str) -> list[str]:
    """Ids of a list written as `1 2 3`, `1,2,3`, `1|2|3` or `['1', '2']`.

    >>> tokens("['664', '506']"), tokens("0 1 2")
    (['664', '506'], ['0', '1', '2'])
    """
    return _TOKEN.findall(text)


def labelled_histories(tables: Iterable[Table], tallies: Mapping[str, RowTally]) -> pd.DataFrame:
    """Histories with their labels, a target and its label.

    Args:
        tables: described tables of that kind.
        tallies: file label → count of the rows that are left out.

    Returns:
        Rows with `PAIR_COLUMNS`; ids as text, times in seconds.
    """
    return pd.concat(
        [
            _labelled(frame, table, tallies[table.source.label])
            for table in tables
            for frame in chunks(table, tallies[table.source.label])
        ],
        ignore_index=True,
    )


def _labelled(frame: pd.DataFrame, table: Table, tally: RowTally) -> pd.DataFrame:
    roles = table.roles
    label = pd.to_numeric(frame[roles["rating"]], errors="coerce")
    if label.isna().any():
        row = int(label.index[label.isna()][0])
        tally.add(
            t("{column} is no label", column=roles["rating"]),
            t(
                "{line}, column {column!r}: {value!r} is no label; expected 0 or 1",
                line=line_of(table, row),
                column=roles["rating"],
                value=printable(frame.loc[row, roles["rating"]], 40),
            ),
            "rating",
            count=int(label.isna().sum()),
        )
        frame, label = frame[label.notna()], label[label.notna()]
    history = frame[roles["history"]]
    labels = frame[roles["history-rating"]] if "history-rating" in roles else history.str[:0]
    time = to_seconds(frame[roles["time"]], time_form(table)) if "time" in roles else np.nan
    return pd.DataFrame(
        {
            "split": split_of(table),
            "user_id": frame[roles["user"]].str.strip(),
            "item_id": frame[roles["item"]].str.strip(),
            "label": label.astype("float32"),
            "timestamp": time,
            "history": history.map(lambda text: " ".join(tokens(text))),
            "history_labels": labels.map(lambda text: " ".join(tokens(text))),
        }
    )


def read_prompts(tables: Iterable[Table], tallies: Mapping[str, RowTally]) -> pd.DataFrame:
    """Prompts taken apart.

    Args:
        tables: described tables of prompts and answers.
        tallies: file label → count of prompts and answers in another form.

    Returns:
        split, liked and disliked (lists of titles), target (title), label (0 or 1).
    """
    rows = []
    for table in tables:
        split, tally = split_of(table), tallies[table.source.label]
        for frame in chunks(table, tally):
            pairs = zip(
                frame.index, frame[table.roles["prompt"]], frame[table.roles["answer"]], strict=True
            )
            for row, prompt, answer in pairs:
                parts = _prompt_parts(prompt, answer)
                if parts is None:
                    tally.add(t("another form of prompt"), _unusual(table, int(row), answer))
                else:
                    rows.append((split, *parts))
    return pd.DataFrame(rows, columns=["split", "liked", "disliked", "target", "label"])


def _prompt_parts(prompt: str, answer: str) -> tuple[list[str], list[str], str, int] | None:
    """Liked and disliked titles, the target and the label; None for another form."""
    match = _SECTIONS.search(prompt[:MAX_PROMPT])
    target = _QUOTED.findall(match.group("target")) if match else []
    word = answer.strip().strip(".").lower()
    if match is None or not target or word not in ("yes", "no"):
        return None
    liked = _QUOTED.findall(match.group("liked"))
    return liked, _QUOTED.findall(match.group("disliked")), target[-1], int(word == "yes")


def _unusual(table: Table, row: int, answer: str) -> str:
    return t(
        '{line}: expected User Preference: "…" User Unpreference: "…", a quoted target on a new '
        "line and the answer Yes or No, not {answer!r}",
        line=line_of(table, row),
        answer=printable(answer, 20),
    )


def titles_from_prompts(pairs: pd.DataFrame, prompts: pd.DataFrame) -> dict[str, str] | None:
    """Item id → title, where prompts and labelled histories are rows of the same people.

    Args:
        pairs: rows with `PAIR_COLUMNS`.
        prompts: as `read_prompts` gives them.

    Returns:
        None unless every split has as many prompts as histories, with the same answers.
    """
    titles: dict[str, str] = {}
    for split, rows in pairs.groupby("split", sort=False):
        texts = prompts[prompts["split"] == split]
        if len(texts) != len(rows) or (texts["label"].to_numpy() != rows["label"].to_numpy()).any():
            return None
        for row, text in zip(rows.itertuples(), texts.itertuples(), strict=True):
            liked, disliked = iter(text.liked), iter(text.disliked)
            titles[row.item_id] = text.target
            for item, label in zip(row.history.split(), row.history_labels.split(), strict=False):
                title = next(liked if float(label) > 0 else disliked, None)
                if title is not None:
                    titles.setdefault(item, title)
    return titles


def pairs_from_prompts(prompts: pd.DataFrame) -> pd.DataFrame:
    """Prompts as labelled histories: each prompt is a user, ids are made as titles appear."""
    ids: dict[str, str] = {}

    def code(title: str) -> str:
        return ids.setdefault(title, f"t{len(ids) + 1}")

    rows = []
    for number, row in enumerate(prompts.itertuples(), 1):
        history = [*map(code, row.liked), *map(code, row.disliked)]
        labels = ["1"] * len(row.liked) + ["0"] * len(row.disliked)
        rows.append(
            (
                row.split,
                f"p{number}",
                code(row.target),
                float(row.label),
                float("nan"),
                " ".join(history),
                " ".join(labels),
            )
        )
    pairs = pd.DataFrame(rows, columns=PAIR_COLUMNS)
    pairs.attrs["titles"] = {item: title for title, item in ids.items()}
    return pairs
