"""No number, however odd, ends in a traceback or in an answer that is none: 60 draws a front.

The long version, 10,000 draws and the page's address too, is `tests/benchmarks/plan_fuzz.py`.
"""

import pytest
from hypothesis import HealthCheck, given, settings

from tests.costmodel import fuzz

SHORT = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(autouse=True, scope="module")
def home(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LLMREC_HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.mark.threat("odd-numbers")
@SHORT
@given(fuzz.plans())
def test_plan(words):
    fuzz.command(words)


@pytest.mark.threat("odd-numbers")
@SHORT
@given(fuzz.estimates())
def test_estimate(words):
    fuzz.command(words)


@pytest.mark.threat("odd-numbers")
@SHORT
@given(fuzz.rows())
def test_rows_of_a_table(row):
    fuzz.row_answer(row)


@pytest.mark.threat("odd-numbers", "any-config")
@SHORT
@given(fuzz.configs())
def test_configs(config):
    fuzz.config_answer(config)


@pytest.mark.threat("odd-numbers")
@SHORT
@given(fuzz.trainings())
def test_training_jobs_and_own_devices(drawn):
    fuzz.training_answer(drawn)


def test_next_to_nothing_is_neither_nothing_nor_an_answer():
    """A quantity that may be 0 and that something is divided by has a smallest value besides."""
    words = ["estimate", "--model=gemma-2-9b", "--device=L4", "--output-tokens=5e-324", "--json"]
    assert "expected a number from 0.01 to 100,000,000, or 0" in fuzz.command(words)
    assert "figures" in fuzz.command([*words[:-2], "--output-tokens=0.01", "--json"])
