"""One run as pages, reports and the command line read it: a record computed from the ledger."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from llmrec_core.contract.families import is_hosted, takes_backbone
from llmrec_core.contract.spec import RunSpec, stored_run
from llmrec_core.language import t
from llmrec_core.retelling import retold
from llmrec_core.types import GIVEN_ITEMS, Measurement

if TYPE_CHECKING:
    import pandas as pd

    from llmrec_core.ledger.rows import RunRow

SMALL_DOCUMENTS = (
    *("conditions", "device", "versions", "windows", "training", "model"),
    *("slices", "slices time", "teacher"),
)


@dataclass(frozen=True)
class Row:
    """One run as it is read: what was asked for, what came out, and under which conditions."""

    run_id: str
    study: str
    name: str
    state: str
    spec: RunSpec
    figures: tuple[Measurement, ...] = ()
    documents: Mapping[str, Any] = field(default_factory=dict)
    finished: str = ""
    members: tuple[Row, ...] = ()
    """The runs of a group that differ in their seed alone (`groups.py`); empty for a single run."""

    @property
    def run_ids(self) -> tuple[str, ...]:
        """The runs behind this row: its own id, or those of its members."""
        return tuple(row.run_id for row in self.members) or (self.run_id,)

    @property
    def uses_language_model(self) -> bool:
        """Whether a language model is part of the recommender, or of one that it is made of.

        A fusion and a cascade may take theirs from another run, and then name no backbone.
        """
        chosen = self.spec.recommender
        named = bool(chosen.backbone) or self.is_hosted
        return named or any(takes_backbone(family) for family in chosen.families)

    @property
    def is_hosted(self) -> bool:
        """Whether its model runs on its provider's machines."""
        return is_hosted(self.spec.recommender.family)

    @property
    def language_model_decides(self) -> bool:
        """Whether a language model has a say in the order."""
        return self.uses_language_model and not self.language_model_silent

    @property
    def language_model_silent(self) -> bool:
        """Whether a cascade's language model has no say: no weight in the blend, or no requests."""
        return self.unweighted or self.never_read

    @property
    def unweighted(self) -> bool:
        """Whether a language model is paid for and has no weight in a cascade's blend."""
        return self.uses_language_model and (self.documents.get("model") or {}).get("blend") == 0

    @property
    def never_read(self) -> bool:
        """Whether a cascade's gate lets no request through to its language model."""
        return bool((self.documents.get("model") or {}).get("gate") == "never")

    @property
    def partly_read(self) -> bool:
        """Whether a cascade's gate keeps some or all requests from its language model."""
        return bool((self.documents.get("model") or {}).get("gate", "always") != "always")

    @property
    def predicted(self) -> bool:
        """Whether the costs of this row are predictions for a device it did not run on."""
        return bool(self.documents.get("predicted"))

    @property
    def conditions(self) -> Mapping[str, Any]:
        """Prices, grid and their sources when the run was recorded."""
        return self.documents.get("conditions") or {}

    @property
    def device(self) -> Mapping[str, Any]:
        """The machine of the run."""
        return self.documents.get("device") or {}

    @property
    def noisy(self) -> bool:
        """Whether another program disturbed the timing and repeating did not help."""
        windows = self.documents.get("windows") or []
        return any(window.get("noisy") for window in windows if isinstance(window, Mapping))

    def figure(self, name: str, protocol: str = "", slice: str = "all") -> Measurement:
        """The measurement of a name, or a measurement that says why there is none.

        Args:
            name: e.g. `ndcg@10`.
            protocol: e.g. `loo/100-uniform`; empty for the first one recorded under that name.
            slice: of the users.
        """
        for figure in self.figures:
            same = figure.name == name and figure.slice == slice
            if same and protocol in ("", figure.protocol):
                return figure
        if self.state != "finished":
            reason = t("the run has not finished")
        elif protocol:
            reason = t("not part of this run under {protocol}", protocol=protocol)
        else:
            reason = t("not part of this run")
        return Measurement(name, None, "", slice=slice, protocol=protocol, reason=reason)

    def request_figure(self, name: str, batch: int | None = 1) -> Measurement:
        """A cost of one request.

        Args:
            name: e.g. `latency_p95_s`.
            batch: requests at a time; `None` takes the largest number measured.
        """
        measured = [
            figure
            for figure in self.figures
            if figure.name == name and figure.protocol.startswith("request/")
        ]
        usable = [figure for figure in measured if figure.value is not None] or measured
        if batch is not None:
            usable = [figure for figure in usable if batch_of(figure.protocol) == batch]
        if not usable:
            return self.figure(name, t("batch {batch}", batch=batch) if batch else t("any batch"))
        return max(usable, key=lambda figure: batch_of(figure.protocol))

    @property
    def request_time(self) -> Measurement:
        """Seconds that stand for a request: the median, or the mean where a gate mixes two kinds.

        Behind a gate half of the requests may take a thousandth of the others' time.
        """
        mean = self.request_figure("latency_mean_s")
        return self.request_figure("latency_p50_s") if mean.value is None else mean

    @property
    def protocols(self) -> tuple[str, ...]:
        """Quality protocols this run was measured under, in the order recorded."""
        names = (
            figure.protocol
            for figure in self.figures
            if figure.name == "ndcg@10" and figure.value is not None
        )
        return tuple(dict.fromkeys(names))


