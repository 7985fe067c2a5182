"""The ledger as one person may use it.

Pages and commands get nothing else. Every action checks the role and is noted in the audit log;
runs on another person's private data set do not exist for the others: not in lists, not by their
id, not in an answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from llmrec_core.access import Person, Role
from llmrec_core.contract.spec import RunSpec
from llmrec_core.contract.spec_files import StudySpec
from llmrec_core.errors import AccessError, UsageError
from llmrec_core.language import t
from llmrec_core.ledger.json_values import Json
from llmrec_core.ledger.ledger import Ledger
from llmrec_core.ledger.owners import base_name
from llmrec_core.ledger.rows import RequestRow, RunRow, StudyRow
from llmrec_core.types import Samples

if TYPE_CHECKING:
    import pandas as pd

QUESTIONS: dict[str, Role] = {"recommend": "viewer", "explain": "viewer"}
"""Role that each kind of question needs; all others keep this machine busy and need an analyst."""
CHANGES_DATA = frozenset({"clean-data"})
"""Kinds of questions that add to a data set: its owner's to ask, or an admin's."""


class PersonalLedger(Ledger):
    """A ledger that knows who uses it."""

    def __init__(self, ledger: Ledger, person: Person) -> None:
        """Share the ledger's connections.

        Args:
            ledger: the ledger itself.
            person: who uses it.
        """
        super().__init__(ledger.engine, ledger.settings)
        self.person = person

    # ── what may be seen ─────────────────────────────────────────────────────────────────────────

    def hidden_data(self) -> frozenset[str]:
        """Return the names of data sets that are private to others."""
        if self.person.may("admin"):
            return frozenset()
        return frozenset(
            owner.name
            for owner in self.owners().values()
            if owner.owner != self.person.name and not owner.shared
        )

    def may_see(self, data: str) -> bool:
        """Whether the person may see a data set."""
        return base_name(data) not in self.hidden_data()

    def require_data(self, data: str) -> None:
        """Refuse a data set that is private to somebody else, as if there were none.

        Raises:
            UsageError: for such a name.
        """
        if not self.may_see(data):
            raise UsageError(t("no data set {name!r}", name=data[:80]))

    def _hidden_runs(self) -> frozenset[str]:
        hidden = self.hidden_data()
        if not hidden:
            return frozenset()
        return frozenset(run.id for run in super().runs() if _data_of(run) in hidden)

    def _require_run(self, run_id: str) -> None:
        hidden = self.hidden_data()
        if hidden and _data_of(super().run(run_id)) in hidden:
            raise self._no_run(run_id, [run.id for run in self.runs()])

    def studies(self) -> list[StudyRow]:
        """Return the studies with a run that the person may see, oldest first."""
        hidden = self._hidden_runs()
        if not hidden:
            return super().studies()
        every = super().runs()
        private = {run.study for run in every} - {
            run.study for run in every if run.id not in hidden
        }
        return [study for study in super().studies() if study.name not in private]

    def runs(self, study: str | None = None) -> list[RunRow]:
        """Return the runs that the person may see; see `Records.runs`."""
        hidden = self.hidden_data()
        return [run for run in super().runs(study) if _data_of(run) not in hidden]

    def running_runs(self) -> list[RunRow]:
        """Return what works and the person may see; see `Records.running_runs`."""
        hidden = self.hidden_data()
        return [run for run in super().running_runs() if _data_of(run) not in hidden]

    def run(self, run_id: str) -> RunRow:
        """Return one run.

        Raises:
            UsageError: when there is none that the person may see.
        """
        self._require_run(run_id)
        return super().run(run_id)

    def measurements(self, run_ids: Sequence[str]) -> pd.DataFrame:
        """Return figures; see `Records.measurements`."""
        hidden = self._hidden_runs()
        return super().measurements([run_id for run_id in run_ids if run_id not in hidden])

    def samples(self, run_id: str, name: str, protocol: str) -> Samples | None:
        """Return raw values; see `Records.samples`."""
        self._require_run(run_id)
        return super().samples(run_id, name, protocol)

    def sample_names(self, run_id: str) -> list[tuple[str, str]]:
        """Return names of raw values; see `Records.sample_names`."""
        self._require_run(run_id)
        return super().sample_names(run_id)

    def documents(self, run_id: str) -> dict[str, Json]:
        """Return documents; see `Records.documents`."""
        self._require_run(run_id)
        return super().documents(run_id)

    def document(self, run_id: str, name: str) -> Json:
        """Return one document; see `Records.document`."""
        self._require_run(run_id)
        return super().document(run_id, name)

    def curves(self, run_id: str) -> pd.DataFrame:
        """Return curves; see `Records.curves`."""
        self._require_run(run_id)
        return super().curves(run_id)

    def logs(self, run_id: str, last: int = 500) -> list[tuple[str, str]]:
        """Return lines of the log; see `Records.logs`."""
        self._require_run(run_id)
        return super().logs(run_id, last)

    def export_study(self, name: str) -> dict[str, Json]:
        """Return a study with those of its runs that the person may see."""
        body = super().export_study(name)
        hidden = self._hidden_runs()
        body["runs"] = [run for run in body["runs"] if run["id"] not in hidden]
        return body

    def answer(self, request_id: str) -> RequestRow | None:
        """Return a request of the person's own, `None` for one of somebody else."""
        row = super().answer(request_id)
        if row is not None and row.asked_by not in (None, self.person.name):
            return None
        return row

    # ── what may be done ─────────────────────────────────────────────────────────────────────────

    @contextmanager
    def acting(self, role: Role, action: str, subject: str) -> Iterator[None]:
        """Check the role for an action, and note the action once it is done, or refused.

        Raises:
            AccessError: when the role is too low.
        """
        try:
            self.person.require(role, action)
            yield
        except AccessError:
            self.note(self.person.name, action, subject, allowed=False)
            raise
        self.note(self.person.name, action, subject)

    def cancel(self, run_id: str) -> str:
        """Cancel a run of one's own, or as an admin any; see `Claims.cancel`."""
        with self.acting(self._role_for(run_id), "cancel", run_id):
            return super().cancel(run_id)

    def retry(self, run_id: str) -> None:
        """Queue a run of one's own again, or as an admin any; see `Claims.retry`."""
        with self.acting(self._role_for(run_id), "retry", run_id):
            super().retry(run_id)

    def put_first(self, run_id: str) -> None:
        """Put a run of one's own first, or as an admin any; see `QueueOrder.put_first`."""
        with self.acting(self._role_for(run_id), "put first", run_id):
            super().put_first(run_id)

    def pause_queue(self, study: str) -> int:
        """Pause a study of one's own, or as an admin any; see `QueueOrder.pause_queue`."""
        with self.acting(self._role_for_study(study), "pause", study):
            return super().pause_queue(study)

    def resume_queue(self, study: str) -> int:
        """Let a study of one's own go on, or as an admin any; see `QueueOrder.resume_queue`."""
        with self.acting(self._role_for_study(study), "resume", study):
            return super().resume_queue(study)

    def remove_person(self, data: str, user_id: str, code: int) -> list[str]:
        """Forget a person, as an admin; who it was is not noted. See `Removal.remove_person`."""
        with self.acting("admin", "forget a person", data):
            return super().remove_person(data, user_id, code)

    def _role_for_study(self, study: str) -> Role:
        names = {run.asked_by for run in super().runs(study)}
        return "analyst" if names <= {None, self.person.name} else "admin"

    def _role_for(self, run_id: str) -> Role:
        asked_by = self.run(run_id).asked_by
        return "analyst" if asked_by in (None, self.person.name) else "admin"

    def enqueue(
        self,
        spec: RunSpec,
        study: str,
        *,
        title: str = "",
        priority: int = 0,
        asked_by: str | None = None,
    ) -> str:
        """Queue a run in the person's name; see `Studies.enqueue`."""
        with self.acting("analyst", "enqueue", f"{study}: {spec.name}"):
            self.require_data(spec.data.name)
            return super().enqueue(
                spec, study, title=title, priority=priority, asked_by=self.person.name
            )

    def add_study(self, study: StudySpec, asked_by: str | None = None) -> list[str]:
        """Queue a study in the person's name; see `Studies.add_study`."""
        with self.acting("analyst", "add study", study.name):
            for spec in study.runs:
                self.require_data(spec.data.name)
            return super().add_study(study, self.person.name)

    def request(self, kind: str, payload: Mapping[str, object], asked_by: str | None = None) -> str:
        """Ask the worker in the person's name; see `Questions.request`."""
        run_id, data = (str(payload.get(name) or "") for name in ("run", "data"))
        role = self.role_for_data(data) if kind in CHANGES_DATA else QUESTIONS.get(kind, "analyst")
        with self.acting(role, kind, run_id or data):
            if run_id:
                self._require_run(run_id)
            self.require_data(data)
            return super().request(kind, payload, self.person.name)

    def cancel_request(self, request_id: str) -> bool:
        """Give up a question of the person's own; see `Questions.cancel_request`."""
        with self.acting("viewer", "cancel a question", request_id):
            return self.answer(request_id) is not None and super().cancel_request(request_id)

    def import_study(self, body: Mapping[str, Json]) -> str:
        """Store an exported study; see `Exchange.import_study`."""
        with self.acting("analyst", "import study", str(body.get("study", ""))[:80]):
            return super().import_study(body)

    def share(self, name: str, shared: bool) -> None:
        """Share a data set of one's own, or make it private again; see `Owners.share`."""
        with self.acting(self.role_for_data(name), "share" if shared else "unshare", name):
            super().share(name, shared)

    def role_for_data(self, name: str) -> Role:
        """The role that changing a data set needs: an analyst may change their own alone."""
        owner = self.owners().get(base_name(name))
        return "analyst" if owner is not None and owner.owner == self.person.name else "admin"


def _data_of(run: RunRow) -> str:
    return base_name(str(run.spec.get("data", {}).get("name", "")))
