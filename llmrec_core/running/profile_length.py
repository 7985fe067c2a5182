"""How long a profile will take, so that one that cannot end in time is refused before it starts.

The time of a model comes from the cost model for this machine, that of a finished run from the
latency in its record; both are multiplied by the requests that the profile makes.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

from llmrec_core.contract.requests import ProfileRequest
from llmrec_core.costmodel.calibrate import own_runs
from llmrec_core.costmodel.facts import devices, model_catalogue, this_machine
from llmrec_core.costmodel.predict import predictor, query
from llmrec_core.errors import UnsupportedError, UsageError
from llmrec_core.language import t
from llmrec_core.ledger.ledger import Ledger
from llmrec_core.models.devices import pick_device
from llmrec_core.profiling import device
from llmrec_core.profiling.profiler import (
    BATCHES,
    CANDIDATES,
    HISTORY_TOKENS,
    REPEATS,
    TOKENS_PER_ITEM,
)
from llmrec_core.profiling.time_account import TimeAccount
from llmrec_core.profiling.timing import FEWEST_CALLS
from llmrec_core.reading import number_format
from llmrec_core.running.worker_peaks import peaks_of_worker
from llmrec_core.settings import Settings

WINDOW_REQUESTS = 2 + FEWEST_CALLS
"""Requests of the window of single ones, with its warm-up: the fewest that it has."""
BATCHED_CALLS = 2


class Seconds(NamedTuple):
    """An estimate with the ends of its 80 % interval; the ends are the value of a measured one."""

    value: float
    low: float
    high: float


def refuse_too_long(
    request: ProfileRequest, settings: Settings, limit_s: float, account: TimeAccount
) -> None:
    """Refuse a profile that would take longer than it may.

    Args:
        request: what would be profiled.
        settings: where this machine's peaks and finished runs stand.
        limit_s: seconds that it may take.
        account: has the machine to itself where its speed is measured for the estimate.

    Raises:
        UsageError: when even the low end of the estimate is above the limit.
    """
    expected = _of_run(request, settings) if request.run else _of_model(request, settings, account)
    if expected is None or expected.low <= limit_s:
        return
    raise UsageError(
        t(
            "this profile would take about {expected} on this machine ({low} to {high}), and a "
            "measurement may take {limit}; ask for fewer candidates, smaller batches or a smaller "
            "model, or run `python -m llmrec_core profile` in a terminal, which has no limit",
            expected=number_format.duration(expected.value),
            low=number_format.duration(expected.low),
            high=number_format.duration(expected.high),
            limit=number_format.duration(limit_s),
        )
    )


def _of_run(request: ProfileRequest, settings: Settings) -> Seconds | None:
    """The time of a finished run, from the latency in its record; `None` without one of here."""
    ledger = Ledger.open(settings)
    recorded = ledger.document(request.run, "device")
    if not isinstance(recorded, dict) or recorded.get("name") != device.describe().name:
        return None
    table = ledger.measurements([request.run])
    single = table[(table.name == "latency_p50_s") & table.protocol.str.endswith("/batch-1")]
    if single.empty or single.iloc[0].value is None:
        return None
    offered = int(single.iloc[0].protocol.split("/")[1])
    requests = WINDOW_REQUESTS + BATCHED_CALLS * request.batch
    seconds = requests * float(single.iloc[0].value) * request.candidates / offered
    return Seconds(seconds, seconds, seconds)


def _of_model(request: ProfileRequest, settings: Settings, account: TimeAccount) -> Seconds | None:
    """The time of a model, by the cost model; `None` where that knows no such model or format."""
    grid = request.grid
    batches = (request.batches or BATCHES) if grid else (request.batch,)
    histories = (request.history_tokens or HISTORY_TOKENS) if grid else (
        TOKENS_PER_ITEM * max(request.history, 1),
    )  # fmt: skip
    offered = (request.candidate_counts or CANDIDATES) if grid else (request.candidates,)
    if grid or request.model.endswith(".json"):
        measured = 1 + 2 * (request.repeats or REPEATS)
        requests = [measured * batch for batch in batches]
    else:
        requests = [WINDOW_REQUESTS + BATCHED_CALLS * request.batch]
    parts = []
    try:
        here = _this_machine(request, settings, account)
        for count, history, candidates in itertools.product(requests, histories, offered):
            read = _reading(request, settings, here, (1, history))
            scored = _reading(request, settings, here, (candidates, request.candidate_tokens))
            parts.append([count * (a + b) for a, b in zip(read, scored, strict=True)])
    except (UsageError, UnsupportedError):
        return None
    return Seconds(*map(sum, zip(*parts, strict=True)))


def _reading(
    request: ProfileRequest, settings: Settings, here: devices.Device, size: tuple[int, int]
) -> tuple[float, float, float]:
    """Seconds in which the model reads so many sequences of tokens, with the interval's ends."""
    sequences, tokens = size
    shape = model_catalogue.load(request.model, settings.home)
    precision, _ = query.clean_precision(request.precision)
    predicted = predictor.predict(
        query.Query(
            model=shape,
            device=here,
            task="inference" if shape.kind == "encoder" else "prefill",
            metric="latency_ms",
            precision=precision,
            batch=sequences,
            input_tokens=tokens,
        ),
        own_runs.load(settings.home),
    )
    kept = min(1.0, request.depth / shape.layers) if request.depth else 1.0
    ends = (predicted.value, predicted.low80, predicted.high80)
    value, low, high = (milliseconds * kept / 1e3 for milliseconds in ends)
    return value, low, high


def _this_machine(
    request: ProfileRequest, settings: Settings, account: TimeAccount
) -> devices.Device:
    """This machine as the cost model sees it, measured now when nobody has done so."""
    where = pick_device(request.device).type
    known = devices.catalogue(settings.home).get(this_machine.THIS)
    if known is not None and known.kind == ("gpu" if where == "cuda" else "cpu"):
        return known
    with account.timed("peaks"):
        peaks = peaks_of_worker(where, settings.home)
    measured = this_machine.device_of(
        device.describe().to_dict(), peaks.gemm_flops_per_s, peaks.bandwidth_bytes_per_s
    )
    return this_machine.remember(settings.home, measured)
