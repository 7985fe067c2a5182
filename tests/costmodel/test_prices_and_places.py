"""Prices of device hours, and grids that are one place or refused with both."""

from dataclasses import replace

import pytest

from llmrec_core.costmodel.facts import csv_facts, devices, grids, prices
from llmrec_core.costmodel.facts.prices import Market
from llmrec_core.errors import UsageError

L4 = devices.named("L4")


def test_the_median_offer_counts_and_spot_is_cheaper():
    assert prices.hourly(L4).usd_per_hour > prices.hourly(L4, Market("spot")).usd_per_hour > 0
    reserved = prices.hourly(L4, Market("reserved")).usd_per_hour
    assert reserved == pytest.approx(0.6 * prices.hourly(L4).usd_per_hour)


def test_a_market_can_be_kept_to_providers_and_regions():
    aws = prices.hourly(L4, Market(providers=frozenset({"aws"})))
    assert aws.provider == "aws"
    assert prices.hourly(L4, Market(providers=frozenset({"lambda"}))) is None
    frankfurt = Market(providers=frozenset({"aws"}), regions=frozenset({"eu-central-1"}))
    offers = [
        float(row["usd_per_hour_on_demand"]) / float(row["devices"])
        for row in csv_facts.rows("rents")
        if (row["device"], row["provider"], row["region"]) == ("L4", "aws", "eu-central-1")
    ]
    assert prices.hourly(L4, frankfurt).usd_per_hour in [pytest.approx(one) for one in offers]
    with pytest.raises(UsageError, match="unknown provider 'amazon' in the price list; near"):
        Market(providers=frozenset({"amazon"}))


def test_a_processor_is_priced_by_two_virtual_processors_a_core():
    cpu = devices.named("Xeon-8480+")
    whole, half = prices.hourly(cpu), prices.hourly(replace(cpu, cores=cpu.cores // 2))
    assert whole.usd_per_hour == pytest.approx(2 * half.usd_per_hour)


def test_an_own_device_costs_its_purchase_and_what_it_draws():
    owned = prices.owned(2628.0, 3.0, 0.2)
    assert owned.usd_per_hour == pytest.approx(2628 / (3 * 365 * 24))  # $0.10
    assert owned.usd_per_kwh == 0.2


@pytest.mark.parametrize("wrong", [0.0, -1.0, float("nan"), float("inf"), 1e9])
def test_a_price_that_is_none_is_refused(wrong):
    with pytest.raises(UsageError, match=r"\$ per hour is"):
        prices.typed(wrong)


# ── places ───────────────────────────────────────────────────────────────────────────────────────


def test_a_name_of_two_places_is_refused_with_both():
    with pytest.raises(UsageError) as refused:
        grids.find("Georgia")
    said = str(refused.value)
    assert "GEO is Georgia (country) at 167.594 g" in said
    assert "US-GA is Georgia (US state) at 454.388 g" in said
    assert grids.find("GEO").g_per_kwh == 167.594
    assert grids.find("us-ga").g_per_kwh == grids.find("Georgia, USA").g_per_kwh == 454.388
    assert grids.find("georgia (country)") == grids.find("GEO")


def test_every_place_can_be_asked_for_by_its_key_and_nobody_else_s():
    known = grids.places()
    assert all(grids.find(key) == place for key, place in known.items())
    assert len({key.lower() for key in known}) == len(known)


@pytest.mark.parametrize(
    ("written", "grams"),
    [
        ("world", 475.0),
        ("Sweden", 40.695),
        ("us-east1", 560.0),  # Google's own figure for its region
        ("us-east-1", 369.134),  # Amazon's region stands in Virginia
        ("eastus", 369.134),  # and so does Microsoft's
        ("East US", 369.134),
        ("aws eu-north-1", 40.695),
    ],
)
def test_cloud_regions_are_known_by_their_own_names(written, grams):
    place = grids.find(written)
    assert place.g_per_kwh == grams
    assert place.source


def test_an_unknown_place_offers_near_names_and_says_which_providers_are_known():
    with pytest.raises(UsageError, match=r"near names: .*regions of aws, azure, gcp are known"):
        grids.find("Atlantis")
