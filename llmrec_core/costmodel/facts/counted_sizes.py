"""Sizes that transformers counted for a `config.json`, kept under the home by the config's hash.

The web process must not import transformers, so a worker or the command line builds the
architecture without memory (`running/model_sizes.py`) and writes what it counted here; whoever
asks later reads it. A config that was never counted, or whose family transformers does not know,
is read by our own formulas, and says so.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from llmrec_core.costmodel.facts.architecture import Architecture, Sizes
from llmrec_core.costmodel.facts.config_reading import ABOUT_WEIGHTS, from_config
from llmrec_core.files import write_text
from llmrec_core.language import marked

NOT_COUNTED = marked(
    "its weights were read by our own formulas and not counted; `estimate --model FOLDER` counts "
    "them where transformers knows the family"
)
LARGEST = 10**15


class Counted(BaseModel):
    """What was counted of one config."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    config: dict[str, Any]
    """The config as transformers fills it: what is left out has the family's default."""
    total: int = Field(ge=1, le=LARGEST)
    embedding: int = Field(ge=0, le=LARGEST)
    head: int = Field(ge=0, le=LARGEST)
    head_stored: bool
    routed: int = Field(ge=0, le=LARGEST)
    beside: int = Field(ge=0, le=LARGEST)
    source: str = Field(min_length=1, max_length=200)

    def sizes(self) -> Sizes:
        """The counts as the cost model takes them."""
        return Sizes(
            self.total,
            self.embedding,
            self.head,
            self.head_stored,
            self.routed,
            self.beside,
            self.source,
        )


def digest(config: Mapping[str, Any]) -> str:
    """The hash that a config's sizes are kept by: of its content in any order of its keys."""
    text = json.dumps(config, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _path(home: Path, config: Mapping[str, Any]) -> Path:
    return home / "costmodel" / "sizes" / f"{digest(config)}.json"


def keep(home: Path, config: Mapping[str, Any], counted: Counted) -> None:
    """Keep what was counted for a config."""
    write_text(_path(home, config), counted.model_dump_json())


def kept(home: Path, config: Mapping[str, Any]) -> Counted | None:
    """What was counted for a config; None where nothing was, or the file is damaged."""
    try:
        return Counted.model_validate_json(_path(home, config).read_text(encoding="utf-8"))
    except (OSError, ValidationError, ValueError):
        return None


def architecture(config: Mapping[str, Any], name: str, home: Path | None) -> Architecture:
    """The architecture of a config, with counted sizes where they are kept.

    Args:
        config: the document of a `config.json`.
        name: what to call the model.
        home: where counted sizes are kept; None reads by our own formulas.

    Raises:
        DataError: for a config that describes no model.
    """
    counted = None if home is None else kept(home, config)
    if counted is None:
        shape = from_config(config, name)
        return replace(shape, unknown=(*shape.unknown, NOT_COUNTED))
    shape = from_config(counted.config, name)
    open_still = tuple(sentence for sentence in shape.unknown if sentence not in ABOUT_WEIGHTS)
    return replace(shape, sizes=counted.sizes(), unknown=open_still)
