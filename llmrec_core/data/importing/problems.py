"""What stands in the way of an import, and the choice that settles it.

The command line and the Data page settle the same choices by different means, so a problem keeps
what is wrong apart from the remedy: `str(error)` is for the terminal, `on_page` for the browser.
"""

from __future__ import annotations

from collections.abc import Iterable

from llmrec_core.errors import DataError, LlmrecError, UsageError
from llmrec_core.language import marked, t

REMEDIES: dict[str, tuple[str, str]] = {
    "columns": (
        marked("name them with --user and --item, by name or by number from 1"),
        marked("choose the user and item columns of this file"),
    ),
    "rating": (
        marked("name another column with --rating, or none with --rating none"),
        marked("choose another rating column, or none"),
    ),
    "time": (
        marked("name another column with --time, or none with --time none"),
        marked("choose another time column, or none"),
    ),
    "time-format": (
        marked("say its form with --time-format, e.g. %d/%m/%Y %H:%M"),
        marked("give the form of the times, e.g. %d/%m/%Y %H:%M"),
    ),
    "day-or-month": (
        marked("say which with --time-format, %d first or %m first"),
        marked("choose whether day or month comes first"),
    ),
    "separator": (
        marked("name what separates the columns with --separator"),
        marked("give what separates the columns"),
    ),
    "encoding": (
        marked(
            "say which to use with --encoding (utf-8 replaces damaged letters, cp1252 accepts all)"
        ),
        marked("choose the encoding (UTF-8 replaces damaged letters, Windows-1252 accepts all)"),
    ),
    "format": (
        marked("name its form with --format"),
        marked("save it as CSV, JSON lines or Parquet"),
    ),
    "kind": (
        marked("say which with --kind interactions or --kind edges"),
        marked("choose what this file holds"),
    ),
    "skip": (
        marked("leave such rows out with --skip-bad-rows"),
        marked("leave out rows that cannot be read"),
    ),
}
"""Choice → how it is made on the command line and on the page."""


class _ImportError(LlmrecError):
    """What is wrong with a file, and the choices that would settle it."""

    def __init__(self, what: str, *choices: str) -> None:
        super().__init__(with_remedy(what, choices))
        self.what, self.choices = what, choices

    @property
    def on_page(self) -> str:
        """The sentence with what can be done in the browser."""
        return with_remedy(self.what, self.choices, on_page=True)


class ImportDataError(_ImportError, DataError):
    """A file that cannot be read or used as it is."""


class ImportQuestionError(_ImportError, UsageError):
    """A file that could be two things, or nothing that is known; one choice settles it."""


ImportProblem = ImportDataError | ImportQuestionError


def with_remedy(what: str, choices: Iterable[str], *, on_page: bool = False) -> str:
    """What is wrong, followed by what can be done about it.

    Args:
        what: the sentence.
        choices: keys of `REMEDIES`.
        on_page: whether it is read in the browser.
    """
    ways = [t(REMEDIES[choice][on_page]) for choice in choices]
    match ways:
        case []:
            return what
        case [only]:
            return t("{what}; {remedy}", what=what, remedy=only)
        case [*first, last]:
            return t(
                "{what}; {remedies}, or {last}", what=what, remedies=", ".join(first), last=last
            )
    raise AssertionError("a list is empty, has one element or more")


def all_at_once(problems: list[ImportProblem]) -> ImportProblem:
    """One error for several problems: a question when all of them are questions."""
    if len(problems) == 1:
        return problems[0]
    kind = (
        ImportQuestionError
        if all(isinstance(problem, ImportQuestionError) for problem in problems)
        else ImportDataError
    )
    listed = " ".join(f"({n}) {problem}." for n, problem in enumerate(problems, 1))
    return kind(t("{count} things stand in the way: {listed}", count=len(problems), listed=listed))
