"""Who did what: every action of a person, allowed or refused."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from llmrec_core.ledger import schema
from llmrec_core.ledger.database import Store
from llmrec_core.ledger.schema import Now
from llmrec_core.redaction import redacted

LONGEST = 500
"""Characters of a subject that are kept."""

audit = schema.audit


@dataclass(frozen=True)
class AuditRow:
    """One action."""

    time: str
    person: str
    action: str
    subject: str
    """What it was done to: the id of a run, the name of a data set or study."""
    allowed: bool


class Audit(Store):
    """The part of the ledger that remembers actions."""

    def note(self, person: str, action: str, subject: str, *, allowed: bool = True) -> None:
        """Remember an action.

        Args:
            person: e-mail address or name.
            action: a verb, e.g. `cancel`.
            subject: what it was done to.
            allowed: false for one that was refused.
        """
        with self.writing() as connection:
            connection.execute(
                sa.insert(audit).values(
                    time=Now(),
                    person=person[:LONGEST],
                    action=action,
                    subject=redacted(subject)[:LONGEST],
                    allowed=allowed,
                )
            )

    def actions(self, last: int = 500) -> list[AuditRow]:
        """Return the last actions, newest first.

        Args:
            last: how many at most.
        """
        names = ("time", "person", "action", "subject", "allowed")
        query = sa.select(*(audit.c[name] for name in names)).order_by(audit.c.id.desc())
        with self.reading() as connection:
            return [AuditRow(**row) for row in connection.execute(query.limit(last)).mappings()]
