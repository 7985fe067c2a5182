"""A profile that cannot end in time is refused before it starts; its time is accounted for."""

import contextlib
import json
import re

import pytest

from llmrec_core.contract.requests import ProfileRequest
from llmrec_core.costmodel.facts import devices
from llmrec_core.costmodel.facts.this_machine import device_of
from llmrec_core.errors import UsageError
from llmrec_core.profiling.device import describe
from llmrec_core.profiling.peaks import Peaks
from llmrec_core.profiling.time_account import TimeAccount
from llmrec_core.running import answers, profile_length
from llmrec_core.running.profile_length import refuse_too_long
from tests import synthetic

LIMIT_S = 1_800.0


@pytest.fixture
def machine(settings):
    """Settings of a home whose machine multiplies 200 GFLOP/s."""
    described = {"cpu": "test", "cores": 2, "memory_bytes": 8_000_000_000}
    devices.add_own(settings.home, device_of(described, 2e11, 2e10))
    return settings


def test_a_profile_that_would_take_hours_is_refused_with_its_estimate(machine):
    request = ProfileRequest(model="smollm2-135m", batch=64, candidates=10_000)
    with pytest.raises(
        UsageError, match=r"about .* on this machine \(.* to .*\), and a measurement"
    ):
        refuse_too_long(request, machine, LIMIT_S, TimeAccount())
    grid = ProfileRequest(
        model="smollm2-135m", grid=True, batches=(64,), candidate_counts=(5_000,), repeats=50
    )
    with pytest.raises(UsageError, match=r"may take 30\.0 min"):
        refuse_too_long(grid, machine, LIMIT_S, TimeAccount())


def test_more_candidates_take_longer_and_the_usual_sizes_are_let_through(machine):
    refuse_too_long(ProfileRequest(model="minilm-l6", grid=True), machine, LIMIT_S, TimeAccount())
    refuse_too_long(
        ProfileRequest(model="nobody-knows-it", candidates=10_000), machine, 1e-9, TimeAccount()
    )

    def expected_s(candidates: int) -> float:
        request = ProfileRequest(model="minilm-l6", candidates=candidates)
        with pytest.raises(UsageError) as refusal:
            refuse_too_long(request, machine, 1e-9, TimeAccount())
        number, unit = re.search(r"about ([\d.,]+) (\w+)", str(refusal.value)).groups()
        return float(number.replace(",", "")) * {"ms": 1e-3, "s": 1.0, "min": 60.0}[unit]

    assert 2 < expected_s(1_000) / expected_s(100) < 11


def test_a_finished_run_is_judged_by_the_latency_of_its_record_on_this_machine(settings):
    ledger = synthetic.write_study(settings)
    run = next(run for run in ledger.runs() if run.name == synthetic.ROWS[-1][0])
    many = ProfileRequest(run=run.id, candidates=1_000_000)
    refuse_too_long(many, settings, 1.0, TimeAccount())  # recorded on another machine
    ledger.add_document(run.id, "device", {"name": describe().name})
    refuse_too_long(ProfileRequest(run=run.id), settings, LIMIT_S, TimeAccount())
    with pytest.raises(UsageError, match="on this machine"):
        refuse_too_long(many, settings, 1.0, TimeAccount())


def test_the_speed_of_a_machine_nobody_has_measured_is_measured_in_a_window(settings, monkeypatch):
    peaks = Peaks(2e11, 2e10)
    monkeypatch.setattr(profile_length, "peaks_of_worker", lambda device, home: peaks)
    account = TimeAccount()
    refuse_too_long(ProfileRequest(model="minilm-l6"), settings, LIMIT_S, account)
    assert {"peaks", "waited"} <= set(account.seconds())


def test_seconds_add_up_to_the_whole():
    waited = []

    @contextlib.contextmanager
    def window():
        waited.append(1)
        yield

    account = TimeAccount(window)
    with account.part("load"):
        pass
    for _ in range(2):
        with account.timed("requests"):
            pass
    seconds = account.seconds()
    assert len(waited) == 2
    assert sum(seconds.values()) - seconds["total"] == pytest.approx(seconds["total"])
    assert set(seconds) == {"load", "waited", "requests", "other", "total"}


def test_a_profile_of_a_description_accounts_for_its_whole_time(settings, tmp_path):
    shape = {
        "model_type": "bert", "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
        "intermediate_size": 64, "vocab_size": 1_000, "max_position_embeddings": 512,
    }  # fmt: skip
    file = tmp_path / "config.json"
    file.write_text(json.dumps(shape), "utf-8")
    question = {"model": str(file), "candidates": 4, "history": 2, "repeats": 1}
    seconds = answers.answer("profile", question, settings)["seconds"]
    parts = {"load", "peaks", "requests", "layers", "counting", "waited", "other"}
    assert set(seconds) == parts | {"total"}
    assert sum(seconds[part] for part in parts) == pytest.approx(seconds["total"], rel=1e-6)
