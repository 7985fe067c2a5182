"""The folded box of the Plan page: prices, place, cascade, cache, retraining and spares."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from llmrec_core.costmodel.facts import grids, prices
from llmrec_core.costmodel.facts.prices import PRICE_KINDS, Market, Price
from llmrec_core.costmodel.plan.reserve import Reserve
from llmrec_core.costmodel.plan.service import LARGEST_BATCH
from llmrec_core.language import t
from llmrec_core.reading import number_format
from llmrec_core.reading.pricing import Pricing
from pages.answer.plan_fields import number, optional, whole
from pages.shared import hardware, widgets
from pages.shared.address import choose


@dataclass(frozen=True)
class Conditions:
    """What the folded box asks for."""

    market: Market
    own: tuple[tuple[str, Price], ...]
    place: grids.Place
    keep: int
    hit_rate: float
    retrain_hours: float
    reserve: Reserve
    largest_batch: int


def conditions(availability: float, pricing: Pricing) -> Conditions:
    """Prices, place, cascade, cache, retraining and spares.

    Args:
        availability: as typed in the first box.
        pricing: what the reader has typed in the side bar.

    Raises:
        UsageError: for a number that makes no sense, in a sentence.
    """
    first, two, three, four = st.columns(4)
    kind = choose(
        first.selectbox,
        t("Price"),
        {name: t(words) for name, words in PRICE_KINDS.items()},
        "plan_price",
        default=next(iter(PRICE_KINDS)),
    )
    providers = two.multiselect(
        t("Only of providers"),
        prices.providers(),
        key="plan_providers",
        bind="query-params",
        placeholder=t("all"),
    )
    regions = three.multiselect(
        t("Only in regions"),
        prices.regions(),
        key="plan_regions",
        bind="query-params",
        placeholder=t("all"),
    )
    region = choose(
        four.selectbox,
        t("Electricity of"),
        {name: place.title for name, place in grids.places().items()},
        "plan_region",
        default=next(iter(grids.places())),
    )
    five, six, seven, eight = st.columns(4)
    keep = number(five, t("Cascade: items the model reads, 0 = all"), 0.0, "plan_keep")
    hits = number(six, t("Requests answered from a cache, %"), 0.0, "plan_hits")
    hours = number(seven, t("Retraining, device hours a month"), 0.0, "plan_retrain")
    most = number(
        eight,
        t("Requests together at most"),
        float(LARGEST_BATCH),
        "plan_most",
        t("Largest batch a device takes."),
    )
    nine, ten, _, _ = st.columns(4)
    each_up = number(
        nine,
        t("One device is up, % of the time"),
        99.0,
        "plan_up",
        t("Assumed; decides the spares."),
    )
    spare = optional(ten, t("Spare devices"), t("by the availability"), "plan_spare")
    fixed = None if spare is None else whole("spare", spare)
    place = grids.find(region)
    if pricing.grid_g_per_kwh is not None:
        place = grids.stated(pricing.grid_g_per_kwh, t("typed in"))
    return Conditions(
        Market(kind, frozenset(providers), frozenset(regions)),
        _own_device(),
        place,
        whole("keep", keep),
        hits / 100,
        hours,
        Reserve(availability, each_up / 100, fixed),
        whole("largest_batch", most),
    )


def _own_device() -> tuple[tuple[str, Price], ...]:
    """The price of a device the reader owns, by its name; nothing where none is chosen."""
    st.caption(
        t("A device you own: its price an hour is purchase spread over its life, plus electricity.")
    )
    first, two, three, four = st.columns(4)
    owned = choose(
        first.selectbox,
        t("Own device"),
        {"": t("none")} | {name: name for name in hardware.catalogue()},
        "plan_own",
        default="",
    )
    purchase = number(two, t("Purchase, $"), 2000.0, "plan_purchase")
    years = number(three, t("Years of use"), 3.0, "plan_years")
    kwh = number(four, t("$ per kWh"), prices.DEFAULT_USD_PER_KWH, "plan_kwh")
    if not owned:
        return ()
    price = prices.owned(purchase, years, kwh)
    widgets.caption(
        t(
            "An hour of {device}: {hour}, and {kwh} for a kilowatt-hour it draws.",
            device=owned,
            hour=number_format.dollars(price.usd_per_hour),
            kwh=number_format.dollars(kwh),
        )
    )
    return ((owned, price),)
