"""The ledger: studies, runs and their records. `Ledger.open(settings)` is where every part starts.

One object, put together from one module an idea: queueing (studies.py), the order of what waits
(queue_order.py), handing out (claims.py), writing under a lease (leases.py), questions
(questions.py), workers (workers.py), reading (records.py), exchange (exchange.py), whose data is
whose (owners.py), who did what (audit.py), forgetting people (removal.py).
"""

from __future__ import annotations

from llmrec_core.ledger.audit import Audit
from llmrec_core.ledger.database import make_engine
from llmrec_core.ledger.exchange import Exchange
from llmrec_core.ledger.leases import Leases
from llmrec_core.ledger.migration import prepare
from llmrec_core.ledger.owners import Owners
from llmrec_core.ledger.questions import Questions
from llmrec_core.ledger.queue_order import QueueOrder
from llmrec_core.ledger.removal import Removal
from llmrec_core.ledger.rows import Lease, LeaseLostError, RequestRow, RunRow, StudyRow, WorkerRow
from llmrec_core.ledger.workers import Workers
from llmrec_core.settings import Settings

__all__ = ["Lease", "LeaseLostError", "Ledger", "RequestRow", "RunRow", "StudyRow", "WorkerRow"]


class Ledger(QueueOrder, Questions, Leases, Workers, Exchange, Owners, Audit, Removal):
    """Studies and runs in one database."""

    @classmethod
    def open(cls, settings: Settings) -> Ledger:
        """Return the ledger of these settings, made or brought up to date when needed.

        Raises:
            LedgerError: when it cannot be read or written, or is newer than this code.
        """
        ledger = cls(make_engine(settings.ledger_url), settings)
        try:
            prepare(ledger)
        except BaseException:
            ledger.close()
            raise
        return ledger
