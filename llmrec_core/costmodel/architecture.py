"""The shape of a transformer: by a name of the catalogue, from a Hugging Face `config.json`, or by its dimensions."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from llmrec_core.costmodel import tables
from llmrec_core.errors import DataError, UsageError
from llmrec_core.profiling.counts import Shape

KINDS = ("encoder", "decoder", "encoder-decoder")


@dataclass(frozen=True)
class Architecture:
    """What the counts need of a model. Widths in elements, counts in units; 0 where a part does not exist."""

    name: str
    kind: str
    layers: int
    width: int
    heads: int
    kv_heads: int
    head_dim: int
    ffn: int
    gated: bool
    vocab: int
    positions: int = 0
    types: int = 0
    tied: bool = True
    bias: bool = True
    experts: int = 1
    active_experts: int = 1
    decoder_layers: int = 0
    embedding_width: int = 0
    shared_layers: bool = False
    published_params: float | None = None
    context: int = 0
    guessed: bool = False
    """Dimensions were inferred from a parameter count, not known."""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UsageError(f"kind {self.kind!r} of model {self.name}; expected one of {', '.join(KINDS)}")
        for field in ("layers", "width", "heads", "kv_heads", "head_dim", "ffn", "experts", "active_experts"):
            if getattr(self, field) < 1:
                raise UsageError(f"{field} of model {self.name} is {getattr(self, field)}; expected at least 1")
        if self.kv_heads > self.heads or self.heads % self.kv_heads:
            raise UsageError(
                f"model {self.name} has {self.heads} heads and {self.kv_heads} key/value heads; "
                "the first must be a multiple of the second"
            )
        if self.active_experts > self.experts:
            raise UsageError(f"model {self.name} uses {self.active_experts} experts of {self.experts}")

    @property
    def shape(self) -> Shape:
        """The shape the packed formulas of `profiling/counts.py` take."""
        return Shape(
            layers=self.layers,
            width=self.width,
            feed_forward=self.ffn * self.active_experts,
            heads=self.heads,
            kv_heads=self.kv_heads,
            head_dim=self.head_dim,
            gated=self.gated,
            causal=self.kind == "decoder",
        )


def _fold(name: str) -> str:
    name = name.strip().lower().rsplit("/", 1)[-1].replace("_", "-").replace(" ", "-")
    name = re.sub(r"^(meta-|facebook-|google-|tiiuae-|microsoft-|sentence-transformers-)", "", name)
    for ending in ("-instruct", "-chat", "-hf", "-uncased", "-cased", "-base-en-v1.5", "-it", "-base-model", "-it"):
        name = name.replace(ending, "") if ending != "-it" else re.sub(r"-it$", "", name)
    name = re.sub(r"-(gptq|awq)(-int\d)?$", "", name)
    return re.sub(r"-v\d+(\.\d+)?$", "", name)


ALIASES = {
    "all-minilm-l6": "minilm-l6-h384",
    "minilm-l6": "minilm-l6-h384",
    "minilm": "minilm-l6-h384",
    "all-minilm-l12": "minilm-l12-h384",
    "minilm-l12": "minilm-l12-h384",
    "ms-marco-minilm-l-6": "minilm-l6-h384",
    "ms-marco-minilm-l-12": "minilm-l12-h384",
    "paraphrase-minilm-l3": "minilm-l3-h384",
    "paraphrase-tinybert-l6": "tinybert-l6",
    "paraphrase-albert-small": "albert-base",
    "paraphrase-multilingual-mpnet": "xlm-roberta-base",
    "paraphrase-multilingual-mpnet-base": "xlm-roberta-base",
    "all-distilroberta": "distilroberta-base",
    "all-mpnet-base": "mpnet-base",
    "all-roberta-large": "roberta-large",
    "gtr-t5-large": "t5-large",
    "gtr-t5-xl": "flan-t5-xl",
    "gtr-t5-xxl": "flan-t5-xxl",
    "phi-1.5-1.3b": "phi-1.5",
    "meta-llama-3-8b": "llama-3-8b",
    "smollm2": "smollm2-135m",
    "distilbert": "distilbert-base",
    "roberta": "roberta-base",
    "bert": "bert-base",
    "gptj-6b": "gpt-j-6b",
    "gptj-99": "gpt-j-6b",
    "llama-7b-hf": "llama-7b",
    "llama2-7b": "llama-2-7b",
    "llama2-13b": "llama-2-13b",
    "llama2-70b": "llama-2-70b",
    "llama3-8b": "llama-3-8b",
    "llama3-70b": "llama-3-70b",
    "llama3.1-8b": "llama-3.1-8b",
    "llama3.1-70b": "llama-3.1-70b",
    "qwen3-30b": "qwen3-30b-a3b",
    "qwen3-235b": "qwen3-235b-a22b",
    "bge-base": "bert-base",
    "bge-large": "bert-large",
    "e5-base": "bert-base",
    "e5-large": "bert-large",
}


def _row(row: dict[str, str]) -> Architecture:
    published = tables.number(row["published_params_m"])
    return Architecture(
        name=row["name"],
        kind=row["kind"],
        layers=int(row["layers"]),
        width=int(row["width"]),
        heads=int(row["heads"]),
        kv_heads=int(row["kv_heads"]),
        head_dim=int(row["head_dim"]),
        ffn=int(row["ffn"]),
        gated=row["gated"] == "1",
        vocab=int(row["vocab"]),
        positions=int(row["positions"]),
        types=int(row["types"]),
        tied=row["tied"] == "1",
        bias=row["bias"] == "1",
        experts=int(row["experts"]),
        active_experts=int(row["active_experts"]),
        decoder_layers=int(row["decoder_layers"]),
        embedding_width=int(row["embedding_width"]),
        shared_layers=row["shared_layers"] == "1",
        published_params=published * 1e6 if published else None,
        context=int(row["context"] or 0),
    )


@lru_cache(maxsize=1)
def catalogue() -> dict[str, Architecture]:
    """Every architecture of `assets/costmodel/models.csv` by name."""
    return {row["name"]: _row(row) for row in tables.rows("models")}


@lru_cache(maxsize=1)
def _folded() -> dict[str, str]:
    return {_fold(name): name for name in catalogue()} | ALIASES


@lru_cache(maxsize=4096)
def find(name: str) -> Architecture | None:
    """The catalogue's entry for a name as people write it (`Qwen/Qwen2.5-7B-Instruct`), or None."""
    folded = _fold(name)
    known = _folded()
    if folded not in known:
        return None
    return catalogue()[known[folded]]


