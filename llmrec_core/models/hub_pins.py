"""Models of the Hugging Face hub that may be fetched, each at one commit: `HOME/hub.toml`.

    [models]
    "Qwen/Qwen2.5-0.5B-Instruct" = "0123456789abcdef0123456789abcdef01234567"

A name of the hub may hold other files tomorrow, or belong to somebody else. So nothing is fetched
that is not on this list, and nothing but the commit that stands there.
"""

from __future__ import annotations

from dataclasses import field
from typing import Annotated

from pydantic import Field

from llmrec_core.contract.parsing import Text, parse, parsed
from llmrec_core.errors import UsageError
from llmrec_core.files import read_toml
from llmrec_core.language import t
from llmrec_core.settings import Settings

FILE = "hub.toml"

Name = Annotated[Text, Field(pattern=r"^[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?$", max_length=96)]
Commit = Annotated[Text, Field(pattern=r"^[0-9a-f]{40}$")]


@parsed
class HubPins:
    """What `hub.toml` says."""

    models: dict[Name, Commit] = field(default_factory=dict)
    """Commit by the model's name on the hub."""


def pinned_commit(name: str, settings: Settings) -> str:
    """Return the commit at which a model of the hub may be fetched.

    Raises:
        UsageError: for a model that is not on the list, or a list that is wrong.
    """
    path = settings.home / FILE
    pins = parse(HubPins, read_toml(path), FILE) if path.exists() else HubPins()
    if name not in pins.models:
        raise UsageError(
            t(
                "{name!r} is no built-in backbone and no folder. A model of the Hugging Face hub "
                "is fetched only when {path} names it with its commit (40 digits, from the page "
                'of its files): [models] and below it "{name}" = "…"',
                name=name[:100],
                path=path,
            )
        )
    return pins.models[name]
