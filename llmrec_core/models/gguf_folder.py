"""The GGUF file of SmolLM2 as a safetensors folder, converted once: a GGUF load takes seconds."""

from __future__ import annotations

import json
import os
from pathlib import Path

import torch

GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"


def converted(folder: Path) -> Path:
    """The safetensors folder beside the GGUF file, made when it is not there yet.

    The weights are fp32 numbers that were dequantised from 4 bits.
    """
    target = folder / "safetensors"
    if (target / "config.json").exists():
        return target
    import transformers
    from safetensors.torch import save_file
    from transformers import AutoModelForCausalLM, AutoTokenizer

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    model = AutoModelForCausalLM.from_pretrained(str(folder), gguf_file=GGUF, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(str(folder), gguf_file=GGUF)
    partial = folder / f"safetensors.{os.getpid()}"
    partial.mkdir(parents=True, exist_ok=True)
    weights = {
        name: value.contiguous()
        for name, value in model.state_dict().items()
        if name != "lm_head.weight"  # it is the embedding's
    }
    save_file(weights, partial / "model.safetensors", metadata={"format": "pt"})
    tokenizer.save_pretrained(partial)
    config = model.config.to_dict()
    config.pop("quantization_config", None)
    (partial / "config.json").write_text(
        json.dumps(config, indent=1, default=str), encoding="utf-8"
    )
    try:
        partial.rename(target)
    except OSError:  # another process was first
        if not (target / "config.json").exists():
            raise
    return target
