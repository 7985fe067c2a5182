"""A recommender from its folder alone, where its family keeps the spec beside the weights."""

from __future__ import annotations

import json
from pathlib import Path

from llmrec_core.contract.recommender import Recommender
from llmrec_core.contract.spec import RunSpec, stored_run
from llmrec_core.data.dataset import Dataset
from llmrec_core.errors import CheckpointError
from llmrec_core.language import t
from llmrec_core.recommenders.registry import family_class, stored_as

SPEC_FILES = ("cascade.json", "hosted.json", "state.json", "spec.json")
"""Where families write their spec; a cascade's folder holds its reader's as well, further down."""


def stored_spec(folder: Path) -> RunSpec | None:
    """The spec of the recommender in a folder; None where its family keeps none.

    Args:
        folder: that `Recommender.save` has written.

    Raises:
        CheckpointError: when the file that holds it cannot be read.
    """
    file = next((folder / name for name in SPEC_FILES if (folder / name).is_file()), None)
    if file is None:
        return None
    try:
        state = json.loads(file.read_text(encoding="utf-8"))
        return stored_run(state.get("spec", state))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _unreadable(folder, file.name) from error


def required_spec(folder: Path) -> RunSpec:
    """As `stored_spec`, for a family that always keeps one.

    Args:
        folder: that `Recommender.save` has written.

    Raises:
        CheckpointError: when there is none, or it cannot be read.
    """
    spec = stored_spec(folder)
    if spec is None:
        raise _unreadable(folder, "state.json")
    return spec


def _unreadable(folder: Path, manifest: str) -> CheckpointError:
    return CheckpointError(
        t(
            "{folder} has no readable {manifest}: it is incomplete; train again or restore it",
            folder=folder,
            manifest=manifest,
        )
    )


def stored_recommender(folder: Path, dataset: Dataset) -> tuple[RunSpec, Recommender] | None:
    """The recommender in a folder and its spec; None where its family keeps no spec.

    Args:
        folder: that `Recommender.save` has written.
        dataset: what it was fitted on.

    Raises:
        CheckpointError: when a file is damaged or was fitted on other data.
    """
    spec = stored_spec(folder)
    if spec is None:
        return None
    return spec, family_class(stored_as(spec.recommender)).load(folder, dataset)
