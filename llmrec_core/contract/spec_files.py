"""Runs and studies from TOML files: one run, or `[defaults]` and `[[run]]` tables."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from llmrec_core.contract import letters
from llmrec_core.contract.bounds import Name, Seed
from llmrec_core.contract.families import family_named
from llmrec_core.contract.parsing import Flag, Text, parse, parsed
from llmrec_core.contract.spec import RunSpec, run_from_dict
from llmrec_core.errors import UsageError
from llmrec_core.files import read_toml
from llmrec_core.language import t


@dataclasses.dataclass(frozen=True)
class StudySpec:
    """A named list of runs that share data and protocol."""

    name: str
    title: str
    runs: tuple[RunSpec, ...]
    in_file_order: bool = False
    """Whether its runs are taken in this order, and not the cheap ones first."""


@parsed
class _StudyFile:
    """A study's file; its runs are parsed one by one once the defaults stand under them."""

    name: Name = ""
    title: Name = ""
    in_file_order: Flag = False
    defaults: dict[Text, Any] = field(default_factory=dict)
    run: tuple[dict[Text, Any], ...] = ()


@parsed
class _SeedsOfRun:
    """The seeds of a study's row: each becomes a run, and the runs are read as one row."""

    seeds: Annotated[tuple[Seed, ...], Field(min_length=1, max_length=100)] = (0,)

    def __post_init__(self) -> None:
        """Refuse a seed that stands twice: it would be the same run."""
        if len(set(self.seeds)) < len(self.seeds):
            raise UsageError(
                t(
                    "seeds is {seeds}; expected each seed once",
                    seeds=", ".join(map(str, self.seeds)),
                )
            )


def load_run(path: Path) -> RunSpec:
    """One run from a TOML file.

    Args:
        path: of the file, whose name stands in a refusal.

    Raises:
        UsageError: as `read_toml` and `run_from_dict`.
    """
    return run_from_dict(read_toml(path), path.name)


def load_study(path: Path) -> StudySpec:
    """A study from a TOML file with `name`, `title`, `[defaults]` and `[[run]]` tables.

    A row with `seeds = [0, 1, 2]` becomes a run for each of them, named "NAME, seed 0" and so on.

    Args:
        path: of the file, whose name stands in a refusal and names a study without a name.

    Raises:
        UsageError: as `read_toml` and `run_from_dict`; when there is no run; and when two runs
            have one name.
    """
    file = parse(_StudyFile, read_toml(path), path.name)
    if not file.run:
        raise UsageError(
            t("{file}: expected name, title, [defaults] and at least one [[run]]", file=path.name)
        )
    runs = tuple(
        run
        for number, table in enumerate(file.run, 1)
        for run in _runs_of_row(
            _merge(file.defaults, table),
            t("{file}: run {name!r}", file=path.name, name=table.get("name", number)),
        )
    )
    names = [run.name for run in runs]
    for name in names:
        if not name or names.count(name) > 1:
            raise UsageError(
                t(
                    "{file}: every run needs a name of its own; {name!r} is empty or repeated",
                    file=path.name,
                    name=name,
                )
            )
    _require_letters_of_sources(runs, path.name)
    return StudySpec(file.name or path.stem, file.title or path.stem, runs, file.in_file_order)


def _require_letters_of_sources(runs: Sequence[RunSpec], file: str) -> None:
    """Refuse a run that would have another run's letters order more than the alphabet."""
    by_name = {run.name: run for run in runs}
    for run in runs:
        source = by_name.get(run.weights_from)
        if source is not None and source.recommender.head == letters.HEAD:
            try:
                if family_named(run.recommender.family).has_teacher:
                    letters.require_teacher(source.recommender, source.name)
                else:
                    letters.require_few(run.recommender)
            except UsageError as error:
                raise UsageError(
                    t(
                        "{where}: {sentence}",
                        where=t("{file}: run {name!r}", file=file, name=run.name),
                        sentence=error,
                    )
                ) from None


def _runs_of_row(table: Mapping[str, Any], where: str) -> list[RunSpec]:
    """The runs of a study's row: one, or one for each of its seeds."""
    fields = dict(table)
    if "seeds" not in fields:
        return [run_from_dict(fields, where)]
    seeds = parse(_SeedsOfRun, {"seeds": fields.pop("seeds")}, where).seeds
    name = fields.get("name", "")
    return [
        run_from_dict({**fields, "seed": seed, "name": f"{name}, seed {seed}"}, where)
        for seed in seeds
    ]


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for name, value in over.items():
        below = merged.get(name)
        if isinstance(value, dict) and isinstance(below, dict):
            value = _merge(below, value)
        merged[name] = value
    return merged
