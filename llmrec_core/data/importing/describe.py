"""What is this file? Its form, what each column looks like, the role of each, and its kind."""

from __future__ import annotations

import pandas as pd

from llmrec_core.data.importing.chunks import chunks
from llmrec_core.data.importing.column_profile import profile
from llmrec_core.data.importing.described_table import FileChoices, Table
from llmrec_core.data.importing.forms import describe_form
from llmrec_core.data.importing.roles import assign_roles
from llmrec_core.data.importing.sources import Source
from llmrec_core.data.importing.times import TimeForm, find_time_form, settle_day_or_month
from llmrec_core.errors import DataError
from llmrec_core.language import t

SAMPLE_ROWS = 5_000
SAMPLE_CELLS = 200_000
PREVIEW_ROWS = 5
PREVIEW_CHARACTERS = 60


def describe(source: Source, choices: FileChoices) -> tuple[Table, pd.DataFrame]:
    """The table behind a source and its first rows.

    Args:
        source: what to look at.
        choices: what a person has fixed about it.

    Raises:
        DataError: damage, with file, line and column where known.
        UsageError: when a choice is needed to read it at all.
    """
    table = describe_form(source, choices)
    frames = list(chunks(table, limit=SAMPLE_ROWS))
    if not frames:
        where = t(" below its header") if table.header and table.format == "delimited" else ""
        raise DataError(
            t("{label} has no rows{where}; expected at least one", label=source.label, where=where)
        )
    sample = pd.concat(frames)
    looked_at = sample.iloc[: max(SAMPLE_CELLS // max(len(table.columns), 1), 50)]
    table.profiles = [profile(looked_at[name].tolist(), name) for name in table.columns]
    table.sample = [
        [cell[:PREVIEW_CHARACTERS] for cell in row]
        for row in sample.head(PREVIEW_ROWS).to_numpy().tolist()
    ]
    assign_roles(table, looked_at, choices)
    return table, sample


def settle_time(table: Table, sample: pd.DataFrame, choices: FileChoices) -> None:
    """Find how the times of a table are written.

    Args:
        table: its roles are known; unit and format are set here.
        sample: its first rows.
        choices: what a person has fixed.

    Raises:
        DataError: for times in no known form.
        UsageError: when day and month cannot be told apart.
    """
    column = table.roles.get("time")
    if column is None or table.kind not in ("interactions", "sequences"):
        return
    if choices.time_format:
        table.time_unit, table.time_format = "text", choices.time_format
        return
    if choices.time_unit:
        table.time_unit = choices.time_unit
        return
    label = table.source.label
    forms = find_time_form(sample[column], column, label)
    whole = (frame[column] for frame in chunks(table)) if len(forms) > 1 else ()
    form = settle_day_or_month(forms, whole, label)
    table.time_unit, table.time_format = form.unit, form.format
    table.evidence.append(form.evidence)


def time_form(table: Table) -> TimeForm:
    """How the times of a described table are written."""
    return TimeForm(table.time_unit, table.time_format, "")
