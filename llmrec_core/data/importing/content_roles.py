"""Roles of a table without a header, by what its columns hold; sets the kind as well."""

from __future__ import annotations

import re

import pandas as pd

from llmrec_core.data.importing.column_profile import MOSTLY, ColumnProfile
from llmrec_core.data.importing.dependence import is_function_of
from llmrec_core.data.importing.described_table import FileChoices, Table
from llmrec_core.data.importing.problems import ImportQuestionError
from llmrec_core.data.text import printable
from llmrec_core.language import t

ML_100K_GENRES = (
    "", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama",
    "Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War",
    "Western",
)  # fmt: skip
"""What the 19 flags of MovieLens 100k's u.item mean."""
ML_100K_COLUMNS = 24
FRIEND_WORDS = ("friend", "trust", "edge", "social", "follow")
EVENT_WORDS = ("rating", "inter", "click", "event", "purchase", "view", "log", "play")
MOST_EVENT_KINDS = 12
MOST_POINTS = 25
_AMAZON_USER = re.compile(r"A[A-Z0-9]{10,20}")
_AMAZON_ITEM = re.compile(r"B[A-Z0-9]{9}|\d{9}[\dX]")


def roles_by_content(table: Table, sample: pd.DataFrame, choices: FileChoices) -> dict[str, str]:
    """Role → column; empty when the content leaves it open.

    Args:
        table: its profiles are known; its kind is set here.
        sample: its first rows.
        choices: what a person has fixed.

    Raises:
        UsageError: for two columns of ids, which can be interactions or friends.
    """
    for attempt in (_lists, _items, _users, _edges, _interactions):
        roles = attempt(table, sample, choices)
        if roles:
            return roles
    return {}


def _lists(table: Table, sample: pd.DataFrame, choices: FileChoices) -> dict[str, str]:
    """A user, then a list of ids: a history, or candidates made by some method."""
    if len(table.columns) != 2:
        return {}
    if table.format == "id-lists":
        table.kind = "sequences"
        return {"user": table.columns[0], "history": table.columns[1]}
    second = sample[table.columns[1]]
    if (
        _is_titled(table.profiles[1])
        or ((second.str.count(" ") >= 2) | second.str.startswith("[")).mean() <= 0.9
    ):
        return {}
    table.kind = "lists"
    table.evidence.append(t("two columns, the second a list of ids: candidate lists per user"))
    return {"user": table.columns[0], "history": table.columns[1]}


def _items(table: Table, sample: pd.DataFrame, choices: FileChoices) -> dict[str, str]:
    """A first column without repetitions, and text: what items are called."""
    first, *others = table.profiles
    titles = [column for column in others if _is_titled(column) and not column.is_time]
    if not (first.unique and titles) or "rating" in table.source.stem:
        return {}
    table.kind = "items"
    roles: dict[str, str] = {"item": first.name, "title": titles[0].name}
    flags = others[4:]
    if len(table.columns) == ML_100K_COLUMNS and all(column.flags for column in flags):
        table.evidence.append(
            t("24 columns, the last 19 of them 0 or 1: u.item of MovieLens 100k, flags are genres")
        )
    elif len(table.columns) == 3 and table.separator == "::":
        roles["genres"] = table.columns[2]
    table.evidence.append(t("first column unique, {title} is text: items", title=titles[0].name))
    return roles


def _users(table: Table, sample: pd.DataFrame, choices: FileChoices) -> dict[str, str]:
    if not (table.profiles[0].unique and "user" in table.source.stem):
        return {}
    table.kind = "users"
    table.evidence.append(t("first column unique and 'user' in the name: users"))
    return {"user": table.columns[0]}


def _edges(table: Table, sample: pd.DataFrame, choices: FileChoices) -> dict[str, str]:
    """Two columns of ids: friends when the name or a person says so."""
    chosen = {"user", "item"} <= set(choices.columns)
    if len(table.columns) != 2 or choices.kind == "interactions" or chosen:
        return {}
    stem = table.source.stem
    if choices.kind == "edges" or any(word in stem for word in FRIEND_WORDS):
        table.kind = "edges"
        table.evidence.append(t("two id columns, and the name speaks of friends"))
        return {"user": table.columns[0], "friend": table.columns[1]}
    if not choices.kind and not any(word in stem for word in EVENT_WORDS):
        raise ImportQuestionError(
            t(
                "{label}: two columns of ids without header may be interactions or friend edges",
                label=table.source.label,
            ),
            "kind",
        )
    return {}


