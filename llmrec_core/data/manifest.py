"""What stands in `dataset.json`: the versions of a stored data set, checked when it is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from llmrec_core.errors import DataError
from llmrec_core.language import t

_Count = Field(ge=0)


class Version(BaseModel):
    """One version: counts, how it came about, and the digest of each of its files."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    number: int = Field(ge=1)
    content_hash: str = Field(pattern=r"^[0-9a-f]{16}$")
    formerly: list[str] = Field(default_factory=list)
    """Content hashes from before a person was removed on request; runs were queued for them."""
    created: float = Field(ge=0, allow_inf_nan=False)
    """Seconds since 1970."""
    note: str
    users: int = _Count
    items: int = _Count
    interactions: int = _Count
    order: str
    tables: list[dict[str, Any]] = Field(default_factory=list)
    """Evidence of the import: one entry a file, see `described_table.Table.to_dict`."""
    report: dict[str, Any] | None = None
    """The cleaning report, see `cleaning.report.Report.to_dict`."""
    files: dict[str, str]
    """File name → sha256."""


class Manifest(BaseModel):
    """A stored data set: its names and its versions, oldest first."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str
    title: str
    source: str
    created: float = Field(ge=0, allow_inf_nan=False)
    versions: list[Version] = Field(min_length=1)

    @property
    def newest(self) -> Version:
        """The version that a bare name means."""
        return self.versions[-1]


def read_manifest(path: Path) -> Manifest:
    """The manifest in a file.

    Raises:
        DataError: when the file cannot be read or is not a manifest.
    """
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise DataError(
            t(
                "{path} is damaged ({error}); delete its folder and import the data again",
                path=path,
                error=_first_fault(error),
            )
        ) from error


def _first_fault(error: OSError | ValidationError) -> str:
    """One line for a person: what is wrong, and in which field."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    fault = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(map(str, fault['loc'])) or 'JSON'}: {fault['msg']}"[:160]
