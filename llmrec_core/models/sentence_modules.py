"""How a folder turns a text into one vector, as sentence-transformers would: read and followed.

A folder says so in modules.json and the files it names: which states are pooled and how, further
dense layers, normalisation, a prompt before the text, the longest text, and what likeness its
vectors are made for. What is not followed here is refused. A folder without these files gets the
mean of the states, as sentence-transformers gives it.

Symbols: B texts, T tokens, E width.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional

from llmrec_core.errors import CheckpointError, UnsupportedError
from llmrec_core.language import t
from llmrec_core.models.backbones import Backbone
from llmrec_core.models.prompt_layout import MAX_ITEM_TOKENS

MODES = ("cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")
"""Ways to pool, in the order in which several are joined."""
LEGACY_MODES = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "Identity": lambda x: x,
    "Tanh": torch.tanh,
    "ReLU": torch.relu,
    "GELU": functional.gelu,
    "SiLU": functional.silu,
    "Sigmoid": torch.sigmoid,
}
ITEM_PROMPTS = ("document", "passage", "corpus")
"""Names of the prompt for what is searched; items are that."""
UNDECLARED_TOKENS = 2 * MAX_ITEM_TOKENS
"""Longest text of a folder that declares nothing."""


@dataclass(frozen=True)
class Dense:
    """One further layer on the pooled vector."""

    weight: Tensor
    bias: Tensor | None
    activation: str
    residual: bool
    residual_weight: Tensor | None

    def __call__(self, x: Tensor) -> Tensor:
        """(B, in) → (B, out)."""
        out = ACTIVATIONS[self.activation](functional.linear(x, self.weight, self.bias))
        if not self.residual:
            return out
        kept = x if self.residual_weight is None else functional.linear(x, self.residual_weight)
        return out + kept


@dataclass(frozen=True)
class Normalise:
    """Vectors of length 1."""

    def __call__(self, x: Tensor) -> Tensor:
        """(B, width) → (B, width)."""
        return functional.normalize(x, dim=-1)


@dataclass(frozen=True)
class Recipe:
    """How a backbone's texts become vectors."""

    pooling: tuple[str, ...]
    """Names of `MODES`, joined one after the other."""
    pools_prompt: bool
    steps: tuple[Dense | Normalise, ...]
    prompt: str
    """Stands before every text."""
    max_tokens: int
    lower_case: bool
    special_tokens: bool
    similarity: str
    """`cosine` or `dot`: what the vectors are made for."""

    @property
    def unit(self) -> bool:
        """Whether vectors have length 1 already."""
        return bool(self.steps) and isinstance(self.steps[-1], Normalise)

    def pool(self, states: Tensor, mask: Tensor, prompt_tokens: int) -> Tensor:
        """The vectors of some texts.

        Args:
            states: of the last layer, shape (B, T, E).
            mask: True at real tokens, right-padded, shape (B, T).
            prompt_tokens: how many of the first ones are the prompt.

        Returns:
            Shape (B, width).
        """
        pooled = mask.clone()
        if not self.pools_prompt:
            pooled[:, :prompt_tokens] = False
        vectors = torch.cat([_pool(mode, states, pooled, mask) for mode in self.pooling], dim=-1)
        for step in self.steps:
            vectors = step(vectors)
        return vectors


def _pool(mode: str, states: Tensor, pooled: Tensor, mask: Tensor) -> Tensor:
    """One vector per text (B, E), by the definitions of sentence-transformers' `Pooling`."""
    rows = torch.arange(len(states), device=states.device)
    if mode == "cls":
        return states[rows, pooled.int().argmax(dim=1)]
    if mode == "lasttoken":
        return states[rows, mask.sum(dim=1) - 1]
    if mode == "max":
        return states.masked_fill(~pooled[..., None], float("-inf")).amax(dim=1)
    weights = pooled.to(states.dtype)
    if mode == "weightedmean":
        weights = weights * torch.arange(1, states.shape[1] + 1, device=states.device)
    total = weights.sum(dim=1, keepdim=True).clamp_min(1e-9)
    if mode == "mean_sqrt_len_tokens":
        total = total.sqrt()
    return (states * weights[..., None]).sum(dim=1) / total


