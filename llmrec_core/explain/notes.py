"""What a reader has to know besides the values, kept so that each gets it in their language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from llmrec_core.language import t
from llmrec_core.retelling import retold


@dataclass(frozen=True)
class Note:
    """A sentence marked for the catalogue (`language.marked`), and what stands in its places."""

    message: str
    values: Mapping[str, Any] = field(default_factory=dict)

    def text(self) -> str:
        """The sentence in the reader's language."""
        words = {
            name: retold(value) if isinstance(value, str) else value
            for name, value in self.values.items()
        }
        return t(self.message, **words)

    def to_json(self) -> dict[str, Any]:
        """The note as JSON, with the sentence as it reads now for programs."""
        return {"text": self.text(), "message": self.message, "values": dict(self.values)}


def texts(notes: object) -> list[str]:
    """The sentences of the notes in an answer; answers of version 0.1 hold them as plain text."""
    rows = notes if isinstance(notes, list) else []
    return [
        Note(str(row["message"]), row.get("values") or {}).text()
        if isinstance(row, Mapping)
        else str(row)
        for row in rows
    ]
