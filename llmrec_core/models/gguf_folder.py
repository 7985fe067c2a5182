"""A backbone's GGUF file as a safetensors folder, converted once: a GGUF load takes a minute."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from llmrec_core.assets import fetch
from llmrec_core.errors import AssetError
from llmrec_core.language import t
from llmrec_core.models.model_folder import FROM_GGUF
from llmrec_core.settings import Settings

GROWTH = 6
"""Bytes in fp32 over those of the GGUF file, at most: SmolLM2 has 5.5, Gemma 3 4.4."""


def prepared(name: str, settings: Settings, say: Callable[[str], None]) -> Path:
    """The folder of an asset that is ready to be used: fetched, and a GGUF file converted.

    Args:
        name: of the asset.
        settings: where assets stand.
        say: called with a line before each step that takes long.

    Raises:
        UsageError: as `assets.fetch`.
        AssetError: as `assets.fetch`, and where the disk is too small for the converted weights.
    """
    folder = fetch(name, settings, say)
    if name not in FROM_GGUF:
        return folder
    if not _is_ready(folder / "safetensors"):
        say(t("converting the weights of {name} once, which can take two minutes", name=name))
    return converted(folder)


def converted(folder: Path) -> Path:
    """The safetensors folder beside the only GGUF file of a folder, made when it is not there yet.

    The weights are fp32 numbers that were dequantised from what the file stores.

    Raises:
        AssetError: where the disk is full.
    """
    target = folder / "safetensors"
    if _is_ready(target):
        return target
    from safetensors import SafetensorError

    (gguf,) = folder.glob("*.gguf")
    partial = folder / f"safetensors.{os.getpid()}"
    try:
        _convert(gguf, partial)
        partial.rename(target)
    except (OSError, SafetensorError) as error:
        if not _is_ready(target):  # else another process was first
            full = "no space left" in str(error).lower()
            full = full or (isinstance(error, OSError) and error.errno == errno.EDQUOT)
            if not full:
                raise
            raise AssetError(
                t(
                    "cannot store asset {name!r} under {assets}: {reason}; free {total_bytes:.0f} "
                    "MB or set LLMREC_HOME to another folder",
                    name=folder.name,
                    assets=folder.parent,
                    reason=t("the disk is full"),
                    total_bytes=GROWTH * gguf.stat().st_size / 1e6,
                )
            ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return target


def _is_ready(target: Path) -> bool:
    return (target / "config.json").exists()


def _convert(gguf: Path, folder: Path) -> None:
    """Write weights, tokenizer and configuration, the latter last."""
    import torch
    import transformers
    from safetensors.torch import save_file
    from transformers import AutoModelForCausalLM, AutoTokenizer

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    source, file = str(gguf.parent), gguf.name
    model = AutoModelForCausalLM.from_pretrained(source, gguf_file=file, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(source, gguf_file=file)
    folder.mkdir(parents=True, exist_ok=True)
    weights = {
        name: value.contiguous()
        for name, value in model.state_dict().items()
        if name != "lm_head.weight"  # it is the embedding's
    }
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    tokenizer.save_pretrained(folder)
    config = model.config.to_dict()
    config.pop("quantization_config", None)
    (folder / "config.json").write_text(json.dumps(config, indent=1, default=str), encoding="utf-8")