def batch_of(protocol: str) -> int:
    """`request/100/batch-8` → 8; 1 where no batch is named."""
    tail = protocol.rpartition("batch-")[2].split("/")[0]
    return int(tail) if tail.isdigit() else 1


def candidates_of(protocol: str) -> str:
    """`loo/100-uniform` → `100`, `loo/given-bm25` → `20`; `full` stays `full`."""
    first = protocol.rpartition("/")[2].partition("-")[0]
    return str(GIVEN_ITEMS) if first == "given" else first


def measurements_of(table: pd.DataFrame, run_id: str) -> tuple[Measurement, ...]:
    """The rows of one run in the ledger's measurement table as records."""
    columns = ["name", "value", "unit", "low", "high", "n", "slice", "protocol", "reason"]
    rows = []
    for values in table.loc[table["run_id"] == run_id, columns].itertuples(index=False, name=None):
        name, value, unit, low, high, n, part, protocol, reason = (
            None if _missing(cell) else cell for cell in values
        )
        if value is None and not reason:
            reason = t("no reason was recorded")
        count = None if n is None else int(n)
        rows.append(
            Measurement(
                str(name),
                value,
                unit or "",
                low,
                high,
                count,
                part or "all",
                protocol or "",
                retold(reason) if reason else reason,
            )
        )
    return tuple(rows)


def _missing(value: object) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def make_row(run: RunRow, table: pd.DataFrame, documents: Mapping[str, Any]) -> Row:
    """A `Row` from a run of the ledger, its measurements and its small documents."""
    spec = run.spec if isinstance(run.spec, RunSpec) else stored_run(run.spec)
    small = {name: documents[name] for name in SMALL_DOCUMENTS if name in documents}
    finished = "" if run.finished is None else str(run.finished)
    return Row(
        run.id,
        run.study,
        run.name,
        run.state,
        spec,
        measurements_of(table, run.id),
        small,
        finished,
    )


def machine_of(row: Row) -> str:
    """The machine of a run in one phrase."""
    device = row.device
    return str(device.get("name") or device.get("cpu") or "")


def document_of(name: str, protocol: str, row: Row) -> str:
    """The document of a run that tells the people of this protocol apart.

    Args:
        name: `slices` or `facets`.
        protocol: e.g. `time/100-uniform`.
        row: the run; a cut in time beside leave-one-out has documents of its own.
    """
    beside = protocol.partition("/")[0] != row.spec.protocol.split
    return f"{name} time" if beside else name
