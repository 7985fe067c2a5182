"""NVIDIA GPUs through NVML (pynvml, the module of `nvidia-ml-py`), without torch.

A machine without a GPU is a normal case: an empty list and a reason.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

from llmrec_core.language import marked, t

REASONS = {
    "NVMLError_LibraryNotFound": marked(
        "the NVIDIA driver library (libnvidia-ml.so.1) is not installed"
    ),
    "NVMLError_DriverNotLoaded": marked("the NVIDIA driver is installed but not loaded"),
    "NVMLError_NotSupported": marked("this GPU does not offer the reading"),
    "NVMLError_GpuIsLost": marked("the GPU has fallen off the bus; restart the machine"),
    "NVMLError_NoPermission": marked("this user may not read the GPU"),
    "NVMLError_LibRmVersionMismatch": marked(
        "driver and library versions differ; restart the machine"
    ),
    "NVMLLibraryMismatchError": marked(
        "driver library and nvidia-ml-py do not fit together; upgrade nvidia-ml-py"
    ),
}
VISIBLE = "CUDA_VISIBLE_DEVICES"


def reason_of(error: Exception) -> str:
    """Why NVML did not answer, in words."""
    kind = type(error).__name__
    if kind in REASONS:
        return t(REASONS[kind])
    return t("NVML answered {kind}: {error}", kind=kind, error=error)


def as_text(value: str | bytes | None) -> str | None:
    """A name as NVML returns it, whose type differs between versions."""
    return value.decode(errors="replace") if isinstance(value, bytes) else value


@dataclass(frozen=True)
class Part:
    """A physical GPU that this process may use."""

    index: int
    handle: object
    name: str
    divided: bool
    """Whether it is cut into MIG parts, whose readings are of the whole GPU."""


class Nvml:
    """NVML held open for a few calls; `reason` says why it could not be opened."""

    def __init__(self) -> None:
        self.reason: str | None = None
        try:
            import pynvml
        except ImportError:
            self.reason = t("the package nvidia-ml-py is not installed")
            return
        self.api = pynvml
        # NVMLLibraryMismatchError is not an NVMLError, so both are named.
        self.errors = (pynvml.NVMLError, pynvml.NVMLLibraryMismatchError)
        try:
            pynvml.nvmlInit()
        except self.errors as error:
            self.reason = reason_of(error)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.reason is None:
            with contextlib.suppress(*self.errors):
                self.api.nvmlShutdown()

    def read(self, call: Callable[..., Any], *arguments: object) -> tuple[Any, str | None]:
        """The answer of one NVML call, or `None` and the reason.

        Args:
            call: a function of pynvml.
            *arguments: of the call.
        """
        try:
            return call(*arguments), None
        except self.errors as error:
            return None, reason_of(error)

    def handles(self) -> list[object]:
        """Every physical GPU of the machine; `reason` says why there is none."""
        if self.reason is not None:
            return []
        count, self.reason = self.read(self.api.nvmlDeviceGetCount)
        handles: list[object] = []
        for index in range(count or 0):
            handle, reason = self.read(self.api.nvmlDeviceGetHandleByIndex, index)
            if handle is None:
                self.reason = reason
            else:
                handles.append(handle)
        if not handles and self.reason is None:
            self.reason = t("the NVIDIA driver reports no GPU")
        return handles

    def visible(self) -> list[Part]:
        """The physical GPUs that this process may use, each once.

        CUDA_VISIBLE_DEVICES names them by number, by GPU or by MIG part; several parts of one GPU
        are that GPU. All GPUs count where it is not set, or names something NVML does not know.
        """
        handles = self.handles()
        places = self._places(len(handles))
        return [self._part(index, handles[index]) for index in places if index < len(handles)]

    def _places(self, count: int) -> list[int]:
        wanted = os.environ.get(VISIBLE)
        if wanted is None:
            return list(range(count))
        places: list[int] = []
        for name in filter(None, (part.strip() for part in wanted.split(","))):
            if name.startswith("-"):  # CUDA shows nothing from here on
                break
            place = int(name) if name.isdigit() else self._place_of(name)
            if place is None or place >= count:
                return list(range(count))
            if place not in places:
                places.append(place)
        return places

    def _place_of(self, name: str) -> int | None:
        """The number of the GPU with this identifier, or of the GPU that holds this MIG part."""
        handle, _ = self.read(self.api.nvmlDeviceGetHandleByUUID, name.encode())
        if handle is not None and name.startswith("MIG-"):
            handle, _ = self.read(self.api.nvmlDeviceGetDeviceHandleFromMigDeviceHandle, handle)
        if handle is None:
            return None
        place, _ = self.read(self.api.nvmlDeviceGetIndex, handle)
        return None if place is None else int(place)

    def _part(self, index: int, handle: object) -> Part:
        name, _ = self.read(self.api.nvmlDeviceGetName, handle)
        mode, _ = self.read(self.api.nvmlDeviceGetMigMode, handle)
        divided = bool(mode) and mode[0] == self.api.NVML_DEVICE_MIG_ENABLE
        return Part(index, handle, as_text(name) or t("NVIDIA GPU"), divided)
