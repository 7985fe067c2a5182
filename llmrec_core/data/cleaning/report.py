"""The cleaning report: what looks wrong, by which rule, how much of it, with examples."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self


@dataclass(frozen=True)
class Finding:
    """One check's result: `count` of `total` things of that `unit` break the rule."""

    check: str
    rule: str
    unit: str
    count: int | None
    """None where the check does not apply, for the `reason`."""
    total: int
    action: str
    """What the switch does, "" for a check that only reports."""
    on: bool
    examples: list[str] = field(default_factory=list)
    reason: str = ""
    suspicious: bool = False
    """Whether it speaks of somebody who wants to move the recommendations."""


@dataclass(frozen=True)
class Step:
    """What is left after one switch acted."""

    step: str
    users: int
    items: int
    interactions: int


@dataclass(frozen=True)
class Report:
    """All findings, the effect of k-core filters, and the steps of cleaning.

    The steps are what cleaning did, or what it would do when only an inspection was asked for.
    """

    findings: list[Finding]
    cores: list[dict[str, int]]
    steps: list[Step]

    @property
    def suspicions(self) -> list[Finding]:
        """What somebody may have planted; to be read before anything is trained."""
        return [finding for finding in self.findings if finding.suspicious and finding.count]

    def to_dict(self) -> dict[str, Any]:
        """As JSON, for the manifest and for pages."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, body: Mapping[str, Any]) -> Self:
        """The report in a manifest, also one that version 0.1 wrote."""
        return cls(
            [Finding(**finding) for finding in body["findings"]],
            list(body["cores"]),
            [Step(**step) for step in body["steps"]],
        )
