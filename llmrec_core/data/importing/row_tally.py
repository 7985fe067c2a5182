"""Rows that cannot be taken: counted by reason, with the first of each sort for the message."""

from __future__ import annotations

from dataclasses import dataclass, field

from llmrec_core.data.importing.problems import ImportDataError
from llmrec_core.language import tn


@dataclass
class Reason:
    """One sort of bad row."""

    first: str
    """The first such row, in a sentence."""
    choices: tuple[str, ...]
    count: int = 0


@dataclass
class RowTally:
    """What was left out while one table was read."""

    reasons: dict[str, Reason] = field(default_factory=dict)
    """Reason for people → its first row and how many there are."""

    def add(self, reason: str, first: str, *choices: str, count: int = 1) -> None:
        """Count bad rows.

        Args:
            reason: the sort of fault, for people, e.g. "rating is no number".
            first: a sentence on the first of these rows; kept only when it is the first at all.
            *choices: what would settle it, besides leaving the rows out.
            count: how many rows.
        """
        entry = self.reasons.setdefault(reason, Reason(first, choices))
        entry.count += count

    @property
    def counts(self) -> dict[str, int]:
        """Reason → rows."""
        return {reason: entry.count for reason, entry in self.reasons.items()}

    def problems(self) -> list[ImportDataError]:
        """One problem a reason, naming the first row and how many are like it."""
        return [
            ImportDataError(
                entry.first
                if entry.count == 1
                else tn(
                    "{first} (and {count} row more like it)",
                    "{first} (and {count} rows more like it)",
                    entry.count - 1,
                    first=entry.first,
                ),
                *entry.choices,
                "skip",
            )
            for entry in self.reasons.values()
        ]
