"""Values as JSON holds them: what a record may contain, and one spelling of it for digests."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, TypeAlias, runtime_checkable

from llmrec_core.language import t

Json: TypeAlias = Any
"""A JSON value. Whoever reads a document knows its shape; the ledger does not."""


@runtime_checkable
class _Array(Protocol):
    """A NumPy scalar or array, which this module does not import."""

    def tolist(self) -> Json:
        """Return the values as Python's own."""


def jsonable(body: object) -> Json:
    """Return `body` with NumPy values as Python's, paths as text and NaN or infinity as null.

    Args:
        body: mappings, sequences, numbers, text, arrays and paths in any depth.

    Raises:
        TypeError: when it holds something that JSON cannot.
    """
    if isinstance(body, Mapping):
        return {str(key): jsonable(value) for key, value in body.items()}
    if isinstance(body, (list, tuple, set)):
        return [jsonable(value) for value in body]
    if isinstance(body, float):
        return body if math.isfinite(body) else None
    if body is None or isinstance(body, (str, int, bool)):
        return body
    if isinstance(body, _Array):
        return jsonable(body.tolist())
    if isinstance(body, Path):
        return str(body)
    raise TypeError(
        t(
            "a document holds a {name}, which JSON cannot; pass dicts, lists, text and numbers",
            name=type(body).__name__,
        )
    )


def digest_of(body: Json) -> str:
    """Return the SHA-256 of a JSON value, the same for equal values however they were stored.

    Args:
        body: as `jsonable` returns it.
    """
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
