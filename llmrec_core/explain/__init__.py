"""Why an item was recommended: one engine, one record, one writer of sentences.

`Explainer` and `Explanation` are loaded when they are used, so that reading a record needs no
model.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmrec_core.explain.explainer import Explainer as Explainer
    from llmrec_core.explain.explanation import Explanation as Explanation

_PLACES = {
    "Explainer": "llmrec_core.explain.explainer",
    "Explanation": "llmrec_core.explain.explanation",
}
__all__ = ["Explainer", "Explanation"]


def __getattr__(name: str) -> object:
    if name in _PLACES:
        return getattr(importlib.import_module(_PLACES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
