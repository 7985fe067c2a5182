"""Where a model runs."""

from __future__ import annotations

import torch

from llmrec_core.errors import UnsupportedError, UsageError
from llmrec_core.language import t


def pick_device(name: str) -> torch.device:
    """The device of a name: `auto` takes the NVIDIA GPU that torch can use, else the CPU.

    Raises:
        UnsupportedError: when a GPU is asked for and torch sees none.
        UsageError: for a name torch does not know.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(t("device is {name!r}; expected auto, cpu or cuda", name=name)) from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UnsupportedError(
            t(
                "device {name!r} was asked for, but torch {version} sees no NVIDIA GPU; use "
                "auto or cpu",
                name=name,
                version=torch.__version__,
            )
        )
    return device
