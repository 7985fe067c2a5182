"""Count the weights of a model from its `config.json`, by building it without memory.

transformers builds the architecture on torch's meta device: every matrix has its shape and none
has its values, so a model of 671 thousand million weights takes a quarter of a second. No code of
the config's author runs and nothing is downloaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmrec_core.costmodel.facts import counted_sizes, model_catalogue
from llmrec_core.costmodel.facts.config_fields import EXPERT_FIELDS, LAYERS, Fields
from llmrec_core.costmodel.facts.config_reading import from_config
from llmrec_core.costmodel.facts.counted_sizes import Counted
from llmrec_core.errors import DataError, UnsupportedError
from llmrec_core.language import t

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel

NOT_PASSED = ("vision", "visual", "image", "audio", "multi_modal", "mm_projector", "embed_vision")
"""Parts of the names of modules that a token of text does not pass."""
EXPERTS = ".experts."
IGNORED = ("quantization_config", "auto_map", "torch_dtype", "dtype")
"""Keys of a config that change how weights are stored or whose code reads them, not how many."""
MOST_EXPERTS = 1_000_000
"""Layers times experts; the largest public model has 61 of 384."""


def ensure(model: str, home: Path) -> str:
    """Count a model given by a folder or a `config.json`, unless that was done before.

    Args:
        model: a name of the catalogue, which needs no counting, a folder or a file.
        home: where sizes are kept.

    Returns:
        Why the weights could not be counted; empty where they were, or need not be.

    Raises:
        DataError: for a file that is no JSON object.
    """
    path = model_catalogue.config_path(model)
    if path is None:
        return ""
    config = model_catalogue.read_config(path)
    if counted_sizes.kept(home, config) is not None:
        return ""
    try:
        counted_sizes.keep(home, config, count(config))
    except UnsupportedError as error:
        return str(error)
    return ""


def count(config: Mapping[str, Any]) -> Counted:
    """The weights of a model, part by part, with its config as its family fills it.

    Args:
        config: the document of a `config.json`.

    Raises:
        UnsupportedError: when transformers does not know the family or refuses the config.
        DataError: for sizes that no model has.
    """
    import torch
    import transformers

    check_sizes(config)
    try:
        filled, model = _built(config)
    except Exception as error:  # a config from outside may break any line of the library
        raise UnsupportedError(
            t(
                "transformers {version} cannot build the family {family!r} from this config: "
                "{error}",
                version=transformers.__version__,
                family=config.get("model_type"),
                error=(str(error) or type(error).__name__).splitlines()[0],
            )
        ) from error
    vectors = {
        id(weight)
        for module in model.modules()
        if isinstance(module, torch.nn.Embedding)
        for weight in module.parameters()
    }
    projection = model.get_output_embeddings()
    head = None if projection is None else next(projection.parameters())
    amounts = dict.fromkeys(("total", "beside", "embedding", "routed"), 0)
    for name, weight in model.named_parameters():
        amounts["total"] += weight.numel()
        part = _part(name, id(weight) in vectors)
        if part:
            amounts[part] += weight.numel()
    stored = head is not None and id(head) not in vectors
    text = filled.get_text_config().to_dict()
    text["tie_word_embeddings"] = not stored
    text["is_encoder_decoder"] = bool(config.get("is_encoder_decoder"))
    return Counted(
        config={key: value for key, value in text.items() if _is_plain(value)},
        head=0 if head is None else head.numel(),
        head_stored=stored,
        source=f"transformers {transformers.__version__}",
        **amounts,
    )


def check_sizes(config: Mapping[str, Any]) -> None:
    """Refuse a config whose numbers would take for ever to build.

    Args:
        config: fields of a config.json.

    Raises:
        DataError: for a number of layers or experts that no model has.
    """
    for part in _parts(config):
        fields = Fields(part, str(config.get("model_type") or t("the model")))
        layers = fields.whole(*LAYERS) or 1
        experts = fields.whole(*EXPERT_FIELDS, least=0) or 1
        if layers * experts > MOST_EXPERTS:
            raise DataError(
                t(
                    "config.json of {name}: {layers} layers of {experts} experts are more than any "
                    "model has",
                    name=fields.name,
                    layers=layers,
                    experts=experts,
                )
            )


def _parts(config: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The config and every config inside it."""
    inner = [value for value in config.values() if isinstance(value, Mapping)]
    return [config, *(part for value in inner for part in _parts(value))]


def _built(config: Mapping[str, Any]) -> tuple[PreTrainedConfig, PreTrainedModel]:
    """The config filled by its family, and the model without memory."""
    import torch
    from transformers import (
        AutoConfig,
        AutoModel,
        AutoModelForCausalLM,
        AutoModelForImageTextToText,
        AutoModelForSeq2SeqLM,
    )

    filled = AutoConfig.for_model(**{k: v for k, v in config.items() if k not in IGNORED})
    listed = config.get("architectures")
    head = listed[0] if isinstance(listed, list) and listed else ""
    if config.get("is_encoder_decoder"):
        builder = AutoModelForSeq2SeqLM
    elif head.endswith("ForConditionalGeneration"):
        builder = AutoModelForImageTextToText
    elif head.endswith(("ForCausalLM", "LMHeadModel")) or from_config(config).kind == "decoder":
        builder = AutoModelForCausalLM
    else:
        builder = AutoModel
    with torch.device("meta"):
        return filled, builder.from_config(filled)


def _part(name: str, vector: bool) -> str:
    """The part of a model that a weight belongs to; empty for what every token passes."""
    if any(word in name for word in NOT_PASSED):
        return "beside"
    if vector:
        return "embedding"
    return "routed" if EXPERTS in name else ""


def _is_plain(value: object) -> bool:
    """Whether a field of a filled config is JSON."""
    if isinstance(value, list | tuple):
        return all(_is_plain(item) for item in value)
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_plain(item) for key, item in value.items())
    return value is None or isinstance(value, str | int | float | bool)
