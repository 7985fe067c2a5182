"""What if: another need beside the plan, and what it changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import streamlit as st

from llmrec_core.costmodel.plan import sentences
from llmrec_core.costmodel.plan.planner import Need, Plan
from llmrec_core.costmodel.predict import query
from llmrec_core.language import t
from llmrec_core.reading import number_format, planned
from llmrec_core.reading.planned import Subject
from pages.answer.plan_fields import optional, whole
from pages.shared import hardware, widgets
from pages.shared.address import choose


def what_if(subject: Subject, need: Need, before: Sequence[Plan]) -> None:
    """Another need beside the plan above; an empty field keeps what stands there.

    Args:
        subject: what is planned for.
        need: as above.
        before: the plans above, the cheapest first.
    """
    st.caption(t("Fill in what changes: the plan above stays, the change is shown beside it."))
    changed_subject, changed = _changed(subject, need)
    if (changed_subject, changed) == (subject, need):
        st.write(t("Nothing is changed yet, so the plan is the one above."))
        return
    after = planned.best_two(changed_subject, hardware.catalogue().values(), changed)
    widgets.say(sentences.cheapest(after, changed.traffic))
    base = before[0] if before and before[0].usd_per_month is not None else None
    if after and base is not None:
        cells = st.columns(4)
        for cell, change in zip(cells, _changes(base, after[0]), strict=True):
            cell.metric(
                change.title,
                change.text,
                change.share,
                delta_color="inverse",
                border=True,
                height="stretch",
            )
        widgets.caption(t("Against the plan above: {plan}.", plan=sentences.in_short(base)))
    st.caption(
        t(
            "Fewer items read or another precision change the quality as well: Decide shows by how "
            "much where measured."
        )
    )


def _changed(subject: Subject, need: Need) -> tuple[Subject, Need]:
    """The subject and the need with what was typed in place of what stands above."""
    above, limit = need.traffic, need.traffic.p95_s
    first, two, three = st.columns(3)
    daily = optional(
        first,
        t("Requests a day"),
        t("{daily:,.10g}, as above", daily=above.requests_per_day),
        "plan_if_daily",
    )
    p95 = optional(
        two,
        t("p95 limit, ms"),
        t("no limit") if limit is None else t("{limit:g}, as above", limit=1e3 * limit),
        "plan_if_p95",
    )
    peak = optional(
        three,
        t("Busiest hour over the mean"),
        t("{peak:g}, as above", peak=above.peak),
        "plan_if_peak",
    )
    four, five, six = st.columns(3)
    hits = optional(
        four,
        t("Answered from a cache, %"),
        t("{hits:g}, as above", hits=100 * above.hit_rate),
        "plan_if_hits",
    )
    traffic = replace(
        above,
        requests_per_day=above.requests_per_day if daily is None else daily,
        p95_s=limit if p95 is None else p95 / 1e3,
        peak=above.peak if peak is None else peak,
        hit_rate=above.hit_rate if hits is None else hits / 100,
    )
    return _changed_request(five, six, subject), replace(need, traffic=traffic)


def _changed_request(
    keep_place: st.delta_generator.DeltaGenerator,
    precision_place: st.delta_generator.DeltaGenerator,
    subject: Subject,
) -> Subject:
    """The subject with fewer items read or another precision, where it reads a prompt."""
    request = subject.request
    if request is None:
        return subject
    keep = optional(
        keep_place,
        t("Items the language model reads"),
        t("{count}, as above", count=request.candidates),
        "plan_if_keep",
    )
    as_above = t("as above ({precision})", precision=request.precision)
    precision = choose(
        precision_place.selectbox,
        t("Precision"),
        hardware.precisions(as_above),
        "plan_if_precision",
        default=hardware.AS_MEASURED,
    )
    if keep is not None:
        request = replace(request, candidates=whole("candidates", keep))
    if precision != hardware.AS_MEASURED:
        request = replace(request, precision=query.clean_precision(precision)[0])
    return subject.with_request(request)


@dataclass(frozen=True)
class Change:
    """A figure of the changed plan, and by how much it differs."""

    title: str
    text: str
    share: str | None
    """The change in percent; None where there is none, or nothing to compare with."""


def _changes(old: Plan, new: Plan) -> list[Change]:
    """The figures of a new plan beside an old one, both possible and priced."""
    assert old.bill and new.bill, "priced plans have bills"
    tonnes = new.bill.t_co2e_per_month
    return [
        _change(
            t("$ per month"),
            old.usd_per_month,
            new.usd_per_month,
            number_format.dollars(new.usd_per_month or 0.0),
        ),
        _change(t("Devices"), old.devices, new.devices, f"{new.devices:,}"),
        _change(
            "p95",
            old.bill.fleet.p95_s,
            new.bill.fleet.p95_s,
            number_format.duration(new.bill.fleet.p95_s),
        ),
        _change(
            t("tCO2e per month"),
            old.bill.t_co2e_per_month,
            tonnes,
            "–" if tonnes is None else number_format.significant(tonnes, 2),
        ),
    ]


def _change(title: str, old: float | None, new: float | None, text: str) -> Change:
    if not old or new is None or new == old:
        return Change(title, text, None)
    return Change(title, text, f"{100 * (new / old - 1):+.0f} %")