def _interactions(table: Table, sample: pd.DataFrame, choices: FileChoices) -> dict[str, str]:
    """Who, what, and perhaps how much and when."""
    columns = table.profiles
    times = [c for n, c in enumerate(columns) if c.dated >= MOSTLY or (n > 1 and c.is_time)]
    rest = [c for c in columns if c not in times and (c.distinct > 1 or len(columns) <= 3)]
    events = [c for c in rest if c in columns[2:] and _is_event_kind(c)]
    points = [c for c in rest if c in columns[2:] and _is_points(c)]
    ids = [c for c in rest if c not in events and c not in points and _is_identifier(c)]
    has_numbers = any(c.is_number for c in rest if c in columns[2:])
    if len(ids) < 2 or not (times or events or has_numbers or len(columns) <= 3):
        return {}
    user, item = _user_and_item(ids, sample)
    others = [c for c in rest if c not in (user, item) and c not in events]
    of_item = {c.name: is_function_of(sample[c.name], sample[item.name]) for c in others}
    own = [c for c in others if not of_item[c.name]]
    roles: dict[str, str] = {"user": user.name, "item": item.name}
    roles |= _how_much(table, [c for c in own if c in points], [c for c in own if c.is_number])
    roles |= {"time": times[0].name} if times else {}
    roles |= _names(item, [c for c in others if of_item[c.name] and c.is_text])
    table.kind = "interactions"
    _say(table, sample, events, roles)
    return roles


def _user_and_item(
    ids: list[ColumnProfile], sample: pd.DataFrame
) -> tuple[ColumnProfile, ColumnProfile]:
    """The first identifier and, of the others, the one that decides most of them.

    Amazon wrote some files item first.
    """
    first, second = ids[:2]
    if _all_match(_AMAZON_ITEM, sample[first.name]) and _all_match(
        _AMAZON_USER, sample[second.name]
    ):
        return second, first
    if len(ids) == 2:
        return first, second

    def decides(column: ColumnProfile) -> tuple[int, int]:
        """How many of the others follow from a column, and how fine it is."""
        others = (other for other in ids[1:] if other is not column)
        followers = [c for c in others if is_function_of(sample[c.name], sample[column.name])]
        return len(followers), column.distinct

    return first, max(ids[1:], key=decides)


def _how_much(
    table: Table, points: list[ColumnProfile], numbers: list[ColumnProfile]
) -> dict[str, str]:
    """A rating on a scale, or the one number that is an amount."""
    if points:
        return {"rating": points[0].name}
    if len(numbers) != 1:
        return {}
    table.evidence.append(
        t("{column} is an amount, not a rating on a scale", column=numbers[0].name)
    )
    return {"rating": numbers[0].name}


def _names(item: ColumnProfile, texts: list[ColumnProfile]) -> dict[str, str]:
    """Title and category of the item among the texts that it decides."""
    fine = [c for c in texts if 2 * c.distinct >= item.distinct]
    coarse = [c for c in texts if c not in fine and c.distinct > 1]
    roles: dict[str, str] = {}
    if fine or _is_titled(item):
        roles["title"] = fine[0].name if fine else item.name
    if coarse:
        roles["genres"] = coarse[-1].name
    return roles


def _say(
    table: Table, sample: pd.DataFrame, events: list[ColumnProfile], roles: dict[str, str]
) -> None:
    for column in events:
        kinds = sample[column.name].value_counts().index[:4]
        table.evidence.append(
            t(
                "{column} holds kinds of events ({kinds}); all of them count as interactions",
                column=column.name,
                kinds=", ".join(printable(str(kind), 20) for kind in kinds),
            )
        )
    table.evidence.append(
        t(
            "by content: {roles}; user before item by convention",
            roles=", ".join(f"{role} = {column}" for role, column in roles.items()),
        )
    )


def _is_identifier(column: ColumnProfile) -> bool:
    return column.is_code or (_is_titled(column) and column.filled >= MOSTLY)


def _is_titled(column: ColumnProfile) -> bool:
    """Whether the values are words for people."""
    return column.is_text and column.spaced > 0.3


def _is_event_kind(column: ColumnProfile) -> bool:
    return (
        column.lettered >= MOSTLY
        and 2 <= column.distinct <= MOST_EVENT_KINDS
        and 5 * column.distinct <= column.rows
        and column.mean_length < 20
    )


def _is_points(column: ColumnProfile) -> bool:
    """Whether the values can be ratings: few different small numbers."""
    return (
        column.is_number
        and column.distinct <= MOST_POINTS
        and column.median is not None
        and abs(column.median) <= 100
    )


def _all_match(pattern: re.Pattern[str], values: pd.Series) -> bool:
    return all(pattern.fullmatch(value) for value in values)
