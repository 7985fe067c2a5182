"""What a plan is made for: a run of any family, or a model of the catalogue.

A run has the plan of the machine its costs were measured on. A run whose language model reads a
prompt, and a model of the catalogue, have predicted plans of every other device besides.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from llmrec_core.costmodel.facts.architecture import Architecture
from llmrec_core.costmodel.facts.devices import Device
from llmrec_core.costmodel.plan import planner
from llmrec_core.costmodel.plan.bill import Terms
from llmrec_core.costmodel.plan.planner import Need, Plan, Step
from llmrec_core.costmodel.predict.request import Request
from llmrec_core.errors import UnsupportedError
from llmrec_core.language import t
from llmrec_core.reading import bills
from llmrec_core.reading.other_devices import request_of
from llmrec_core.reading.pricing import AS_RECORDED, Pricing
from llmrec_core.reading.row import Row, machine_of


@dataclass(frozen=True)
class Subject:
    """What is served."""

    name: str
    row: Row | None
    """The run; None for a model of the catalogue."""
    request: Request | None
    """What other devices are predicted from; None for a run that reads no prompt."""
    measured: Request | None = None
    """The request as the run measured it; the measured plan holds for this one only."""
    pricing: Pricing = AS_RECORDED
    """What the reader has typed for the run's machine."""

    def with_request(self, request: Request) -> Subject:
        """The same subject with another request."""
        return replace(self, request=request)


def of_run(row: Row, pricing: Pricing = AS_RECORDED) -> Subject:
    """A run as what is served.

    Args:
        row: the run.
        pricing: what the reader has typed for its machine.
    """
    try:
        request = request_of(row)
    except UnsupportedError:
        return Subject(row.name, row, None, None, pricing)
    return Subject(row.name, row, request, request, pricing)


def of_model(name: str, shape: Architecture) -> Subject:
    """A model that was not run here as what is served.

    Args:
        name: what to call it.
        shape: its architecture.
    """
    return Subject(name, None, Request(shape))


def plans(subject: Subject, devices: Iterable[Device], need: Need) -> list[Plan]:
    """The plan of every device and of the run's machine, in the order of `planner.ordered`.

    Args:
        subject: what is served.
        devices: what can be rented.
        need: how much, how surely and on which terms.
    """
    predicted = planner.plans(subject.request, devices, need) if subject.request else []
    return planner.ordered([*_here(subject, need), *predicted])


def best_two(subject: Subject, devices: Iterable[Device], need: Need) -> list[Plan]:
    """The cheapest plan and the runner-up, as `plans` orders them; shorter where fewer exist.

    Args:
        subject: what is served.
        devices: what can be rented.
        need: how much, how surely and on which terms.
    """
    predicted = planner.best_two(subject.request, devices, need) if subject.request else []
    here = [plan for plan in _here(subject, need) if plan.usd_per_month is not None]
    return planner.ordered([*here, *predicted])[:2]


def curve(
    subject: Subject, devices: Iterable[Device], need: Need, requests_per_user_day: float = 1.0
) -> list[Step]:
    """The cheapest plans from 10³ to 10⁹ users.

    Args:
        subject: what is served.
        devices: what can be rented.
        need: as for a plan; its requests per day are replaced.
        requests_per_user_day: requests of a user in a day.
    """
    catalogue = list(devices)
    return planner.curve(
        lambda changed: best_two(subject, catalogue, changed), need, requests_per_user_day
    )


def _here(subject: Subject, need: Need) -> list[Plan]:
    """The plan of the machine that a run's costs are known for; none for a catalogue model."""
    if subject.row is None:
        return []
    row = subject.row
    name = t("{machine}, measured", machine=machine_of(row) or t("the machine of the run"))
    if subject.request != subject.measured:
        reason = t("the run was measured with its own candidates, prompt and precision only")
        return [Plan(name, None, reason)]
    try:
        service = bills.service_of(row)
    except UnsupportedError as error:
        return [Plan(name, None, str(error))]
    terms = bills.terms_of(row, subject.pricing)
    terms = Terms(terms.price, terms.power, need.place, need.reserve, need.retrain_hours)
    return [planner.plan_service(name, service, need.traffic, terms)]
