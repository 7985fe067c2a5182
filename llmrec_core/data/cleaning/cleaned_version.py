"""A cleaned version of a stored data set; the one that it was made from stays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from llmrec_core.data import store
from llmrec_core.data.catalogue import load_dataset
from llmrec_core.data.cleaning import inspection
from llmrec_core.data.cleaning.report import Report
from llmrec_core.errors import UsageError
from llmrec_core.language import t
from llmrec_core.settings import Settings


@dataclass(frozen=True)
class Cleaned:
    """What cleaning came to."""

    version: int | None
    """None where there was nothing to change."""
    content_hash: str
    report: Report


def clean_and_store(
    name: str,
    settings: Settings,
    switches: Mapping[str, bool] | None = None,
    k_core: int = 0,
    *,
    tell: Callable[[Report], None] = lambda report: None,
) -> Cleaned:
    """Clean a data set into a version of its own.

    Args:
        name: of an imported set; `shop@1` is its first version.
        settings: where the home is.
        switches: check → on or off, over the defaults.
        k_core: interactions that users and items keep at least; 0 keeps all.
        tell: takes the report, also where nothing would be left.

    Raises:
        UsageError: for an unknown or built-in data set, an unknown switch, or when nothing would be
            left.
    """
    base = name.partition("@")[0]
    dataset = load_dataset(name, settings)
    if base in store.BUILT_IN:
        raise UsageError(
            t(
                "{name!r} is built in and stays as it is; import a copy under another name to "
                "clean it",
                name=name,
            )
        )
    cleaned, report = inspection.clean(dataset, switches, k_core)
    tell(report)
    if not len(cleaned.interactions):
        raise UsageError(
            t(
                "nothing would be left; switch something off, or let users and items with fewer "
                "interactions stay"
            )
        )
    if cleaned.content_hash == dataset.content_hash:
        return Cleaned(None, cleaned.content_hash, report)
    note = t("cleaned from {name}", name=name)
    stored = store.save(cleaned, settings, note=note, report=report.to_dict())
    return Cleaned(stored.number, cleaned.content_hash, report)
