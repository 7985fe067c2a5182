"""Runs that use another run's trained weights: which one, and what that does to their hash.

`weights_from` is the name of a row of the same study, or `best:FAMILY` for the row of that family
with the best validation NDCG@10. The hash of such a run contains the hashes of the rows it can take
weights from, so that a changed source makes it a new run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

from llmrec_core.contract.spec import RunSpec
from llmrec_core.contract.spec_files import StudySpec
from llmrec_core.errors import UsageError
from llmrec_core.language import t

BEST = "best:"


@dataclass(frozen=True)
class Source:
    """A row as far as others can use its weights."""

    name: str
    family: str
    weights_from: str
    hash: str = ""


def sources_of(spec: RunSpec, rows: list[Source], study: str) -> list[Source]:
    """Return the rows that `spec.weights_from` can mean.

    Rows with borrowed weights themselves are no candidates for the best of a family.

    Raises:
        UsageError: when it fits none of them.
    """
    wanted = spec.weights_from
    if wanted.startswith(BEST):
        family = wanted.removeprefix(BEST)
        sources = [row for row in rows if row.family == family and not row.weights_from]
    else:
        sources = [row for row in rows if row.name == wanted]
    if sources:
        return sources
    near = get_close_matches(wanted, [row.name for row in rows], n=1)
    hint = (
        t("Did you mean {near!r}?", near=near[0])
        if near
        else t("Name one of its rows, or best:FAMILY.")
    )
    raise UsageError(
        t(
            "run {name!r}: weights_from = {wanted!r} fits no run of the study {study!r}. {hint}",
            name=spec.name,
            wanted=wanted,
            study=study,
            hint=hint,
        )
    )


def _chain(spec: RunSpec, hashes: Iterable[str]) -> str:
    return hashlib.sha256("/".join([spec.hash, *sorted(hashes)]).encode()).hexdigest()[:16]


def chained_hash(spec: RunSpec, rows: list[Source], study: str) -> str:
    """Return the hash of a run that joins a study with these rows.

    Raises:
        UsageError: when `weights_from` fits none of them.
    """
    if not spec.weights_from:
        return spec.hash
    return _chain(spec, [row.hash for row in sources_of(spec, rows, study)])


def study_hashes(study: StudySpec) -> dict[str, str]:
    """Return the hash of each run of a study, by name.

    Raises:
        UsageError: when a `weights_from` fits no run, or runs wait for each other in a circle.
    """
    by_name = {spec.name: spec for spec in study.runs}
    rows = [Source(spec.name, spec.recommender.family, spec.weights_from) for spec in study.runs]
    hashes: dict[str, str] = {}

    def of(name: str, path: tuple[str, ...]) -> str:
        if name in path:
            raise UsageError(
                t(
                    "study {name!r}: {circle}: runs wait for each other's weights",
                    name=study.name,
                    circle=" → ".join((*path, name)),
                )
            )
        if name not in hashes:
            spec = by_name[name]
            if spec.weights_from:
                hashes[name] = _chain(
                    spec,
                    [of(row.name, (*path, name)) for row in sources_of(spec, rows, study.name)],
                )
            else:
                hashes[name] = spec.hash
        return hashes[name]

    for name in by_name:
        of(name, ())
    return hashes
