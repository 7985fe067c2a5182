"""One bill: a run's month costs the same by its record, on the command line and on the page Plan."""

import json
import math
from dataclasses import replace

import pytest
import typer
from typer.testing import CliRunner

from llmrec_core.cli import plan as plan_command
from llmrec_core.costmodel.facts import devices
from llmrec_core.costmodel.plan import sentences
from llmrec_core.costmodel.plan.planner import Need
from llmrec_core.costmodel.plan.reserve import Reserve
from llmrec_core.costmodel.plan.traffic import Traffic
from llmrec_core.errors import UnsupportedError
from llmrec_core.ledger.ledger import Ledger
from llmrec_core.reading import bills, planned, predicted_rows
from llmrec_core.reading.listing import rows_of
from llmrec_core.reading.pricing import Pricing
from llmrec_core.settings import Settings
from llmrec_core.types import Measurement
from tests import synthetic
from tests.reading.rows import make

command = typer.Typer()
plan_command.register(command)

SETTINGS = (
    # requests a month, p95 limit, typed price, utilisation, spares
    (1e5, 1.0, None, None, None),
    (1e6, 1.0, None, None, None),
    (1e7, 1.0, None, None, None),
    (1e8, 2.0, None, None, None),
    (1e9, 1.0, None, None, 0),
    (1e7, 0.5, 2.5, None, None),
    (1e7, 1.0, None, 0.1, None),
    (1e8, 1.0, 0.01, 0.9, None),
    (3e6, 1.5, 7.0, 0.25, 3),
    (1e10, 1.0, None, None, None),
)
NAMES = ("Item-kNN", "EASE", "SASRec", "MiniLM cross-encoder, 2 layers")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("home")
    settings = Settings(folder, f"sqlite:///{folder / 'ledger.db'}", 30.0)
    synthetic.write_study(settings).close()
    return folder


@pytest.fixture
def rows(home):
    ledger = Ledger.open(Settings(home, f"sqlite:///{home / 'ledger.db'}", 30.0))
    return {row.name: row for row in rows_of(ledger, ledger.runs())}


@pytest.mark.parametrize("setting", SETTINGS, ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_the_record_the_planner_and_the_command_line_name_one_price(
    home, rows, monkeypatch, name, setting
):
    month, p95_s, price, utilisation, spare = setting
    monkeypatch.setenv("LLMREC_HOME", str(home))
    monkeypatch.delenv("LLMREC_LEDGER", raising=False)
    row, reserve = rows[name], Reserve(fixed=spare)
    pricing = Pricing(usd_per_hour=price, utilisation=utilisation)
    bill = bills.of_month(row, month, pricing, p95_s, reserve)
    traffic = Traffic.of_month(month, pricing.used(row), p95_s=p95_s)
    need = Need(traffic, reserve, place=bill.terms.place)
    plans = planned.plans(planned.of_run(row, pricing), [], need)
    assert [plan.usd_per_month for plan in plans] == [bill.usd_per_month]
    words = [
        "plan",
        f"--run={row.run_id}",
        f"--requests-per-day={traffic.requests_per_day!r}",
        f"--peak={traffic.peak!r}",
        f"--p95-ms={1000 * p95_s!r}",
        "--device=L4",
        "--json",
        *([] if spare is None else [f"--spare={spare}"]),
        *([] if price is None else [f"--usd-per-hour={price}"]),
    ]
    done = CliRunner().invoke(command, words[1:])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout.splitlines()[-1])["plans"]
    here = next(plan for plan in told if plan["device"].endswith(", measured"))
    assert math.isclose(here["usd_per_month"], bill.usd_per_month, rel_tol=1e-12)
    assert here["devices"] == bill.devices


def measured(**figures):
    """EASE at $0.36 an hour: 0.25 s alone (0.3 s at p95), three requests a second in eights."""
    row = make("EASE", p95=0.3, per_s=3.0)
    p50 = Measurement("latency_p50_s", 0.25, "s", protocol="request/100/batch-1")
    return replace(row, figures=(*row.figures, p50, *figures.values()))


def test_a_month_is_whole_machines_with_their_reserve():
    # one request a second on average, two in the busiest hour: one machine and one that stands by
    bill = bills.of_month(measured(), 730 * 3600, p95_s=10.0)
    assert (bill.fleet.needed, bill.spare) == (1, 1)
    assert bill.usd_per_month == pytest.approx(2 * 730 * 0.36)
    assert bill.usd_per_million == pytest.approx(2 * 730 * 0.36 / (730 * 3600) * 1e6)


def test_what_is_typed_reaches_the_figure_and_the_sentence_on_its_origin():
    row = measured()
    typed = Pricing(usd_per_hour=2.0, utilisation=0.2, grid_g_per_kwh=100.0, watts=60.0)
    recorded, bill = bills.of_month(row, 1e6), bills.of_month(row, 1e6, typed)
    assert bill.usd_per_month / bill.devices == pytest.approx(2 * 730)
    assert recorded.usd_per_month / recorded.devices == pytest.approx(0.36 * 730)
    assert recorded.t_co2e_per_month is None  # no counter and no typed power: not known, not 0
    assert bill.t_co2e_per_month == pytest.approx(bill.kwh_per_month * 100 / 1e6)
    said = sentences.origin(bill)
    assert "$2.00 an hour each (typed in)" in said and "typed in, assumed" in said
    assert "100 g CO2e per kWh (typed in" in said and "5 times the mean" in said
    assert "power not known" in sentences.origin(recorded)
    assert "typed in" not in sentences.origin(recorded)


def test_measured_energy_is_the_power_of_the_machine():
    five = Measurement("energy_per_request_j", 5.0, "J", protocol="request/100/batch-8")
    row = measured()
    silent = tuple(one for one in row.figures if one.name != "energy_per_request_j")
    terms = bills.terms_of(replace(row, figures=(*silent, five)), Pricing(watts=999.0))
    assert terms.power.busy_w == pytest.approx(15.0)  # 5 J for each of 3 requests a second
    assert terms.power.source.startswith("measured: ")


def test_a_row_that_was_not_measured_has_no_bill_and_a_reason():
    unfinished = replace(measured(), figures=(), state="running")
    with pytest.raises(UnsupportedError, match="EASE has no bill: the run has not finished"):
        bills.of_month(unfinished, 1e6)
    with pytest.raises(UnsupportedError, match="one request alone takes 300 ms, over the limit"):
        bills.of_month(measured(), 1e6, p95_s=0.299)


def test_a_row_moved_to_a_device_is_billed_by_its_rating(rows):
    row = rows["MiniLM cross-encoder, 2 layers"]
    moved, refused = predicted_rows.on_device([row], devices.named("L4"))
    assert refused == []
    bill = bills.of_month(moved[0], 1e7, p95_s=1.0)
    assert bill.service.predicted
    assert bill.terms.power.busy_w == 72.0
    assert bill.terms.price.usd_per_hour == moved[0].figure("usd_per_hour").value
    assert bill.terms.price.origin == "hf-endpoints-gcp, 2026-08-20, on-demand"
