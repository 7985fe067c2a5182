"""From a path to a plan: what every file holds, and what stands in the way of reading it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llmrec_core.data.importing.chunks import read_failure
from llmrec_core.data.importing.describe import describe, settle_time
from llmrec_core.data.importing.described_table import FileChoices, Options, Role, Table
from llmrec_core.data.importing.joins import Described, settle_between
from llmrec_core.data.importing.limits import allow_growth
from llmrec_core.data.importing.problems import (
    ImportDataError,
    ImportProblem,
    ImportQuestionError,
    all_at_once,
)
from llmrec_core.data.importing.roles import check_decided, described_columns, unused
from llmrec_core.data.importing.sources import Source, find_sources, is_documentation
from llmrec_core.data.importing.unread import refuse_unread
from llmrec_core.data.text import printable
from llmrec_core.errors import DataError, LlmrecError
from llmrec_core.language import t

USABLE = ("interactions", "sequences", "prompts", "edges")
"""Kinds of tables that alone make a data set."""


@dataclass
class Plan:
    """What an import would do, and what stands in its way."""

    tables: list[Table] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    """File label and why it is left out."""
    problems: list[tuple[str, ImportProblem]] = field(default_factory=list)
    """File label and what must be settled before anything can be read."""
    undecided: list[Table] = field(default_factory=list)
    """Tables that can be shown but not used yet."""

    def of(self, *kinds: str) -> list[Table]:
        """The tables of these kinds."""
        return [table for table in self.tables if table.kind in kinds]

    def rows(self) -> list[dict[str, Any]]:
        """Evidence for the report: one entry a file."""
        return [table.to_dict() for table in self.tables] + [
            {"file": label, "kind": "skipped", "evidence": [why]} for label, why in self.skipped
        ]

    def raise_problems(self) -> None:
        """Stop when something is in the way.

        Raises:
            DataError: with everything that must be settled.
            UsageError: likewise, when all of it are questions.
        """
        if self.problems:
            raise all_at_once([problem for _, problem in self.problems])


def plan_import(path: Path, options: Options) -> Plan:
    """Describe every file at the path without storing anything.

    Args:
        path: a file, a folder or a zip.
        options: what a person has fixed.

    Returns:
        A plan whose problems are not raised yet.

    Raises:
        DataError: for a damaged archive, or nothing that holds interactions.
        UsageError: when there is nothing at the path, or a choice that no file reads.
    """
    plan, described = Plan(), []
    sources = find_sources(path)
    tables = [source for source in sources if not is_documentation(source)]
    for source in sources:
        if source not in tables:
            plan.skipped.append((source.label, t("documentation by its name")))
            continue
        choices = _choices(source, options, alone=len(tables) == 1)
        entry = _described(source, choices, plan)
        if entry is not None:
            described.append(entry)
    if len(tables) > 1:
        described = [_with_numbers(entry, options, described, plan) for entry in described]
    settle_between(described)
    for entry in described:
        _decide(entry, options, plan)
    _check_usable(plan, path)
    if not plan.problems:
        refuse_unread(options, plan.tables)
    return plan


def _choices(source: Source, options: Options, *, alone: bool) -> FileChoices:
    """The choices for a file; with several files, columns by number wait until kinds are known."""
    choices = options.for_file(source.label)
    if alone:
        return choices
    own = options.files.get(source.label)
    by_number = {
        role
        for role, column in options.columns.items()
        if column.isdigit() and not (own and role in own.columns)
    }
    columns = {role: name for role, name in choices.columns.items() if role not in by_number}
    return choices.model_copy(update={"columns": columns})


def _described(source: Source, choices: FileChoices, plan: Plan) -> Described | None:
    """The table behind a source; what cannot be read becomes a problem of the plan."""
    allow_growth()
    try:
        table, sample = describe(source, choices)
    except ImportQuestionError as question:
        plan.problems.append((source.label, question))
        return None
    except ImportDataError as error:
        plan.problems.append((source.label, error))
        return None
    except DataError as error:
        plan.problems.append((source.label, ImportDataError(str(error))))
        return None
    except LlmrecError:
        raise
    except Exception as error:  # noqa: BLE001 – parsers of strangers' bytes raise anything
        plan.problems.append(
            (source.label, ImportDataError(str(read_failure(source.label, error))))
        )
        return None
    return Described(table, sample, frozenset(choices.columns))


def _with_numbers(
    entry: Described, options: Options, described: list[Described], plan: Plan
) -> Described:
    """Describe a table again with the columns that were chosen by number, if it is meant.

    A number means the table of interactions; only where no table is one, it means those that are
    nothing yet.
    """
    numbered: dict[Role, str] = {r: c for r, c in options.columns.items() if c.isdigit()}
    if not numbered:
        return entry
    is_meant = "interactions" if any(e.table.kind == "interactions" for e in described) else "other"
    if entry.table.kind != is_meant:
        return entry
    choices = options.for_file(entry.table.source.label)
    return _described(entry.table.source, choices, plan) or entry


def _decide(entry: Described, options: Options, plan: Plan) -> None:
    """Put a described table where it belongs in the plan."""
    table, label = entry.table, entry.table.source.label
    try:
        check_decided(table)
        settle_time(table, entry.sample, options.for_file(label))
    except (ImportQuestionError, ImportDataError) as problem:
        plan.problems.append((label, problem))
        plan.undecided.append(table)
        return
    if table.kind == "other":
        plan.skipped.append(
            (label, t("no known role: {columns}", columns=described_columns(table.profiles)))
        )
        plan.undecided.append(table)
        return
    left = unused(table)
    if left:
        table.evidence.append(t("not used: {columns}", columns=described_columns(left)))
    plan.tables.append(table)


def _check_usable(plan: Plan, path: Path) -> None:
    """Questions about a file that is not needed only leave it out; nothing at all is an error."""
    if plan.of(*USABLE):
        needed = {t.source.label for t in plan.undecided if t.kind == "interactions"}
        for label, problem in list(plan.problems):
            if isinstance(problem, ImportQuestionError) and label not in needed:
                plan.problems.remove((label, problem))
                plan.skipped.append((label, problem.what))
    elif not plan.problems:
        plan.problems.append((printable(path.name), _nothing_usable(plan, path)))


def _nothing_usable(plan: Plan, path: Path) -> ImportProblem:
    """The question about tables in which no user and item was found, else what there is instead."""
    if plan.undecided:
        columns = " | ".join(
            f"{table.source.label}: {described_columns(table.profiles)}" for table in plan.undecided
        )
        return ImportQuestionError(
            t("no column is known to be the user or the item ({columns})", columns=columns),
            "columns",
        )
    seen = "; ".join(f"{row['file']}: {row['kind']}" for row in plan.rows()[:6])
    return ImportDataError(
        t(
            "{name}: no table of interactions found ({seen}); expected a user and an item column",
            name=printable(path.name),
            seen=seen,
        ),
        "columns",
    )
