"""Energy counters: every package and its memory once, several GPUs, MIG parts, wrap-around."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from llmrec_core.profiling import energy

PROBE = """
import json
from llmrec_core.profiling.energy import energy_counter
counter = energy_counter()
first = counter.read_j()
print(json.dumps([counter.available, counter.source, counter.reason,
                  None if first is None else counter.read_j() - first]))
"""


@pytest.fixture(scope="module")
def stub(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("nvml")
    compiler = shutil.which("cc") or shutil.which("gcc")
    assert compiler, "a C compiler builds the NVML stub"
    source = Path(__file__).with_name("nvml_stub.c")
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-w", "-o", folder / "libnvidia-ml.so.1", source], check=True
    )
    return folder


def probe(stub: Path, **environment: str):
    env = {**os.environ, "LD_LIBRARY_PATH": str(stub), **environment}
    done = subprocess.run(
        [sys.executable, "-c", PROBE], env=env, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


@pytest.fixture
def powercap(monkeypatch, tmp_path):
    """A powercap tree on a machine without a GPU; `zone(name, label, uj)` writes into it."""
    monkeypatch.setattr(energy, "POWERCAP", tmp_path)
    monkeypatch.setattr(energy, "_gpu_meters", lambda: ([], [], "no GPU"))

    def zone(name, label, uj, range_uj=262_143_328_850):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        (folder / "name").write_text(f"{label}\n")
        (folder / "energy_uj").write_text(f"{uj}\n")
        (folder / "max_energy_range_uj").write_text(f"{range_uj}\n")

    return zone


def two_sockets(powercap, first, second, memory):
    powercap("intel-rapl:0", "package-0", first)
    powercap("intel-rapl:1", "package-1", second)
    powercap("intel-rapl:0:1", "dram", memory)
    powercap("intel-rapl:1:1", "dram", memory)
    # what is inside of a package, or holds everything, or shows a package through another interface
    powercap("intel-rapl:0:0", "core", 9 * first)
    powercap("intel-rapl:2", "psys", 9 * first)
    powercap("intel-rapl-mmio:0", "package-0", 9 * first)


def test_both_sockets_and_their_memory_are_counted_once(powercap):
    two_sockets(powercap, 1_000_000, 2_000_000, 500_000)
    counter = energy.energy_counter()
    assert counter.read_j() == 0.0
    two_sockets(powercap, 61_000_000, 57_000_000, 3_500_000)
    # 60 J and 55 J of the packages, 3 J of each memory
    assert counter.read_j() == pytest.approx(60 + 55 + 3 + 3)
    assert counter.source == (
        "processor package 0 (RAPL), memory of package 0 (RAPL), "
        "processor package 1 (RAPL), memory of package 1 (RAPL)"
    )


def test_each_counter_starts_anew_at_its_own_range(powercap):
    powercap("intel-rapl:0", "package-0", 99_000_000, range_uj=100_000_000)
    powercap("intel-rapl:1", "package-1", 40_000_000, range_uj=50_000_000)
    counter = energy.energy_counter()
    assert counter.read_j() == 0.0
    powercap("intel-rapl:0", "package-0", 4_000_000, range_uj=100_000_000)
    powercap("intel-rapl:1", "package-1", 45_000_000, range_uj=50_000_000)
    assert counter.read_j() == pytest.approx(5 + 5)
    powercap("intel-rapl:0", "package-0", 5_000_000, range_uj=100_000_000)
    powercap("intel-rapl:1", "package-1", 2_000_000, range_uj=50_000_000)
    assert counter.read_j() == pytest.approx(10 + 1 + 7)


@pytest.mark.threat("no-meter")
def test_one_counter_that_stops_answering_makes_the_whole_figure_unknown(powercap, tmp_path):
    two_sockets(powercap, 1, 1, 1)
    counter = energy.energy_counter()
    counter.read_j()
    (tmp_path / "intel-rapl:1" / "energy_uj").write_text("?")
    assert counter.read_j() is None
    powercap("intel-rapl:1", "package-1", 0, range_uj=0)
    broken = energy.EnergyCounter("x", None, [energy.Meter("x", path=tmp_path / "f", last=5)])
    (tmp_path / "f").write_text("3")
    assert broken.read_j() is None  # it went back and has no range


@pytest.mark.threat("no-meter")
def test_no_counter_and_one_that_may_not_be_read_have_their_reasons(powercap, tmp_path):
    assert energy.energy_counter().reason == "no GPU; no RAPL counter"
    assert energy.energy_counter().read_j() is None
    powercap("intel-rapl:0", "package-0", 1)
    (tmp_path / "intel-rapl:0" / "energy_uj").unlink()
    assert "RAPL is there but not readable" in energy.energy_counter().reason


def test_several_gpus_are_summed_and_named(stub):
    _, source, _, joules = probe(stub, STUB_GPUS="3")
    assert joules == pytest.approx(5 * 1 + 5 * 2 + 5 * 3)
    assert source.startswith("GPU 0 Stub GPU 9000, GPU 1 Stub GPU 9000, GPU 2 Stub GPU 9000")


def test_only_the_gpus_a_process_may_use_are_counted(stub):
    _, source, _, joules = probe(stub, STUB_GPUS="3", CUDA_VISIBLE_DEVICES="2,0")
    assert joules == pytest.approx(5 * 3 + 5 * 1) and "GPU 1" not in source
    _, source, _, joules = probe(stub, STUB_GPUS="3", CUDA_VISIBLE_DEVICES="GPU-1")
    assert joules == pytest.approx(10) and "GPU 1 Stub" in source
    available, _, reason, _ = probe(stub, STUB_GPUS="3", CUDA_VISIBLE_DEVICES="-1")
    assert available or "no NVML energy counter" in reason
    _, source, _, joules = probe(stub, STUB_GPUS="2", CUDA_VISIBLE_DEVICES="GPU-9")
    assert joules == pytest.approx(5 + 10)  # a name NVML does not know: all of them


def test_parts_of_one_gpu_are_that_gpu_once_and_said(stub):
    _, source, _, joules = probe(
        stub, STUB_GPUS="2", STUB_MIG="1", CUDA_VISIBLE_DEVICES="MIG-1-0,MIG-1-1"
    )
    assert joules == pytest.approx(10)
    assert "GPU 1 Stub GPU 9000 as a whole, all its MIG parts" in source and "GPU 0" not in source


def test_a_gpu_without_a_counter_is_said_not_to_be_inside(stub):
    _, source, _, joules = probe(stub, STUB_GPUS="2", STUB_ENERGY_OF="0")
    assert joules == pytest.approx(10)
    assert "not inside: GPU 0 has no counter" in source
