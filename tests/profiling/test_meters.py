"""The check of the meters: a right meter passes, a wrong one is seen, a missing one is said."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from llmrec_core.profiling import meters

PROBE = """
import dataclasses, json
from llmrec_core.profiling import meters
print(json.dumps(dataclasses.asdict(meters._energy())))
"""


def test_all_meters_are_checked_and_none_is_assumed():
    checks = meters.check_meters()
    assert [check.name for check in checks] == [
        "Matrix product, fp32",
        "Memory copy",
        "Timer",
        "FLOPs of a 64 × 32 × 16 product",
        "One product timed twice, apart",
        "Energy counter",
    ]
    product, copy = checks[:2]
    # No data sheet names this processor's peak, so nothing can be right or wrong; both were measured.
    assert product.ok is None
    assert copy.ok is None
    assert float(product.measured.split()[0].replace(",", "")) > 1
    assert float(copy.measured.split()[0].replace(",", "")) > 0


def test_the_flop_counter_is_compared_with_a_product_counted_by_hand():
    check = meters._flop_counter()
    # 64 × 16 outputs, each 32 multiplications and 32 additions.
    assert check.expected == f"{64 * 16 * 2 * 32:,}" == "65,536"
    assert check.measured == check.expected
    assert check.ok


def test_a_timer_that_ticks_too_slowly_is_seen(monkeypatch):
    ticks = iter(range(1_000_000))
    slow = SimpleNamespace(perf_counter=lambda: next(ticks) * 1e-4, sleep=lambda seconds: None)
    monkeypatch.setattr(meters, "time", slow)
    check = meters._timer()
    assert check.ok is False
    assert check.measured.startswith("100000 ns a reading")


def test_a_machine_that_does_not_repeat_itself_is_seen(monkeypatch):
    windows = iter(
        [
            SimpleNamespace(samples_s=[0.001], foreign_load=0.02),
            SimpleNamespace(samples_s=[0.0012], foreign_load=0.3),
        ]
    )
    monkeypatch.setattr(meters, "window", lambda *_, **__: next(windows))
    check = meters._repeat()
    # 1.2 ms is 20 % above 1 ms; more than 10 % is not a repetition.
    assert check.ok is False
    assert check.measured == "1.000 and 1.200 ms"
    assert "30 %" in check.note
    assert "close other programs" in check.note


@pytest.fixture(scope="module")
def nvml(tmp_path_factory) -> Path:
    """A driver library whose energy counter rises by 5 J with every reading."""
    folder = tmp_path_factory.mktemp("nvml")
    compiler = shutil.which("cc")
    assert compiler, "a C compiler builds the stand-in for NVIDIA's driver library"
    source = Path(__file__).with_name("nvml_stub.c")
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-w", "-o", folder / "libnvidia-ml.so.1", source], check=True
    )
    return folder


def energy_check(library: Path) -> dict:
    environment = {**os.environ, "LD_LIBRARY_PATH": str(library)}
    done = subprocess.run(
        [sys.executable, "-c", PROBE], env=environment, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def test_an_energy_counter_that_advances_passes(nvml):
    check = energy_check(nvml)
    assert check["ok"] is True
    # 5 J between two readings one second apart.
    assert float(check["measured"].split()[0]) == pytest.approx(5.0, rel=0.1)


def test_a_missing_energy_counter_has_a_reason(tmp_path):
    check = energy_check(tmp_path)
    if check["ok"] is None:
        assert check["measured"].startswith("not measured: ")
    else:  # a machine with a counter of its own
        assert check["note"]