def named(name: str, params: float | None = None, kind: str = "") -> Architecture:
    """The architecture of a name; of an unknown name with a parameter count, one inferred from the count.

    Args:
        name: a catalogue name, a Hugging Face id or an alias.
        params: total parameters, used only when the name is unknown.
        kind: encoder, decoder or encoder-decoder, used only when the name is unknown.

    Raises:
        UsageError: unknown name without a parameter count.
    """
    if not isinstance(name, str) or not name.strip():
        if params:
            return guess("unnamed", params, kind or "decoder")
        raise UsageError("the model has no name; expected one of the catalogue, e.g. minilm-l6-h384")
    found = find(name)
    if found is not None:
        return found
    if params and params > 0:
        return guess(name, params, kind or "decoder")
    raise UsageError(
        f"unknown model {name!r}; near names: {tables.nearest(name, catalogue())}. "
        "A config.json, or layers, width and heads, describes any other."
    )


def guess(name: str, params: float, kind: str) -> Architecture:
    """Dimensions typical of a parameter count, interpolated in the catalogue between models of the same kind.

    The shape of the nearest model (by log of parameters) is kept and its width scaled by the square root.
    """
    same = [one for one in catalogue().values() if one.kind == kind and one.experts == 1 and one.published_params]
    near = min(same, key=lambda one: abs(_ratio_log(one.published_params or 1.0, params)))
    scale = (params / (near.published_params or params)) ** 0.5
    heads = max(1, round(near.heads * scale))
    kv = max(1, round(near.kv_heads * scale)) if near.kv_heads < near.heads else heads
    heads = max(kv, heads // kv * kv)
    return replace(
        near,
        name=name,
        width=heads * near.head_dim,
        heads=heads,
        kv_heads=kv,
        ffn=max(64, int(near.ffn * scale)),
        embedding_width=heads * near.head_dim,
        published_params=params,
        guessed=True,
    )


def _ratio_log(a: float, b: float) -> float:
    import math

    return math.log(a / b)


def from_dimensions(
    layers: int,
    width: int,
    heads: int,
    *,
    kind: str = "encoder",
    kv_heads: int | None = None,
    ffn: int | None = None,
    gated: bool = False,
    vocab: int = 30522,
    experts: int = 1,
    active_experts: int = 1,
    context: int = 0,
    name: str = "",
) -> Architecture:
    """A model given by its dimensions.

    Raises:
        UsageError: when a dimension is below 1 or the width is no multiple of the heads.
    """
    if heads < 1 or width < 1 or layers < 1:
        raise UsageError(f"layers {layers}, width {width}, heads {heads}: expected whole numbers of at least 1")
    if width % heads:
        raise UsageError(f"width {width} is no multiple of {heads} heads")
    return Architecture(
        name=name or f"{kind}-{layers}l-{width}d",
        kind=kind,
        layers=layers,
        width=width,
        heads=heads,
        kv_heads=kv_heads or heads,
        head_dim=width // heads,
        ffn=ffn or 4 * width,
        gated=gated,
        vocab=vocab,
        experts=experts,
        active_experts=active_experts,
        embedding_width=width,
        context=context,
        bias=kind == "encoder",
        decoder_layers=layers if kind == "encoder-decoder" else 0,
    )


GATED_TYPES = ("llama", "mistral", "mixtral", "qwen", "gemma", "phi3", "modernbert", "olmo", "internlm", "baichuan")
ENCODER_TYPES = ("bert", "electra", "albert", "mpnet", "deberta", "xlm", "camembert", "nomic")


def from_config(config: dict[str, Any], name: str = "") -> Architecture:
    """The architecture of a Hugging Face `config.json`.

    Raises:
        DataError: when the number of layers, the width or the heads are missing.
    """

    def pick(*names: str, default: Any = None) -> Any:
        return next((config[one] for one in names if config.get(one) is not None), default)

    model_type = str(config.get("model_type", "")).lower()
    layers = pick("num_hidden_layers", "n_layer", "n_layers", "num_layers")
    width = pick("hidden_size", "n_embd", "d_model", "dim")
    heads = pick("num_attention_heads", "n_head", "n_heads", "num_heads")
    if not (layers and width and heads):
        raise DataError(
            f"config.json of {name or model_type or 'the model'} lacks num_hidden_layers, hidden_size or "
            "num_attention_heads; expected the config of a transformer"
        )
    both = bool(config.get("is_encoder_decoder"))
    kind = "encoder-decoder" if both else "encoder" if any(one in model_type for one in ENCODER_TYPES) else "decoder"
    kv = pick("num_key_value_heads", "n_head_kv", "num_kv_heads", default=heads)
    if config.get("multi_query"):
        kv = 1
    experts = pick("num_local_experts", "num_experts", "n_routed_experts", default=1)
    activation = str(pick("feed_forward_proj", "dense_act_fn", default=""))
    head_dim = pick("head_dim", "d_kv", default=width // heads)
    return Architecture(
        name=name or str(config.get("_name_or_path") or model_type or "model"),
        kind=kind,
        layers=int(layers),
        width=int(width),
        heads=int(heads),
        kv_heads=int(kv),
        head_dim=int(head_dim),
        ffn=int(
            (pick("moe_intermediate_size") if experts > 1 else None)
            or pick(
                "intermediate_size", "n_inner", "d_ff", "ffn_dim", "hidden_dim", "encoder_ffn_dim", default=4 * width
            )
        ),
        gated=any(one in model_type for one in GATED_TYPES) or "gated" in activation,
        vocab=int(pick("vocab_size", default=0)),
        positions=0
        if "rope_theta" in config
        else int(pick("max_position_embeddings", "n_positions", default=0) or 0)
        if kind == "encoder" or model_type in ("gpt2", "opt")
        else 0,
        types=int(pick("type_vocab_size", default=0)),
        tied=bool(pick("tie_word_embeddings", default=kind == "encoder" or model_type in ("gpt2", "opt", "bloom"))),
        bias=kind == "encoder" or model_type in ("gpt2", "opt", "gpt_neox", "bloom"),
        experts=int(experts),
        active_experts=int(pick("num_experts_per_tok", default=1)),
        decoder_layers=int(pick("num_decoder_layers", "decoder_layers", default=layers)) if both else 0,
        embedding_width=int(pick("embedding_size", default=width)),
        shared_layers=model_type == "albert",
        context=int(pick("max_position_embeddings", "n_positions", "max_seq_len", default=0) or 0),
    )


def load(model: str) -> Architecture:
    """A model by catalogue name, by a folder with `config.json`, or by the file itself.

    Raises:
        UsageError: unknown name; DataError: a file that is no JSON object.
    """
    path = Path(model)
    if path.is_dir() and (path / "config.json").exists():
        path = path / "config.json"
    if path.suffix == ".json":
        try:
            config = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise DataError(f"{path.name} cannot be read as a model's config.json: {error}") from error
        if not isinstance(config, dict):
            raise DataError(f"{path.name} holds no JSON object; expected a model's config.json")
        return from_config(config, path.parent.name or path.stem)
    return named(model)
