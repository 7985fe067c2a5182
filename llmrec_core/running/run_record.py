"""The record of a run as one file in its folder, written before the ledger is told.

The ledger may be away or locked at the very moment a run ends. The record is safe by then: it is
committed when the ledger is back, by the run itself, by its worker, or by the next attempt, which
finds the file and computes nothing again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from llmrec_core.errors import LlmrecError
from llmrec_core.files import write_json
from llmrec_core.ledger.json_values import Json, digest_of, jsonable
from llmrec_core.ledger.leases import Leases
from llmrec_core.ledger.rows import Lease
from llmrec_core.types import Measurement, Samples

FORMAT = "llmrec-record/1"
FILE = "record.json"


@dataclass(frozen=True)
class RunRecord:
    """Everything that a finished run tells the ledger."""

    spec_hash: str
    """Of the run as queued; a file of another run is not taken for its record."""
    measurements: Sequence[Measurement] = ()
    samples: Sequence[Samples] = ()
    documents: dict[str, Json] = field(default_factory=dict)
    curves: Sequence[tuple[str, int, float]] = ()
    """Points that the ledger has not got yet."""
    lines: Sequence[str] = ()
    """Lines of the log that the ledger has not got yet."""

    def write(self, folder: Path) -> None:
        """Store the record: complete or not at all."""
        body = jsonable(
            {
                "spec_hash": self.spec_hash,
                "measurements": [asdict(row) for row in self.measurements],
                "samples": [asdict(row) for row in self.samples],
                "documents": self.documents,
                "curves": self.curves,
                "lines": self.lines,
            }
        )
        write_json(folder / FILE, {"format": FORMAT, "digest": digest_of(body), "record": body})

    @classmethod
    def read(cls, folder: Path, spec_hash: str) -> RunRecord | None:
        """Return the record in a run's folder; `None` when there is none, or not a whole one.

        Args:
            folder: the run's folder.
            spec_hash: of the run as queued.
        """
        try:
            stored = json.loads((folder / FILE).read_text(encoding="utf-8"))
            body = stored["record"]
            if stored["format"] != FORMAT or digest_of(body) != stored["digest"]:
                return None
            if body["spec_hash"] != spec_hash:
                return None
            return cls(
                spec_hash,
                [Measurement(**row) for row in body["measurements"]],
                [Samples(**row) for row in body["samples"]],
                body["documents"],
                [(name, step, value) for name, step, value in body["curves"]],
                body["lines"],
            )
        except (OSError, ValueError, KeyError, TypeError, LlmrecError):
            return None

    def commit(self, ledger: Leases, lease: Lease) -> None:
        """Give the record to the ledger.

        Raises:
            LeaseLostError: when another attempt has the run.
            LedgerError: when the ledger is away.
        """
        ledger.finish(
            lease,
            self.measurements,
            self.samples,
            self.documents,
            curves=self.curves,
            lines=self.lines,
        )
