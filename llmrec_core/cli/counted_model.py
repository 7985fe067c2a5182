"""A model that a command names: by the catalogue, or counted from its folder or `config.json`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from llmrec_core.language import t

if TYPE_CHECKING:
    from llmrec_core.costmodel.facts.architecture import Architecture


def counted_model(model: str) -> Architecture:
    """The architecture of a model, its weights counted where transformers knows the family.

    Args:
        model: a name of the catalogue, a folder with `config.json`, or the file itself.

    Raises:
        UsageError: for an unknown name.
        DataError: for a file that describes no model.
    """
    from llmrec_core.costmodel.facts import model_catalogue
    from llmrec_core.costmodel.facts.counted_sizes import NOT_COUNTED
    from llmrec_core.running import model_sizes
    from llmrec_core.settings import load_settings

    home = load_settings().home
    reason = model_sizes.ensure(model, home)
    shape = model_catalogue.load(model, home)
    if not reason:
        return shape
    kept = (sentence for sentence in shape.unknown if sentence != NOT_COUNTED)
    said = t("its weights were read by our own formulas: {reason}", reason=reason)
    return replace(shape, unknown=(*kept, said))
