"""The device record on machines with and without a GPU; the GPU is a stub library behind the real pynvml."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from llmrec_core.profiling import device

PROBE = """
import json
from llmrec_core.profiling import device, energy, live_load
found, load, counter = device.describe(), live_load.load(), energy.energy_counter()
first = counter.read_j()
print(json.dumps({
    "device": found.to_dict(), "load": [vars(gpu) for gpu in load.gpus], "reason": load.gpu_reason,
    "counter": [counter.available, counter.source, counter.reason],
    "joules": None if first is None else counter.read_j() - first, "banner": device.unusable_gpu(found),
}))
"""


@pytest.fixture(scope="module")
def stub(tmp_path_factory) -> Path:
    compiler = shutil.which("cc") or shutil.which("gcc")
    assert compiler, "a C compiler builds the NVML stub"
    folder = tmp_path_factory.mktemp("nvml")
    source = Path(__file__).with_name("nvml_stub.c")
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-w", "-o", folder / "libnvidia-ml.so.1", source], check=True
    )
    return folder


def probe(stub: Path, **environment: str) -> dict:
    env = {**os.environ, "LD_LIBRARY_PATH": str(stub), **environment}
    done = subprocess.run(
        [sys.executable, "-c", PROBE], env=env, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def test_a_gpu_is_described_with_load_power_and_energy(stub):
    found = probe(stub)
    gpu = found["device"]["gpus"][0]
    assert (gpu["name"], gpu["memory_bytes"], gpu["power_limit_w"]) == (
        "Stub GPU 9000",
        8 * 2**30,
        250.0,
    )
    assert found["device"]["name"] == "Stub GPU 9000"
    assert found["device"]["gpu_reason"] is None
    load = found["load"][0]
    assert (load["utilisation"], load["power_w"], load["memory_used_bytes"]) == (0.42, 123.0, 2**30)
    assert found["counter"][0]
    assert found["joules"] == pytest.approx(5.0)  # the stub's counter rises by 5,000 mJ per reading


@pytest.mark.no_gpu
def test_a_gpu_that_torch_cannot_use_gets_the_command_to_type(stub):
    found = probe(stub)
    if "+cpu" not in (found["device"]["torch"] or ""):
        pytest.skip("this torch was built with CUDA")
    assert "pip install --force-reinstall torch==" in found["banner"]


@pytest.mark.threat("no-meter")
@pytest.mark.parametrize(
    ("variable", "code", "words"),
    [
        ("STUB_INIT", "9", "not loaded"),
        ("STUB_INIT", "12", "not installed"),
        ("STUB_HANDLE", "15", "fallen off the bus"),
    ],
)
def test_a_driver_that_fails_is_a_reason_and_no_gpu(stub, variable, code, words):
    found = probe(stub, **{variable: code})
    assert found["device"]["gpus"] == []
    assert words in found["device"]["gpu_reason"]
    assert words in found["reason"]


def test_a_driver_without_a_gpu_says_so(stub):
    assert probe(stub, STUB_NONE="1")["device"]["gpu_reason"] == "the NVIDIA driver reports no GPU"


@pytest.mark.threat("no-meter")
def test_a_missing_reading_is_none_with_a_reason_never_zero(stub):
    found = probe(stub, STUB_POWER="3", STUB_ENERGY="3")
    assert found["load"][0]["power_w"] is None
    assert "does not offer" in found["load"][0]["reason"]
    assert found["device"]["gpus"][0]["energy_counter"] is False
    if not found["counter"][0]:
        assert "no NVML energy counter" in found["counter"][2]
        assert found["joules"] is None
        assert found["device"]["energy"].startswith("not measured: ")


@pytest.mark.threat("no-meter")
@pytest.mark.no_gpu
def test_no_driver_library_is_a_normal_case(monkeypatch, tmp_path):
    found = probe(tmp_path)
    if found["device"]["gpus"]:
        pytest.skip("this machine has an NVIDIA GPU")
    assert "libnvidia-ml.so.1" in found["device"]["gpu_reason"]
    assert found["device"]["cores"] >= 1
    assert found["banner"] is None


def test_the_nominal_peak_is_cores_times_clock_times_width(monkeypatch):
    monkeypatch.setattr(device, "_cpu_flags", lambda: {"sse2", "avx2"})
    monkeypatch.setattr(device, "clock_hz", lambda: 2.5e9)
    monkeypatch.setattr(device.psutil, "cpu_count", lambda logical=True: 2)
    assert device.nominal_peak().flops_per_s == 2 * 2.5e9 * 32
    monkeypatch.setattr(device, "_cpu_flags", set)
    assert device.nominal_peak().flops_per_s is None


def test_the_module_needs_no_torch():
    code = "import sys; import llmrec_core.profiling.device; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
