"""Which column is the user, the item, the time: by a person's choice, by name, by content.

A name is believed only where the values agree with it, and what no name tells is read from the
values where they leave one answer. What remains open is asked in one sentence that names every
column.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet

import pandas as pd

from llmrec_core.data.importing.column_profile import ColumnProfile
from llmrec_core.data.importing.content_roles import roles_by_content
from llmrec_core.data.importing.dependence import is_function_of
from llmrec_core.data.importing.described_table import NONE, FileChoices, Role, Table
from llmrec_core.data.importing.graph import GRAPH, LINKS, graph_roles
from llmrec_core.data.importing.problems import ImportQuestionError
from llmrec_core.data.importing.role_names import (
    EXACT,
    NO_EVENT_TIME,
    REVIEW_NAMES,
    names_role,
    squeezed,
    words_of,
)
from llmrec_core.language import t

_ORDER: tuple[str, ...] = (
    "prompt", "answer", "user", "friend", "item", "time", "history-rating", "history", "rating",
    "tag", "title", "genres", "year",
)  # fmt: skip
_EXACT_RANK = 100
FEW_ROWS = 20
"""Above this, identifiers that are all the same are none."""
_SHOWN = 12


def assign_roles(table: Table, sample: pd.DataFrame, choices: FileChoices) -> None:
    """Set roles and kind of a table whose profiles are known.

    Args:
        table: described as far as its form and its columns' profiles.
        sample: its first rows.
        choices: what a person has fixed; columns by number are resolved here.
    """
    graph = graph_roles(table, choices.kind)
    if graph and choices.kind in ("", GRAPH, LINKS):
        table.roles, table.kind = graph, GRAPH if "head" in graph else LINKS
        return
    given = _given(table, choices.columns)
    closed = {role for role, column in given.items() if column == NONE}
    by_name = {role: column for role, column in given.items() if column != NONE}
    if table.header:
        _by_name(table, by_name, closed)
        fill_by_values(table, by_name, closed)
        table.roles = dict(by_name)
        table.kind = choices.kind or kind_of(table)
    else:
        table.roles = roles_by_content(table, sample, choices)
        for role, column in list(table.roles.items()):
            if role in closed or column in by_name.values():
                del table.roles[role]
        table.roles |= by_name
        if choices.kind or {"user", "item"} <= set(by_name):
            table.kind = choices.kind or kind_of(table)
    _check_titles(table, sample, set(given))
    _find_title(table, sample, closed)


def kind_of(table: Table) -> str:
    """What a table holds, by the roles of its columns."""
    roles = set(table.roles)
    match roles:
        case _ if {"prompt", "answer"} <= roles:
            return "prompts"
        case _ if {"user", "history"} <= roles:
            return _history_kind(roles)
        case _ if {"user", "friend"} <= roles and "item" not in roles:
            return "edges"
        case _ if {"user", "item", "tag"} <= roles:
            return "tags"
        case _ if {"user", "item"} <= roles:
            return "interactions"
        case _ if "item" in roles:
            return "items"
        case _ if "tag" in roles:
            return "tag-names"
    return "users" if "user" in roles else "other"


def _history_kind(roles: set[str]) -> str:
    """Rows with a history: one interaction each when they carry their own rating or time."""
    if "history-rating" in roles or "item" not in roles or not roles & {"rating", "time"}:
        return "sequences"
    return "interactions"


def check_decided(table: Table) -> None:
    """Ask what the table leaves open.

    Raises:
        UsageError: naming every column and what it looks like.
    """
    if table.kind == "interactions":
        missing = [role for role in ("user", "item") if role not in table.roles]
    elif table.kind == "other" and not table.header:
        missing = ["user", "item"]
    else:
        return
    if missing:
        raise ImportQuestionError(
            t(
                "{label}: cannot tell which column is the {missing} ({columns})",
                label=table.source.label,
                missing=t(" and the ").join(missing),
                columns=described_columns(table.profiles),
            ),
            "columns",
        )


def described_columns(profiles: list[ColumnProfile]) -> str:
    """Names of columns, each with what its values look like."""
    return "; ".join(f"{column.name}: {column.looks_like()}" for column in profiles[:_SHOWN])


def unused(table: Table) -> list[ColumnProfile]:
    """Columns that have no role and whose content is not kept either."""
    if table.kind not in ("interactions", "sequences"):
        return []
    used = set(table.roles.values())
    return [column for column in table.profiles if column.name not in used and column.distinct > 1]


def _given(table: Table, columns: Mapping[Role, str]) -> dict[str, str]:
    """Role → column of this table, or `none`, for the choices that concern it."""
    given: dict[str, str] = {}
    for role, column in columns.items():
        name = column
        if column not in table.columns and column.isdigit():
            place = int(column) - 1
            name = table.columns[place] if 0 <= place < len(table.columns) else ""
        if name in table.columns:
            given[role] = name
            table.evidence.append(t("{role} is column {column!r}: chosen", role=role, column=name))
        elif column == NONE:
            given[role] = NONE
    return given


def _by_name(table: Table, roles: dict[str, str], closed: set[str]) -> None:
    """Fill in the roles that names tell, where the values agree."""
    for role in _ORDER:
        if role in roles or role in closed:
            continue
        named = [column for column in table.profiles if _rank(role, column.name)]
        free = [column for column in named if column.name not in roles.values()]
        fitting = [column for column in free if _fits(role, column, table)]
        if fitting:
            # The first of equals wins, as people put what matters to the left.
            roles[role] = max(fitting, key=lambda column: _preference(role, column)).name
        else:
            exact = [column for column in free if _rank(role, column.name) >= _EXACT_RANK]
            _say_refused(table, role, exact)


def _rank(role: str, name: str) -> int:
    """How clearly a name means a role; 0 when it does not."""
    names = EXACT.get(role, ())
    if squeezed(name) in names:
        return _EXACT_RANK + len(names) - names.index(squeezed(name))
    return names_role(name).get(role, 0)


def _preference(role: str, column: ColumnProfile) -> tuple[float, ...]:
    """Clear names first; of equals the finest item, words for a category, the fullest."""
    rank = _rank(role, column.name)
    if role == "item":
        return rank, column.distinct
    if role == "genres":
        return rank, column.lettered, column.filled
    return rank, round(10 * column.filled)


def _fits(role: str, column: ColumnProfile, table: Table) -> bool:
    """Whether the values of a column agree with a role."""
    rank = _rank(role, column.name)
    is_exact = rank >= _EXACT_RANK
    match role:
        case "user" | "item" | "friend":
            if column.distinct < 2 and column.rows > FEW_ROWS:
                return False
            is_fraction = column.is_number and column.whole < 0.5
            if is_exact:
                return column.distinct > 0 and not is_fraction
            is_fine = rank > 1 or column.is_code
            return column.distinct > 0 and not is_fraction and column.dated < 0.5 and is_fine
        case "rating":
            return column.numeric >= 0.5 or column.flags
        case "time":
            return column.is_time or (is_exact and not _has_time(table))
        case "title":
            return column.lettered >= 0.5 and column.linked < 0.5
    return True


def _has_time(table: Table) -> bool:
    return any(column.is_time for column in table.profiles)


def _say_refused(table: Table, role: str, columns: list[ColumnProfile]) -> None:
    for column in columns:
        table.evidence.append(
            t(
                "{column} is not taken as {role}: {look}",
                column=column.name,
                role=role,
                look=column.looks_like(),
            )
        )


def fill_by_values(table: Table, roles: dict[str, str], closed: AbstractSet[str]) -> None:
    """Fill in what the names leave out and the values tell.

    Args:
        table: its profiles are known.
        roles: role → column; what is found is added.
        closed: roles that a person said the table does not have.
    """
    free = [column for column in table.profiles if column.name not in roles.values()]
    if "item" not in roles and "title" in roles and "item" not in closed:
        identifier = next((column for column in free if squeezed(column.name) == "id"), None)
        if identifier is not None and "user" not in roles:
            roles["item"] = identifier.name
        elif "user" in roles and (roles.keys() & {"rating", "time"}):
            roles["item"] = roles["title"]
    if "user" in roles and "item" in roles and "time" not in roles and "time" not in closed:
        times = [column for column in free if column.is_time]
        events = [column for column in times if not words_of(column.name) & NO_EVENT_TIME]
        if len(events) == 1:
            roles["time"] = events[0].name
            table.evidence.append(
                t(
                    "{column} is taken as the time: {look}",
                    column=events[0].name,
                    look=events[0].looks_like(),
                )
            )
    if "item" in roles and "user" not in roles and "title" not in roles and "title" not in closed:
        _title_by_values(table, roles, free)


def _title_by_values(table: Table, roles: dict[str, str], free: list[ColumnProfile]) -> None:
    """The one column of an item table that reads like names."""
    texts = [
        column
        for column in free
        if column.name not in roles.values() and column.is_text and column.distinct_share >= 0.5
    ]
    worded = [column for column in texts if column.spaced > 0.2] or texts
    if worded:
        best = min(worded, key=lambda column: column.mean_length)
        roles["title"] = best.name
        table.evidence.append(
            t(
                "{column} is taken as the title: {look}, different in {share:.0%} of the rows",
                column=best.name,
                look=best.looks_like(),
                share=best.distinct_share,
            )
        )


def _find_title(table: Table, sample: pd.DataFrame, closed: set[str]) -> None:
    """Take as title the words that each item of interactions has of its own."""
    item = next((c for c in table.profiles if c.name == table.roles.get("item")), None)
    if table.kind != "interactions" or item is None or {"title"} & (closed | set(table.roles)):
        return
    for column in table.profiles:
        is_own = column.is_text and column.spaced > 0.3 and 2 * column.distinct >= item.distinct
        is_free = column.name not in table.roles.values()
        if is_own and is_free and is_function_of(sample[column.name], sample[item.name]):
            table.roles["title"] = column.name
            table.evidence.append(
                t("{column} is taken as the title: each item has one", column=column.name)
            )
            return


def _check_titles(table: Table, sample: pd.DataFrame, chosen: set[str]) -> None:
    """Leave out titles and categories of interactions that are not the item's own."""
    if table.kind != "interactions" or "item" not in table.roles:
        return
    item = table.roles["item"]
    for role in ("title", "genres", "year"):
        column = table.roles.get(role)
        if column is None or role in chosen or column == item:
            continue
        agrees = is_function_of(sample[column], sample[item])
        beside_review = {squeezed(name) for name in table.columns} & REVIEW_NAMES
        if agrees is False or (agrees is None and role == "title" and beside_review):
            del table.roles[role]
            table.evidence.append(
                t(
                    "{column} is not taken as {role}: one item has several, so it belongs to the "
                    "row (the headline of a review, the kind of an event)",
                    column=column,
                    role=role,
                )
            )
