"""The architectures the product knows by name, and shapes from a parameter count or dimensions."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from llmrec_core.costmodel.facts import counted_sizes, csv_facts
from llmrec_core.costmodel.facts.architecture import Architecture, CacheLayers
from llmrec_core.errors import DataError, UsageError
from llmrec_core.language import t

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
    "gemma3-270m": "gemma-3-270m",
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


@lru_cache(maxsize=1)
def catalogue() -> dict[str, Architecture]:
    """Every architecture of `assets/costmodel/models.csv` by name."""
    return {row["name"]: _row(row) for row in csv_facts.rows("models")}


def _row(row: dict[str, str]) -> Architecture:
    published = csv_facts.number(row["published_params_m"])
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
        caches=_caches(row),
    )


def _caches(row: dict[str, str]) -> tuple[CacheLayers, ...]:
    """What the layers of a model with windows keep; nothing where every layer sees all tokens."""
    if not row["window"]:
        return ()
    layers, every = int(row["layers"]), int(row["full_every"])
    first = row["kind"] == "encoder"  # ModernBERT begins with a full layer, decoders with a window
    full = math.ceil(layers / every) if first else layers // every
    per_token = 2 * int(row["kv_heads"]) * int(row["head_dim"])
    return (
        CacheLayers(layers - full, per_token, int(row["window"])),
        CacheLayers(full, per_token),
    )


DROPPED_STARTS = re.compile(r"^(meta-|facebook-|google-|tiiuae-|microsoft-|sentence-transformers-)")
DROPPED_PARTS = ("-instruct", "-chat", "-hf", "-uncased", "-cased", "-base-en-v1.5", "-base-model")
DROPPED_ENDS = (
    re.compile(r"-it$"),
    re.compile(r"-(gptq|awq)(-int\d)?$"),
    re.compile(r"-v\d+(\.\d+)?$"),
)


def _fold(name: str) -> str:
    """A name without owner, version and the endings of tuned or packed variants."""
    folded = name.strip().lower().rsplit("/", 1)[-1].replace("_", "-").replace(" ", "-")
    folded = DROPPED_STARTS.sub("", folded)
    for part in DROPPED_PARTS:
        folded = folded.replace(part, "")
    for end in DROPPED_ENDS:
        folded = end.sub("", folded)
    return folded


@lru_cache(maxsize=1)
def _folded() -> dict[str, str]:
    return {_fold(name): name for name in catalogue()} | ALIASES


@lru_cache(maxsize=4096)
def find(name: str) -> Architecture | None:
    """The entry of the catalogue for a name as people write it, or None.

    >>> find("Qwen/Qwen2.5-7B-Instruct").name
    'qwen2.5-7b'
    """
    entry = _folded().get(_fold(name))
    return None if entry is None else catalogue()[entry]


def named(name: str, params: float | None = None, kind: str = "") -> Architecture:
    """The architecture of a name; of an unknown name with a parameter count, one inferred from it.

    Args:
        name: a name of the catalogue, a Hugging Face id or an alias.
        params: total parameters, used only when the name is unknown.
        kind: encoder, decoder or encoder-decoder, used only when the name is unknown.

    Raises:
        UsageError: for an unknown name without a parameter count.
    """
    if not name.strip():
        if params:
            return guess("unnamed", params, kind or "decoder")
        raise UsageError(
            t("the model has no name; expected one of the catalogue, e.g. minilm-l6-h384")
        )
    entry = find(name)
    if entry is not None:
        return entry
    if params and params > 0:
        return guess(name, params, kind or "decoder")
    raise UsageError(
        t(
            "unknown model {name!r}; near names: {near}. A config.json, or layers, width and "
            "heads, describes any other.",
            name=name,
            near=csv_facts.nearest(name, catalogue()),
        )
    )


def guess(name: str, params: float, kind: str) -> Architecture:
    """Dimensions typical of a parameter count.

    The shape of the catalogue's nearest model of that kind (by the logarithm of its parameters) is
    kept and its width scaled by the square root.

    Args:
        name: what to call the model.
        params: total parameters.
        kind: encoder, decoder or encoder-decoder.
    """
    dense = [
        (shape, shape.published_params)
        for shape in catalogue().values()
        if shape.kind == kind and shape.experts == 1 and shape.published_params
    ]
    near, published = min(dense, key=lambda pair: abs(math.log(pair[1] / params)))
    scale = (params / published) ** 0.5
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


def config_path(model: str) -> Path | None:
    """The `config.json` that a model is described by: a folder's, or the file itself; else None."""
    path = Path(model)
    if path.is_dir() and (path / "config.json").exists():
        return path / "config.json"
    return path if path.suffix == ".json" else None


LARGEST_CONFIG_BYTES = 2_000_000
"""Of a config that is read; public ones have up to some ten thousand."""


def read_config(path: Path) -> dict[str, Any]:
    """The document of a `config.json`.

    Raises:
        DataError: for a file that cannot be read, is too large or is no JSON object.
    """
    try:
        if path.stat().st_size > LARGEST_CONFIG_BYTES:
            raise DataError(
                t(
                    "{name} is larger than {most:,} bytes; expected a model's config.json",
                    name=path.name,
                    most=LARGEST_CONFIG_BYTES,
                )
            )
        config = json.loads(path.read_text(encoding="utf-8"))
    except DataError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(
            t(
                "{name} cannot be read as a model's config.json: {error}",
                name=path.name,
                error=error,
            )
        ) from error
    if not isinstance(config, dict):
        raise DataError(
            t("{name} holds no JSON object; expected a model's config.json", name=path.name)
        )
    return config


def load(model: str, home: Path | None = None) -> Architecture:
    """A model by name of the catalogue, by a folder with `config.json`, or by the file itself.

    Args:
        model: the name, the folder or the file.
        home: where counted sizes are kept; without it a config is read by our own formulas.

    Raises:
        UsageError: for an unknown name.
        DataError: for a file that describes no model.
    """
    path = config_path(model)
    if path is None:
        return named(model)
    return counted_sizes.architecture(read_config(path), path.parent.name or path.stem, home)
