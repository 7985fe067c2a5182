"""Where the Plan page starts: from the traffic, the limits and the choice of the other pages."""

from __future__ import annotations

from llmrec_core.costmodel.plan.planner import Plan
from llmrec_core.language import t
from llmrec_core.reading import number_format, verdict
from llmrec_core.reading.choice import Choice, choose
from llmrec_core.reading.limits import Limits
from llmrec_core.reading.pricing import Pricing
from llmrec_core.reading.question import Question
from llmrec_core.reading.row import Row
from pages.shared import records, widgets


def chosen(study: records.Study, limits: Limits, pricing: Pricing) -> Choice | None:
    """What Decide chooses within limits; None while nothing is measured.

    Args:
        study: the study.
        limits: as typed on other pages.
        pricing: what the reader has typed in the side bar.
    """
    rows = records.compared(study)
    metric, protocol = "ndcg@10", widgets.protocol_picker(rows, "", hidden=True)
    if protocol is None:
        return None
    users = records.per_user(study, rows, metric, protocol)
    return choose(rows, limits, Question(metric, protocol, users, pricing))


def row_of(choice: Choice | None) -> Row | None:
    """The row to plan for first: the choice, else the one that comes closest."""
    return None if choice is None else choice.row or choice.next_best


def start_words(asked: verdict.Traffic, choice: Choice | None) -> str:
    """Where the first box starts from, and that nothing keeps the limits where nothing does."""
    requests = number_format.count(asked.requests_per_month)
    starts = (
        t("Starts from {requests} requests a month and no latency limit.", requests=requests)
        if asked.p95_s is None
        else t(
            "Starts from {requests} requests a month within {p95} at p95, as typed on Start, "
            "Decide or in the report.",
            requests=requests,
            p95=number_format.duration(asked.p95_s),
        )
    )
    if choice is None or choice.row is not None:
        return starts
    return f"{starts} {choice.sentence} {choice.why_not}"


def against_budget(best: Plan, usd_per_month: float | None) -> None:
    """Whether the cheapest plan keeps the budget that was typed on another page.

    Args:
        best: the cheapest plan, with a price.
        usd_per_month: the budget; None where none was typed.
    """
    if usd_per_month is None:
        return
    values = {
        "bill": number_format.dollars(best.usd_per_month or 0.0),
        "budget": number_format.dollars(usd_per_month),
    }
    if (best.usd_per_month or 0.0) <= usd_per_month:
        widgets.caption(t("{bill} a month keeps the budget of {budget}.", **values))
    else:
        widgets.caption(t("{bill} a month is above the budget of {budget}.", **values))
