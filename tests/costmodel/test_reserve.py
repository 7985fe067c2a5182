"""Spare devices: the binomial rule, its approximation, and a typed number."""

import pytest

from llmrec_core.costmodel.plan import reserve
from llmrec_core.costmodel.plan.reserve import Reserve
from llmrec_core.errors import UsageError


@pytest.mark.parametrize(
    ("needed", "target", "spares"),
    [
        (0, 0.999, 0),  # nothing is needed, so nothing stands by
        (1, 0.98, 0),  # one device is up 99 % of the time
        (1, 0.999, 1),  # both of two are down in 0.01² = 0.0001
        (2, 0.999, 1),  # of three: all up 0.9703 + one down 0.0294 = 0.9997
        (2, 0.9999, 2),  # 0.9997 is not enough; of four at most two down: 0.999996
    ],
)
def test_spares_follow_the_binomial(needed, target, spares):
    assert Reserve(target, 0.99).spares(needed) == spares


def test_spares_of_very_many_devices_meet_the_exact_sum():
    exact = Reserve(0.999).spares(reserve.EXACT)
    assert Reserve(0.999).spares(reserve.EXACT + 1) == pytest.approx(exact, rel=0.02)


def test_a_typed_number_stands_instead_of_the_rule():
    assert Reserve(fixed=0).spares(7) == 0
    assert Reserve(fixed=4).spares(1) == 4


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"availability": 1.0}, "availability is 100 %; expected a number from 1 % to"),
        ({"availability": 0.0}, "availability is 0 %"),
        ({"each_up": 1.0}, "availability of one device is 100 %"),
        ({"each_up": 0.1}, "availability of one device is 10 %; expected a number from 50 %"),
        ({"fixed": -1}, "spare devices is -1"),
        ({"fixed": 1.5}, "expected a whole number"),
    ],
)
def test_a_rule_that_cannot_be_is_refused(wrong, sentence):
    with pytest.raises(UsageError, match=sentence):
        Reserve(**wrong)
