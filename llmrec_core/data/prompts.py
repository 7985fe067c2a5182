"""Ready LLM prompts with yes/no answers (the form of TALLRec) and labelled histories as tables.

A prompt names liked titles, disliked titles and a target; a labelled history gives the same by item ids. Where both
lie in one folder and their rows agree, the prompts give the ids their titles.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import pandas as pd

from llmrec_core.data.reading import chunks, line_of
from llmrec_core.data.tables import Table
from llmrec_core.errors import DataError

SPLITS = ("train", "valid", "test")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_TOKEN = re.compile(r"[^\s\[\]'\",|;]+")
_SECTIONS = re.compile(
    r"(?:user\s+)?preference\s*:(?P<liked>.*?)(?:user\s+)?unpreference\s*:(?P<disliked>.*?)(?:\n|$)(?P<target>.*)",
    re.IGNORECASE | re.DOTALL,
)
PAIR_COLUMNS = ["split", "user_id", "item_id", "label", "timestamp", "history", "history_labels"]


def split_of(table: Table) -> str:
    """`train`, `valid` or `test` when the file's name says so, else ``."""
    found = [split for split in SPLITS if re.search(rf"(^|[^a-z]){split}", table.source.stem)]
    return found[0] if len(found) == 1 else ""


def tokens(text: str) -> list[str]:
    """Ids of a list written as `1 2 3`, `1,2,3`, `1|2|3` or `['1', '2']`.

    >>> tokens("['664', '506']"), tokens("0 1 2")
    (['664', '506'], ['0', '1', '2'])
    """
    return _TOKEN.findall(text)


def labelled_histories(tables: Iterable[Table], skip_bad_rows: bool) -> pd.DataFrame:
    """Rows `PAIR_COLUMNS` of tables with a history, its labels, a target and the target's label; ids as text."""
    parts = []
    for table in tables:
        roles = table.roles
        for frame in chunks(table, skip_bad_rows=skip_bad_rows):
            label = pd.to_numeric(frame[roles["rating"]], errors="coerce")
            if label.isna().any():
                row = int(label.index[label.isna()][0])
                raise DataError(
                    f"{line_of(table, row)}, column {roles['rating']!r}: {frame.loc[row, roles['rating']]!r} is no "
                    "label; expected 0 or 1"
                )
            labels = frame[roles["history-rating"]] if "history-rating" in roles else frame[roles["history"]].str[:0]
            time = pd.to_numeric(frame[roles["time"]], errors="coerce") if "time" in roles else float("nan")
            parts.append(
                pd.DataFrame(
                    {
                        "split": split_of(table),
                        "user_id": frame[roles["user"]],
                        "item_id": frame[roles["item"]],
                        "label": label.astype("float32"),
                        "timestamp": time,
                        "history": frame[roles["history"]].map(lambda text: " ".join(tokens(text))),
                        "history_labels": labels.map(lambda text: " ".join(tokens(text))),
                    }
                )
            )
    return pd.concat(parts, ignore_index=True)


def read_prompts(tables: Iterable[Table], skip_bad_rows: bool) -> pd.DataFrame:
    """split, liked and disliked (lists of titles), target (title), label (0/1).

    Raises:
        DataError: naming the row of a prompt or answer in another form.
    """
    rows = []
    for table in tables:
        split = split_of(table)
        for frame in chunks(table, skip_bad_rows=skip_bad_rows):
            pairs = zip(frame.index, frame[table.roles["prompt"]], frame[table.roles["answer"]], strict=True)
            for row, prompt, answer in pairs:
                match = _SECTIONS.search(prompt)
                target = _QUOTED.findall(match.group("target")) if match else []
                word = answer.strip().strip(".").lower()
                if match is None or not target or word not in ("yes", "no"):
                    if skip_bad_rows:
                        continue
                    raise DataError(
                        f'{line_of(table, row)}: expected User Preference: "…" User Unpreference: "…", a quoted target on a '
                        f"new line and the answer Yes or No, not {answer[:20]!r}; leave such rows out with --skip-bad-rows"
                    )
                rows.append(
                    (
                        split,
                        _QUOTED.findall(match.group("liked")),
                        _QUOTED.findall(match.group("disliked")),
                        target[-1],
                        int(word == "yes"),
                    )
                )
    return pd.DataFrame(rows, columns=["split", "liked", "disliked", "target", "label"])


def titles_from_prompts(pairs: pd.DataFrame, prompts: pd.DataFrame) -> dict[str, str] | None:
    """Item id → title, when every split has as many prompts as labelled histories with the same answers; else None."""
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
    """Prompts as labelled histories: ids are made in order of appearance, each prompt is its own user."""
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
