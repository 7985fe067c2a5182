"""How far a long piece of work is, kept in the home where a page can read it.

The worker notes each step of the question that it answers; whoever asked that question reads it by
the same words. A file of a worker that was killed says nothing about the next one: noting begins
anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from llmrec_core.files import write_text
from llmrec_core.settings import Settings


class Step(BaseModel):
    """How far work under way is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    done: int = Field(ge=0)
    total: int = Field(ge=1)
    phase: str
    """What is being done, in a sentence."""


Progress = Callable[[Step], None]
"""Called at each step of a piece of work."""


def unnoted(step: Step) -> None:
    """Note a step nowhere."""


def step_of(kind: str, payload: Mapping[str, Any], settings: Settings) -> Step | None:
    """How far the answer to a question is; `None` when none is under way.

    Args:
        kind: of the question.
        payload: its fields, as the ledger holds them.
        settings: where the home is.
    """
    try:
        return Step.model_validate_json(_path(kind, payload, settings).read_bytes())
    except (OSError, ValidationError):
        return None


@contextmanager
def noting_steps(kind: str, payload: Mapping[str, Any], settings: Settings) -> Iterator[Progress]:
    """Keep each step where a page can read it, as long as the work lasts.

    Args:
        kind: of the question.
        payload: its fields, as the ledger holds them.
        settings: where the home is.

    Yields:
        What the work calls at each step.
    """
    path = _path(kind, payload, settings)
    path.unlink(missing_ok=True)
    try:
        yield lambda step: write_text(path, step.model_dump_json())
    finally:
        path.unlink(missing_ok=True)


def _path(kind: str, payload: Mapping[str, Any], settings: Settings) -> Path:
    words = json.dumps([kind, dict(payload)], sort_keys=True)
    name = hashlib.sha256(words.encode()).hexdigest()[:24]
    return settings.home / "steps" / f"{name}.json"
