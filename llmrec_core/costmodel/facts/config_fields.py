"""The fields of a `config.json`: numbers found under the names families give them, and checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llmrec_core.errors import DataError
from llmrec_core.language import t

LAYERS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers", "encoder_layers")
WIDTH = ("hidden_size", "n_embd", "d_model", "dim", "emb_dim")
HEADS = (
    "num_attention_heads",
    "n_head",
    "n_heads",
    "num_heads",
    "encoder_attention_heads",
    "attention_heads",
)
TEXT_PARTS = (
    "text_config",
    "llm_config",
    "language_config",
    "language_model_config",
    "thinker_config",
)
"""Where models of several senses keep the part that reads text."""
EXPERT_FIELDS = (
    "num_local_experts",
    "num_experts",
    "n_routed_experts",
    "moe_num_experts",
    "num_moe_experts",
)
INNER_PARTS = ("attn_config", "ffn_config")
"""Where some families keep the fields of attention and feed-forward."""
LIMITS = {
    **dict.fromkeys(LAYERS, 2_000),
    **dict.fromkeys(WIDTH, 1_000_000),
    **dict.fromkeys(HEADS, 100_000),
}
LARGEST = 1_000_000_000


@dataclass(frozen=True)
class Fields:
    """A config whose values are looked up by several names; a null is as if it were left out."""

    body: Mapping[str, Any]
    name: str
    """What messages call the model."""

    @property
    def model_type(self) -> str:
        """The family, in lower case; empty where it is not stated."""
        value = self.body.get("model_type")
        return value.lower() if isinstance(value, str) else ""

    def value(self, *names: str) -> object:
        """The first value that stands under one of the names; None where none does."""
        inner = [self.body.get(part) for part in INNER_PARTS]
        for body in (self.body, *(part for part in inner if isinstance(part, Mapping))):
            for name in names:
                if body.get(name) is not None:
                    return body[name]
        return None

    def whole(self, *names: str, least: int = 1) -> int | None:
        """The whole number under one of the names; None where none stands.

        Raises:
            DataError: for anything but a whole number in range.
        """
        value = self.value(*names)
        if value is None:
            return None
        numbers = value if isinstance(value, list) and value else [value]
        most = LIMITS.get(names[0], LARGEST)
        if not all(_is_whole(number, least, most) for number in numbers):
            raise DataError(
                t(
                    "config.json of {name}: {field} is {value!r}; expected a whole number from "
                    "{least} to {most}",
                    name=self.name,
                    field=names[0],
                    value=value,
                    least=least,
                    most=most,
                )
            )
        return round(sum(numbers) / len(numbers))  # a list has a number for each layer

    def whole_or(self, default: int, *names: str, least: int = 1) -> int:
        """The whole number under one of the names, else the default."""
        value = self.whole(*names, least=least)
        return default if value is None else value

    def needed(self, *names: str) -> int:
        """The whole number under one of the names.

        Raises:
            DataError: where none stands, naming all that are missing.
        """
        value = self.whole(*names)
        if value is None:
            missing = [
                keys[0] for keys in (LAYERS, WIDTH, HEADS) if self.value(*keys) is None
            ] or list(names[:1])
            raise DataError(
                t(
                    "config.json of {name} lacks {fields}, and its family {family!r} is not known "
                    "to fill them; expected the config of a transformer",
                    name=self.name,
                    fields=", ".join(missing),
                    family=self.model_type or t("not stated"),
                )
            )
        return value

    def flag(self, *names: str) -> bool | None:
        """The truth value under one of the names; None where none stands."""
        value = self.value(*names)
        return value if isinstance(value, bool) else None

    def text(self, *names: str) -> str:
        """The text under one of the names, in lower case; empty where none stands."""
        value = self.value(*names)
        return value.lower() if isinstance(value, str) else ""

    def listed(self, *names: str) -> list[str]:
        """The list of texts under one of the names; empty where none stands."""
        value = self.value(*names)
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            return []
        return [item.lower() for item in value]


def _is_whole(value: object, least: int, most: int) -> bool:
    """Whether a value is a whole number in range; `true` and `false` are none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return value == value and least <= value <= most and value == int(value)


def text_part(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The part of a config that sizes the reader of text: itself, or one it holds."""
    for part in TEXT_PARTS:
        inner = config.get(part)
        if isinstance(inner, Mapping) and inner:
            return text_part(inner)
    return config
