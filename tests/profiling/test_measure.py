"""What a cost row says when its figure would mean nothing."""

import numpy as np
import pytest

from llmrec_core.profiling.device import describe
from llmrec_core.profiling.economics import economics_of
from llmrec_core.profiling.measure import CostMeter
from llmrec_core.profiling.peaks import Peaks
from llmrec_core.types import Description


class Constant:
    """A recommender that is done at once and claims 2 MFLOP a request."""

    def score(self, histories, candidates):
        return np.zeros(candidates.shape, dtype=np.float32)

    def describe(self, histories, candidates):
        return Description(1, 1, 4, 2e6, {})


@pytest.mark.parametrize("precision", ["fp32", "int8-dynamic"])
def test_integer_products_have_no_share_of_an_fp32_peak(precision):
    meter = CostMeter(
        Constant(), [np.arange(3)] * 8, np.tile(np.arange(20), (8, 1)), precision=precision
    )
    meter.run(1)
    rows = meter.measurements(
        Peaks(1e11, 1e10), economics_of(describe()), (None, "not counted here")
    )
    (mfu,) = [row for row in rows if row.name == "mfu"]
    assert (mfu.value is None) == (precision != "fp32")
    assert mfu.value is not None or "integers" in mfu.reason
