"""The command line: `llmrec VERB`, or `python -m llmrec_core VERB`.

A thin reading of the functions that do the work, one module a group of commands. With `--json` the
last line of stdout is one JSON document. The exit status is 0, 2 for a wrong argument or 1 for a
failure; every failure is one sentence on stderr. Heavy modules are imported inside the commands.
"""

from __future__ import annotations

import errno
import os
import signal
import sys

import typer
from babel.core import default_locale

from llmrec_core.cli import (
    data,
    disk,
    docs,
    estimate,
    explain,
    ladder,
    ledger,
    measure,
    models,
    people,
    plan,
    policy,
    profile,
    recommend,
    report,
    runs,
    study,
    tune,
)
from llmrec_core.errors import LlmrecError
from llmrec_core.language import ask_language_of, best_language, t
from llmrec_core.redaction import redacted
from llmrec_core.terminal import printable

FILE_TROUBLE = (
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EACCES,
    errno.EISDIR,
    errno.ENOENT,
    errno.EROFS,
)
"""Errors of files that a person can do something about; all others are faults of ours."""

app = typer.Typer(
    help="Which recommender gives the best recommendations per dollar on your data and hardware?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for group in (
    study,
    tune,
    ladder,
    runs,
    ledger,
    models,
    recommend,
    profile,
    report,
    data,
    explain,
    estimate,
    plan,
    measure,
    policy,
    people,
    disk,
    docs,
):
    group.register(app)


def main() -> None:
    """Run the command line; every error meant for a person is one sentence."""
    os.umask(0o077)  # what is stored is the reader's own
    # A script's background jobs start with SIGINT ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # So that what we started is stopped.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    ask_language_of(lambda: best_language(default_locale("LC_MESSAGES")))
    try:
        app(prog_name="llmrec")
    except LlmrecError as error:
        sys.exit(_complain(str(error), error.exit_code))
    except OSError as error:
        if error.errno not in FILE_TROUBLE:
            raise
        sentence = t(
            "{file} cannot be written or read: {cause}; nothing stored is lost",
            file=error.filename or t("a file"),
            cause=error.strerror,
        )
        sys.exit(_complain(sentence, LlmrecError.exit_code))
    except KeyboardInterrupt:
        sys.exit(130)


def _complain(sentence: str, status: int) -> int:
    print(printable(t("error: {sentence}", sentence=redacted(sentence))), file=sys.stderr)
    return status
