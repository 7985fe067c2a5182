"""What was found out about a table, and what a person may choose instead."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from llmrec_core.data.importing.column_profile import ColumnProfile
from llmrec_core.data.importing.sources import Source
from llmrec_core.errors import UsageError
from llmrec_core.language import t

Format = Literal[
    "", "delimited", "atomic", "id-lists", "json-lines", "json", "python-lines", "parquet"
]
Kind = Literal[
    "", "interactions", "items", "users", "edges", "tags", "tag-names", "sequences", "lists",
    "prompts", "relations", "entity-links", "other",
]  # fmt: skip
TimeUnit = Literal["", "s", "ms", "us", "ns", "order", "text"]
Role = Literal[
    "user", "item", "rating", "time", "title", "genres", "year", "friend", "tag", "history",
    "history-rating", "prompt", "answer", "head", "relation", "tail", "entity",
]  # fmt: skip
NONE = "none"
"""What a person says for "this file has no such column"."""


class FileChoices(BaseModel):
    """What a person fixes about a file; what is left empty is found."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    format: Format = ""
    separator: str = Field(default="", max_length=8)
    encoding: str = Field(default="", max_length=40)
    header: bool | None = None
    kind: Kind = ""
    time_unit: TimeUnit = ""
    time_format: str = Field(default="", max_length=80)
    columns: dict[Role, str] = Field(default_factory=dict)
    """Role → column by name, by number from 1, or `none`."""


class Options(FileChoices):
    """Choices for all files of an import; `files` holds what differs for one of them."""

    order: Literal["", "time", "file", "none"] = ""
    skip_bad_rows: bool = False
    files: dict[str, FileChoices] = Field(default_factory=dict)
    """File label → its own choices, which come before those for all."""

    @classmethod
    def of(cls, **values: object) -> Self:
        """Options from outside.

        Raises:
            UsageError: for the first value that is not allowed, with those that are.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            fault = error.errors(include_url=False)[0]
            name = "-".join(str(part) for part in fault["loc"]).replace("_", "-")
            raise UsageError(
                t(
                    "--{name} is {value!r}; expected: {expected}",
                    name=name,
                    value=str(fault["input"])[:60],
                    expected=fault["msg"],
                )
            ) from error

    def for_file(self, label: str) -> FileChoices:
        """The choices that hold for one file."""
        common = {name: getattr(self, name) for name in FileChoices.model_fields}
        own = self.files.get(label)
        if own is None:
            return FileChoices(**common)
        differing = own.model_dump(exclude_defaults=True)
        return FileChoices(**{**common, **differing, "columns": {**self.columns, **own.columns}})


@dataclass
class Table:
    """One source, understood: how to read it, what it is, and why that is believed."""

    source: Source
    format: str
    kind: str = "other"
    encoding: str = "utf-8"
    separator: str = ""
    header: bool = True
    columns: list[str] = field(default_factory=list)
    """Names for people, safe to print; the readers find the columns by position or by `keys`."""
    keys: list[str] = field(default_factory=list)
    """Of JSON and Parquet: the names inside the file, in the order of `columns`."""
    roles: dict[str, str] = field(default_factory=dict)
    time_unit: str = ""
    time_format: str = ""
    evidence: list[str] = field(default_factory=list)
    profiles: list[ColumnProfile] = field(default_factory=list)
    sample: list[list[str]] = field(default_factory=list)
    """The first rows, for a preview."""
    left_out: dict[str, int] = field(default_factory=dict)
    """Reason → rows that were not taken."""

    def roles_of(self, column: str) -> tuple[str, ...]:
        """The roles of a column: none, or several, as a name may be item and title at once."""
        return tuple(role for role, name in self.roles.items() if name == column)

    def to_dict(self) -> dict[str, Any]:
        """For reports and the page: everything but the machine's own path."""
        return {
            "file": self.source.label,
            "kind": self.kind,
            "format": self.format,
            "encoding": self.encoding,
            "separator": self.separator,
            "header": self.header,
            "columns": self.columns[:50],
            "roles": self.roles,
            "time_unit": self.time_unit,
            "time_format": self.time_format,
            "evidence": self.evidence,
            "left_out": self.left_out,
        }


KINDS: tuple[str, ...] = get_args(Kind)[1:]
