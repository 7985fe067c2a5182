"""The one bill: whole devices, spares at idle, dollars and CO2e by hand."""

import math
from dataclasses import replace

import pytest

from llmrec_core.costmodel.facts import grids, power, prices
from llmrec_core.costmodel.plan import bill as bills
from llmrec_core.costmodel.plan import sentences, service
from llmrec_core.costmodel.plan.bill import Terms
from llmrec_core.costmodel.plan.reserve import Reserve
from llmrec_core.costmodel.plan.traffic import Traffic
from llmrec_core.costmodel.predict.span import Span
from llmrec_core.errors import UnsupportedError, UsageError

TEN_MS = service.measured(0.010, Span(200.0, 200.0, 200.0), 8)  # a batch of 8 takes 40 ms
TERMS = Terms(
    prices.typed(1.0),
    power.of_full_load(100.0, "rated power"),
    grids.find("world"),
    Reserve(fixed=0),
)


def make(per_s, service=TEN_MS, terms=TERMS, **limits):
    return bills.make(service, Traffic(per_s * 86_400, **{"peak": 1.0, **limits}), terms)


def test_whole_devices_are_rented():
    one = make(20.0)
    assert one.devices == one.fleet.needed == 1
    assert one.usd_per_month == 730.0
    assert one.usd_per_million == pytest.approx(730 / (20 * 86_400 * 730 / 24) * 1e6)
    many = make(1000.0)  # 5 devices would be full, and requests would wait for ever
    assert many.devices > 5
    assert many.usd_per_month == 730.0 * many.devices


def test_spares_draw_idle_power_and_the_work_stays_the_same():
    bare, spared = make(100.0), make(100.0, terms=replace(TERMS, reserve=Reserve(fixed=4)))
    assert spared.devices == bare.devices + 4
    # 100 W, a third of it idle, 30 % for building and host, 730 hours, 475 g/kWh
    idle_t = 100 * 0.33 * 1.3 * 730 / 1000 * 475 / 1e6
    assert spared.t_co2e_per_month - bare.t_co2e_per_month == pytest.approx(4 * idle_t)
    assert spared.fleet == bare.fleet
    busy = bare.fleet.needed * bare.fleet.utilisation
    work_t = (100 - 33) * busy * 1.3 * 730 / 1000 * 475 / 1e6
    assert bare.t_co2e_per_month == pytest.approx(bare.devices * idle_t + work_t)


def test_energy_follows_the_mean_of_the_day_not_the_busiest_hour():
    flat, peaked = make(50.0), make(25.0, peak=2.0)  # the same busiest hour
    assert flat.fleet == peaked.fleet
    idle_kwh = flat.devices * 33 * 1.3 * 730 / 1000
    assert peaked.kwh_per_month - idle_kwh == pytest.approx((flat.kwh_per_month - idle_kwh) / 2)


def test_an_own_device_pays_for_the_electricity_it_draws():
    owned = replace(TERMS, price=prices.owned(8760.0, 1.0, 0.5))
    one = make(20.0, terms=owned)
    assert one.usd_per_month == pytest.approx(730 * 1.0 + 0.5 * one.kwh_per_month)
    spared = make(20.0, terms=replace(owned, reserve=Reserve(fixed=1)))
    idle_kwh = 33 * 1.3 * 730 / 1000
    assert spared.usd_per_month - one.usd_per_month == pytest.approx(730 + 0.5 * idle_kwh)
    # without power the electricity is not known, so the bill is not either
    assert make(20.0, terms=replace(owned, power=None)).usd_per_month is None


def test_retraining_is_rented_and_powered_besides():
    plain, trained = make(20.0), make(20.0, terms=replace(TERMS, retrain_hours=10.0))
    assert trained.usd_per_month - plain.usd_per_month == pytest.approx(10.0)
    assert trained.kwh_per_month - plain.kwh_per_month == pytest.approx(10 * 100 * 1.3 / 1000)


def test_what_is_not_known_is_none_with_the_rest_known():
    no_price, no_power = (
        make(20.0, terms=replace(TERMS, price=None)),
        make(20.0, terms=replace(TERMS, power=None)),
    )
    assert no_price.usd_per_month is None and no_price.t_co2e_per_month
    assert no_power.t_co2e_per_month is None and no_power.usd_per_month == 730.0
    assert "power not known" in sentences.origin(no_power)


def test_the_interval_of_the_service_time_is_carried_through():
    wide = replace(TEN_MS, full_s=Span(0.040, 0.020, 0.160))
    found = make(1000.0, service=wide)
    needed = found.fleet.needed
    assert found.usd_low80 == pytest.approx(730 * math.ceil(needed / 2))
    assert found.usd_high80 == pytest.approx(730 * needed * 4)
    slow = replace(wide, one_s=Span(0.010, 0.005, 0.300))  # the upper end misses 200 ms
    assert make(1000.0, service=slow).usd_high80 is None


def test_scatter_of_single_requests_counts_against_the_limit():
    steady = service.measured(0.150, Span(10.0, 10.0, 10.0), 8)
    ragged = service.measured(0.150, Span(10.0, 10.0, 10.0), 8, one_p95_s=0.250)
    assert make(0.1, service=steady).devices == 1
    with pytest.raises(UnsupportedError, match="one request alone takes 250 ms, over the limit"):
        make(0.1, service=ragged)


def test_without_a_limit_no_device_is_busier_than_nine_tenths():
    found = make(1000.0, p95_s=None)
    assert found.fleet.utilisation <= bills.FULL
    assert found.devices < make(1000.0, p95_s=0.02).devices


def test_traffic_beyond_any_fleet_is_refused_for_the_traffic():
    with pytest.raises(UnsupportedError, match="requests a second in the busiest hour need more"):
        make(1e9, peak=1000.0)


def test_a_month_s_traffic_is_the_same_by_utilisation_and_by_peak():
    month = Traffic.of_month(1e6, 0.4)
    assert month.requests_per_month == pytest.approx(1e6)
    assert month.peak == pytest.approx(2.5)
    assert month.busiest_per_s == pytest.approx(1e6 / (730 * 3600) * 2.5)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"requests_per_day": 0.0}, "requests per day is 0; expected a number from 0.001 "),
        ({"requests_per_day": 1e30}, "requests per day is more than 1,000,0"),
        ({"peak": float("inf")}, "busiest hour over the mean is inf"),
        ({"peak": 0.5}, "expected a number from 1 "),
        ({"hit_rate": 1.0}, "share answered from a cache is 1"),
        ({"p95_s": float("nan")}, "latency limit is nan ms"),
    ],
)
def test_traffic_that_makes_no_sense_is_refused(wrong, sentence):
    with pytest.raises(UsageError, match=sentence):
        Traffic(**{"requests_per_day": 1e5, **wrong})


def test_the_caption_names_the_origin_of_every_term():
    said = sentences.origin(make(20.0, terms=replace(TERMS, reserve=Reserve(0.999))))
    assert "1 device carries the busiest hour, 1 stands by so that it is carried 99.9 %" in said
    assert "$1.00 an hour each (typed in)" in said
    assert "33 W idle and 100 W at work each (rated power)" in said
    assert "475 g CO2e per kWh (World, 2019)" in said
