"""What a person does to the queue: pause it, let it go on, put a run first, repeat a run."""

from __future__ import annotations

import sqlalchemy as sa

from llmrec_core.errors import UsageError
from llmrec_core.language import t
from llmrec_core.ledger import schema
from llmrec_core.ledger.claims import queue_again
from llmrec_core.ledger.studies import Studies

runs = schema.runs


class QueueOrder(Studies):
    """The part of the ledger that orders what waits."""

    def pause_queue(self, study: str) -> int:
        """Let the waiting runs of a study wait until it goes on; those that work are not stopped.

        Returns:
            The number of runs that are paused now.
        """
        with self.writing() as connection:
            return connection.execute(
                sa.update(runs)
                .where(runs.c.study == study, runs.c.state == "queued")
                .values(state="paused")
            ).rowcount

    def resume_queue(self, study: str) -> int:
        """Queue the paused runs of a study again.

        Returns:
            The number of runs that wait again.
        """
        with self.writing() as connection:
            waiting = sa.select(runs.c.id).where(runs.c.study == study, runs.c.state == "paused")
            paused = connection.execute(waiting.with_for_update()).scalars().all()
            for run_id in paused:
                queue_again(connection, run_id)
            return len(paused)

    def put_first(self, run_id: str) -> None:
        """Give a waiting run the highest priority of all that wait.

        Raises:
            UsageError: when the run does not wait.
        """
        with self.writing() as connection:
            state = connection.execute(
                sa.select(runs.c.state).where(runs.c.id == run_id).with_for_update()
            ).scalar()
            if state != "queued":
                raise UsageError(
                    t(
                        "run {run_id} is {state}; only a queued run can be put first",
                        run_id=run_id,
                        state=state or t("unknown"),
                    )
                )
            highest = sa.select(sa.func.max(runs.c.priority)).where(runs.c.state == "queued")
            priority = connection.execute(highest).scalar() or 0
            connection.execute(
                sa.update(runs).where(runs.c.id == run_id).values(priority=priority + 1)
            )
