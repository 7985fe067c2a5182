"""Does a precision or runtime exist on this machine, and does it pay? Measured once per device.

The probe is a feed-forward block of MiniLM's size on 256 tokens, against the same block in eager
fp32, a second or so in all. The answer is kept under HOME/probes. What cannot run is refused with
the reason; what runs slower is allowed with a warning (it may still save memory), unless it is so
slow that a study would never end.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmrec_core.errors import LlmrecError, UnsupportedError
from llmrec_core.files import write_json
from llmrec_core.language import t
from llmrec_core.profiling import device as devices

if TYPE_CHECKING:
    from torch import Tensor, nn

    from llmrec_core.settings import Settings

PRECISIONS = ("fp32", "tf32", "bf16", "fp16", "int8", "int8-dynamic", "int4")
RUNTIMES = ("eager", "compile", "onnx")
TOKENS, WIDTH, INNER = 256, 384, 1536
BUDGET_S = 0.4
HOPELESS = 0.05
"""Below this share of fp32's speed a variant is refused: a ten-minute run would take hours."""
NOTEWORTHY = 0.95


@dataclass(frozen=True)
class Probe:
    """One cell of the precision × runtime matrix on one device."""

    precision: str
    runtime: str
    device: str
    usable: bool
    speed: float | None
    """Times as fast as eager fp32; None when it did not run."""
    reason: str
    """A sentence: what was measured, or why it does not exist here."""

    @property
    def warning(self) -> str:
        """The reason, when the variant runs but slower than fp32; else nothing."""
        return (
            self.reason
            if self.usable and self.speed is not None and self.speed < NOTEWORTHY
            else ""
        )


def probe(precision: str, runtime: str, settings: Settings, device: str = "cpu") -> Probe:
    """The stored or fresh answer for one precision and runtime on `device`."""
    import torch

    name = devices.describe().name
    key = hashlib.sha256(
        f"{name}|{device}|{torch.__version__}|{torch.get_num_threads()}".encode()
    ).hexdigest()[:12]
    path = settings.home / "probes" / f"{key}-{precision}-{runtime}.json"
    try:
        return Probe(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        pass
    answer = measure(precision, runtime, device, name)
    write_json(path, dataclasses.asdict(answer))
    return answer


def require(precision: str, runtime: str, settings: Settings, device: str = "cpu") -> Probe:
    """As `probe`, refusing what does not run here.

    Raises:
        UnsupportedError: with the measured or found reason.
    """
    answer = probe(precision, runtime, settings, device)
    if not answer.usable:
        raise UnsupportedError(answer.reason)
    return answer


def matrix(settings: Settings, device: str = "cpu") -> list[Probe]:
    """Every precision in eager mode, and every other runtime in fp32."""
    cells = [(precision, "eager") for precision in PRECISIONS] + [
        ("fp32", runtime) for runtime in RUNTIMES[1:]
    ]
    return [probe(precision, runtime, settings, device) for precision, runtime in cells]


def measure(precision: str, runtime: str, device: str, name: str) -> Probe:
    """Time the block; nothing is stored."""
    try:
        plain, _ = _block("fp32", "eager", device)
        variant, note = _block(precision, runtime, device)
        reference, seconds = _fastest(plain, device), _fastest(variant, device)
    except LlmrecError as error:
        return Probe(precision, runtime, device, False, None, str(error))
    except Exception as error:  # noqa: BLE001 - a kernel that is missing raises whatever its author chose
        reason = (
            str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
        )
        return Probe(
            precision,
            runtime,
            device,
            False,
            None,
            t(
                "{precision} on {runtime} does not run on {name}: {reason}; use fp32 on eager",
                precision=precision,
                runtime=runtime,
                name=name,
                reason=reason,
            ),
        )
    speed = reference / seconds
    work = 4.0 * TOKENS * WIDTH * INNER / 1e9
    said = t(
        "{precision} on {runtime} is {speed:.2f} times as fast as fp32 on {name} "
        "({work:.0f} against {work_2:.0f} GFLOP/s){note}",
        precision=precision,
        runtime=runtime,
        speed=speed,
        name=name,
        work=work / seconds,
        work_2=work / reference,
        note=note,
    )
    if speed < HOPELESS:
        return Probe(
            precision,
            runtime,
            device,
            False,
            speed,
            t("{said}: too slow to finish a study; use fp32 or int8-dynamic", said=said),
        )
    return Probe(precision, runtime, device, True, speed, said)


def _block(precision: str, runtime: str, device: str) -> tuple[Callable[[], object], str]:
    """A call that runs the block once, and what to add to the sentence."""
    import torch
    from torch import nn

    from llmrec_core.models.precision import Subject, reformat
    from llmrec_core.models.runtimes import require_compiler

    torch.manual_seed(0)
    block = nn.Sequential(nn.Linear(WIDTH, INNER), nn.GELU(), nn.Linear(INNER, WIDTH)).to(device)
    x = torch.randn(TOKENS, WIDTH, device=device)

    reformat(Subject(block, device, t("the probe")), precision)
    x = x.to(next((p.dtype for p in block.parameters()), torch.float32))
    note = t("; it saves memory, not time") if precision in ("int8", "int4") else ""
    if runtime == "compile":
        require_compiler(device)
        block.compile(dynamic=True)
    elif runtime == "onnx":
        return _onnx_call(block, x), note

    def call() -> object:
        with torch.inference_mode():
            return block(x)

    return call, note


def _onnx_call(block: nn.Module, x: Tensor) -> Callable[[], object]:
    import torch

    from llmrec_core.models.onnx_engine import exported, require_onnx

    onnxruntime = require_onnx()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    body = exported(block, (x,), ({},), ["x"], ["y"])
    session = onnxruntime.InferenceSession(body, options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {"x": x.numpy()})


def _fastest(call: Callable[[], object], device: str) -> float:
    import torch

    def once() -> float:
        start = time.perf_counter()
        call()
        if device != "cpu":
            torch.cuda.synchronize()
        return time.perf_counter() - start

    once()
    best, began = once(), time.perf_counter()
    while time.perf_counter() - began < BUDGET_S:
        best = min(best, once())
    return best