def recipe_of(backbone: Backbone) -> Recipe:
    """What the folder of a backbone declares.

    Raises:
        UnsupportedError: for a module or a setting that is not followed here.
        CheckpointError: when a declared file is missing or damaged.
    """
    folder = backbone.folder
    if folder is None or not (folder / "modules.json").is_file():
        return Recipe(
            pooling=("mean",),
            pools_prompt=True,
            steps=(Normalise(),),
            prompt="",
            max_tokens=min(UNDECLARED_TOKENS, backbone.stack.max_tokens),
            lower_case=False,
            special_tokens=not backbone.decoder,
            similarity="cosine",
        )
    modules = [
        (str(module["type"]).rsplit(".", 1)[-1], folder / str(module.get("path") or ""))
        for module in _json(folder / "modules.json")
    ]
    kinds = [kind for kind, _ in modules]
    if kinds[:2] != ["Transformer", "Pooling"] or modules[0][1] != folder:
        raise _refused(folder, t("modules {kinds}", kinds=", ".join(kinds)))
    pooling, pools_prompt = _pooling(folder, modules[1][1])
    steps = tuple(_step(folder, kind, path) for kind, path in modules[2:])
    settings = _json(folder / "config_sentence_transformers.json", missing={})
    max_tokens, lower_case = _transformer(folder, backbone)
    similarity = settings.get("similarity_fn_name") or "cosine"
    if similarity not in ("cosine", "dot"):
        raise _refused(folder, t("the likeness {name!r}", name=similarity))
    return Recipe(
        pooling=pooling,
        pools_prompt=pools_prompt,
        steps=steps,
        prompt=_prompt(folder, settings),
        max_tokens=max_tokens,
        lower_case=lower_case,
        special_tokens=True,
        similarity=similarity,
    )


def _pooling(folder: Path, path: Path) -> tuple[tuple[str, ...], bool]:
    config = _json(path / "config.json")
    declared = config.get("pooling_mode")
    if declared is None:
        declared = [mode for key, mode in LEGACY_MODES.items() if config.get(key)] or ["mean"]
    modes = (declared,) if isinstance(declared, str) else tuple(declared)
    if not set(modes) <= set(MODES):
        raise _refused(folder, t("pooling {modes}", modes=", ".join(modes)))
    return modes, bool(config.get("include_prompt", True))


def _step(folder: Path, kind: str, path: Path) -> Dense | Normalise:
    if kind == "Normalize":
        return Normalise()
    if kind != "Dense":
        raise _refused(folder, t("the module {kind}", kind=kind))
    config = _json(path / "config.json")
    activation = str(config.get("activation_function") or "torch.nn.Tanh").rsplit(".", 1)[-1]
    name = config.get("module_input_name") or "sentence_embedding"
    if activation not in ACTIVATIONS or name != "sentence_embedding":
        raise _refused(folder, t("a dense layer on {name} with {kind}", name=name, kind=activation))
    stored = path / "model.safetensors"
    if not stored.is_file():
        raise UnsupportedError(
            t(
                "{path} holds no model.safetensors; its weights are pickles, which can run code: "
                "save the folder with a newer sentence-transformers first",
                path=path,
            )
        )
    weights = load_file(stored)
    return Dense(
        weights["linear.weight"],
        weights.get("linear.bias"),
        activation,
        bool(config.get("use_residual", False)),
        weights.get("residual.weight"),
    )


def _transformer(folder: Path, backbone: Backbone) -> tuple[int, bool]:
    """The longest text in tokens, and whether texts are put into lower case."""
    files = sorted(folder.glob("sentence_*_config.json"))
    config = _json(files[0]) if files else {}
    task = config.get("transformer_task") or "feature-extraction"
    if task != "feature-extraction":
        raise _refused(folder, t("the task {task!r}", task=task))
    declared = config.get("max_seq_length") or backbone.tokenizer.model_max_length
    return min(int(declared), backbone.stack.max_tokens), bool(config.get("do_lower_case", False))


def _prompt(folder: Path, settings: dict[str, Any]) -> str:
    """The prompt for items: the one for documents, else the folder's default."""
    prompts = settings.get("prompts") or {}
    for name in ITEM_PROMPTS:
        if prompts.get(name):
            return str(prompts[name])
    default = settings.get("default_prompt_name")
    if default is not None and default not in prompts:
        raise _refused(folder, t("the unknown prompt {name!r}", name=default))
    return str(prompts.get(default) or "")


def _json(path: Path, missing: dict[str, Any] | None = None) -> Any:  # noqa: ANN401 - what JSON holds
    if missing is not None and not path.is_file():
        return missing
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(
            t("{path} cannot be read: {error}; restore the folder", path=path, error=error)
        ) from error


def _refused(folder: Path, what: str) -> UnsupportedError:
    return UnsupportedError(
        t(
            "backbone {folder} declares {what} for its sentence vectors, which is not followed "
            "here: the vectors would be other ones; use another backbone",
            folder=folder,
            what=what,
        )
    )
