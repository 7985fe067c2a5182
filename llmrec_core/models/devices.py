"""Where a model runs."""

from __future__ import annotations

import torch

from llmrec_core.errors import UnsupportedError, UsageError


def pick_device(name: str) -> torch.device:
    """`auto`: the NVIDIA GPU that torch can use, else the CPU; or the device asked for, or a refusal.

    Raises:
        UnsupportedError: when a GPU is asked for and torch sees none.
        UsageError: for a name torch does not know.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(f"device is {name!r}; expected auto, cpu or cuda") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UnsupportedError(
            f"device {name!r} was asked for, but torch {torch.__version__} sees no NVIDIA GPU; use auto or cpu"
        )
    return device
