"""What is asked of an import and what it answers, as it travels between a front and the child."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from llmrec_core.data.importing.described_table import Options, Table
from llmrec_core.data.importing.problems import (
    ImportDataError,
    ImportProblem,
    ImportQuestionError,
    all_at_once,
)

PREVIEW_COLUMNS = 60


class ImportRequest(BaseModel):
    """One import, or one look at what it would do."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    path: str
    name: str
    title: str = Field(default="", max_length=200)
    source: str = Field(default="", max_length=400)
    """Where it comes from, for people; the path's last part when empty."""
    options: Options = Options()
    store: bool = True
    """False looks at everything and stores nothing."""


class Column(BaseModel):
    """A column as a preview shows it."""

    model_config = ConfigDict(frozen=True)

    name: str
    roles: tuple[str, ...]
    """What it was taken for; a name may be item and title at once."""
    look: str
    """What its values look like, for people."""


class Preview(BaseModel):
    """A file as a preview shows it."""

    model_config = ConfigDict(frozen=True)

    file: str
    kind: str
    columns: list[Column]
    rows: list[list[str]]
    """The first rows, as text."""


class Problem(BaseModel):
    """Something that must be settled before anything is stored."""

    model_config = ConfigDict(frozen=True)

    file: str
    what: str
    choices: tuple[str, ...]
    is_question: bool

    def error(self) -> ImportProblem:
        """The problem as an error, which words its remedy for terminal and browser."""
        kind = ImportQuestionError if self.is_question else ImportDataError
        return kind(self.what, *self.choices)


class ImportOutcome(BaseModel):
    """What an import found, did or could not do."""

    model_config = ConfigDict(frozen=True)

    name: str
    tables: list[dict[str, Any]] = Field(default_factory=list)
    """Evidence, see `Plan.rows`."""
    previews: list[Preview] = Field(default_factory=list)
    problems: list[Problem] = Field(default_factory=list)
    content_hash: str = ""
    users: int = 0
    items: int = 0
    interactions: int = 0
    order: str = ""
    report: dict[str, Any] | None = None
    """The cleaning report; None where there are problems."""
    version: int | None = None
    """The number under which it was stored; None when it was not."""

    def raise_problems(self) -> None:
        """Stop when something is in the way.

        Raises:
            DataError: with everything that must be settled.
            UsageError: likewise, when all of it are questions.
        """
        if self.problems:
            raise all_at_once([problem.error() for problem in self.problems])

    @property
    def left_out(self) -> dict[str, int]:
        """Reason, with its file → rows that were not taken."""
        return {
            f"{table['file']}: {reason}": count
            for table in self.tables
            for reason, count in table.get("left_out", {}).items()
        }


def preview_of(table: Table) -> Preview:
    """A described table for people to look at."""
    shown = table.profiles[:PREVIEW_COLUMNS]
    return Preview(
        file=table.source.label,
        kind=table.kind,
        columns=[
            Column(name=column.name, roles=table.roles_of(column.name), look=column.looks_like())
            for column in shown
        ],
        rows=[row[: len(shown)] for row in table.sample],
    )


def problem_of(file: str, problem: ImportProblem) -> Problem:
    """A problem as it travels."""
    return Problem(
        file=file,
        what=problem.what,
        choices=problem.choices,
        is_question=isinstance(problem, ImportQuestionError),
    )
