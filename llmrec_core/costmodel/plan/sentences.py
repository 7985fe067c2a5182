"""Plans and bills in words: the cheapest, the runner-up, why it loses, where a price is from."""

from __future__ import annotations

from collections.abc import Sequence

from llmrec_core.costmodel.facts.power import CURVE
from llmrec_core.costmodel.facts.prices import HOURS_PER_MONTH
from llmrec_core.costmodel.plan.bill import Bill
from llmrec_core.costmodel.plan.planner import Plan
from llmrec_core.costmodel.plan.traffic import Traffic
from llmrec_core.language import t, tn
from llmrec_core.money import dollars, small_dollars


def cheapest(best: Sequence[Plan], traffic: Traffic) -> str:
    """The cheapest plan, the runner-up and why it loses.

    Args:
        best: plans in the order of `planner.ordered`; two are enough.
        traffic: what they serve.
    """
    priced = [plan for plan in best if plan.usd_per_month is not None]
    if not priced:
        return _none_priced(best, traffic)
    first = priced[0]
    if len(best) == 1:
        return t("{plan} is predicted to {limit}.", plan=in_short(first), limit=_limit(traffic)) + (
            _risk(first)
        )
    if len(priced) == 1:
        text = t(
            "{plan} is the cheapest plan predicted to {limit}; no other priced device is.",
            plan=in_short(first),
            limit=_limit(traffic),
        )
        return text + _risk(first)
    second = priced[1]
    text = t(
        "{plan} is the cheapest plan predicted to {limit}. The runner-up, {other}, {more}: {why}.",
        plan=in_short(first),
        limit=_limit(traffic),
        other=in_short(second),
        more=_more(first, second),
        why=why(first, second),
    )
    return text + _overlap(first, second) + _risk(first)


def _limit(traffic: Traffic) -> str:
    if traffic.p95_s is None:
        return t("carry the load")
    return t("answer within {limit:g} ms at p95", limit=1000 * traffic.p95_s)


def _none_priced(listed: Sequence[Plan], traffic: Traffic) -> str:
    possible = next((plan for plan in listed if plan.possible), None)
    if possible is not None:
        return t(
            "{devices:,} × {device} are predicted to {limit}, but nobody in the price list rents "
            "it out; type a price of your own.",
            devices=possible.devices,
            device=possible.device,
            limit=_limit(traffic),
        )
    if not listed:
        return t("No device of the catalogue is predicted to {limit}.", limit=_limit(traffic))
    if len(listed) == 1:
        return t(
            "{device} cannot serve this: {reason}.",
            device=listed[0].device,
            reason=listed[0].reason,
        )
    return t(
        "No device is predicted to {limit}; {device}, for instance: {reason}.",
        limit=_limit(traffic),
        device=listed[0].device,
        reason=listed[0].reason,
    )


def _more(first: Plan, second: Plan) -> str:
    share = (second.usd_per_month or 0.0) / (first.usd_per_month or 1.0) - 1
    if share < 0.005:
        return t("costs the same")
    return t("costs {share:.0f} % more", share=100 * share)


def why(first: Plan, second: Plan) -> str:
    """What makes the second plan more expensive, in words."""
    hours = [
        (plan.usd_per_month or 0.0) / plan.devices / HOURS_PER_MONTH for plan in (first, second)
    ]
    if second.devices <= first.devices:
        return t(
            "{count}, but an hour of one costs {hour} instead of {cheaper_hour}",
            count=t("as many devices")
            if second.devices == first.devices
            else tn("{count:,} device is enough", "{count:,} devices are enough", second.devices),
            hour=small_dollars(hours[1]),
            cheaper_hour=small_dollars(hours[0]),
        )
    one_s = [plan.bill.service.one_s.value if plan.bill else 0.0 for plan in (first, second)]
    if one_s[1] > one_s[0]:
        return t(
            "it needs {devices:,} devices instead of {fewer:,}, as one request takes {slower:.3g} "
            "ms instead of {faster:.3g} ms",
            devices=second.devices,
            fewer=first.devices,
            slower=1000 * one_s[1],
            faster=1000 * one_s[0],
        )
    return t(
        "it needs {devices:,} devices instead of {fewer:,}, at {hour} instead of {cheaper_hour} "
        "an hour each",
        devices=second.devices,
        fewer=first.devices,
        hour=small_dollars(hours[1]),
        cheaper_hour=small_dollars(hours[0]),
    )


def _overlap(first: Plan, second: Plan) -> str:
    """A warning when the order of two plans is not certain."""
    assert first.bill and second.bill, "priced plans have bills"
    low, high = second.bill.usd_low80, first.bill.usd_high80
    if low is None or (high is not None and low >= high):
        return ""
    return t(" Their 80 % intervals overlap, so the order is not certain.")


def _risk(plan: Plan) -> str:
    """A warning when the upper end of the interval misses the limit."""
    if plan.bill is None or plan.bill.high is not None:
        return ""
    return t(" At the upper end of its interval {device} misses the limit.", device=plan.device)


def in_short(plan: Plan) -> str:
    """`3 × L4 for $1,200 ($900.00 to $1,800) a month`."""
    assert plan.bill and plan.usd_per_month is not None, "only priced plans are named"
    low, high = plan.bill.usd_low80, plan.bill.usd_high80
    if low is None or high is None or low == high:
        return t(
            "{devices:,} × {device} for {usd} a month",
            devices=plan.devices,
            device=plan.device,
            usd=dollars(plan.usd_per_month),
        )
    return t(
        "{devices:,} × {device} for {usd} ({low} to {high}) a month",
        devices=plan.devices,
        device=plan.device,
        usd=dollars(plan.usd_per_month),
        low=dollars(low),
        high=dollars(high),
    )


def devices(bill: Bill) -> str:
    """How many devices a bill rents and what the spares are for."""
    carrying = tn(
        "{count:,} device carries the busiest hour",
        "{count:,} devices carry the busiest hour",
        bill.fleet.needed,
    )
    if not bill.spare:
        return t("{carrying}, none stands by", carrying=carrying)
    standing = tn("{count:,} stands by", "{count:,} stand by", bill.spare)
    if bill.terms.reserve.fixed is not None:
        return t("{carrying}, {standing} as typed", carrying=carrying, standing=standing)
    return t(
        "{carrying}, {standing} so that it is carried {availability:.9g} % of the time",
        carrying=carrying,
        standing=standing,
        availability=100 * bill.terms.reserve.availability,
    )


def origin(bill: Bill) -> str:
    """Where the price, the power and the grid of a bill come from: one caption for every front."""
    price, power, place = bill.terms.price, bill.terms.power, bill.terms.place
    parts = [
        t("no price is known")
        if price is None
        else t(
            "{hour} an hour each ({origin})",
            hour=small_dollars(price.usd_per_hour),
            origin=price.origin,
        ),
        t("power not known, so energy and CO2e are not either")
        if power is None
        else t(
            "{idle:.3g} W idle and {busy:.3g} W at work each ({source})",
            idle=power.idle_w,
            busy=power.busy_w,
            source=power.source,
        ),
    ]
    if power is not None and place is not None:
        parts.append(
            t(
                "{grams:.4g} g CO2e per kWh ({place}, {year})",
                grams=place.g_per_kwh,
                place=place.title,
                year=place.year or t("year not stated"),
            )
        )
    return t(
        "{devices}; {terms}. The busiest hour has {peak:.3g} times the mean.",
        devices=devices(bill),
        terms="; ".join(parts),
        peak=bill.traffic.peak,
    )


def curve_of_power() -> str:
    """How power follows load, with its source."""
    return t(CURVE)
