"""The runs of a ladder of sizes: one recommender again and again, with other layers and backbones.

Data, protocol, seeds and training are those of the template; layers, backbone, name and expected
minutes alone are each run's own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from llmrec_core.contract.families import families, family_named
from llmrec_core.contract.spec import RecommenderSpec, RunSpec, run_from_dict, stored_run
from llmrec_core.contract.spec_files import StudySpec, load_study
from llmrec_core.costmodel.facts import model_catalogue
from llmrec_core.errors import LlmrecError, UsageError
from llmrec_core.language import t
from llmrec_core.ledger.rows import RunRow
from llmrec_core.models.model_folder import BUILT_IN, locate
from llmrec_core.running.grid import run_name
from llmrec_core.settings import Settings

Depths = Mapping[str, Sequence[int]]
"""Layers to keep by backbone; 0 keeps all."""


def template_of_file(path: Path) -> StudySpec:
    """The study of a file with one row, which may have several seeds.

    Raises:
        UsageError: as `load_study`; for several rows; for a row that has no sizes.
    """
    study = load_study(path)
    bodies = [dataclasses.replace(run, name="", seed=0) for run in study.runs]
    if any(body != bodies[0] for body in bodies):
        raise UsageError(
            t(
                "{file} has {count} rows; a ladder is made of one: leave one [[run]] in it, or "
                "name a finished run with --run",
                file=path.name,
                count=len(study.runs),
            )
        )
    return _with_sizes(study)


def template_of_run(run: RunRow) -> StudySpec:
    """A run of the ledger as the template; its sizes join its study, which keeps its title.

    Raises:
        UsageError: for a run that has no sizes.
    """
    spec = run.spec if isinstance(run.spec, RunSpec) else stored_run(run.spec)
    return _with_sizes(StudySpec(run.study, run.study, (spec,)))


def _with_sizes(study: StudySpec) -> StudySpec:
    """The study, refused where layers of a backbone do not decide its recommender's size."""
    spec = study.runs[0]
    family = family_named(spec.recommender.family)
    if not family.backbones or family.group == "cascade":
        raise UsageError(
            t(
                "{name!r} is of the family {family!r}, which has no backbone of its own to be cut; "
                "a ladder takes one of {names}",
                name=spec.name,
                family=family.name,
                names=", ".join(
                    other.name
                    for other in families().values()
                    if other.backbones and other.group != "cascade"
                ),
            )
        )
    if spec.weights_from:
        raise UsageError(
            t(
                "{name!r} takes its weights from {source!r}; every size of a ladder is trained "
                "for itself: name {source!r} in its place",
                name=spec.name,
                source=spec.weights_from,
            )
        )
    return study


def layers_of(backbone: str, settings: Settings) -> int | None:
    """How many layers a backbone has; `None` where its config does not tell us.

    Raises:
        UsageError: for a name that is neither known, a folder, nor an id that can be fetched.
        UnsupportedError: for a folder that is not loaded here.
    """
    if backbone in BUILT_IN:
        architecture = model_catalogue.find(backbone)
        return None if architecture is None else architecture.layers
    folder = locate(backbone, settings)
    try:
        return model_catalogue.load(str(folder)).layers
    except LlmrecError:  # the run itself says what is wrong with it
        return None


def chosen_depths(
    wanted: Sequence[int],
    backbones: Sequence[str],
    template: RecommenderSpec,
    settings: Settings,
) -> tuple[dict[str, list[int]], list[str]]:
    """The layers of each backbone that can be kept, and a sentence on each that cannot.

    All layers are asked for by 0 or by their number, and are one size. They are written as 0 for a
    built-in backbone, whose number everybody can look up, and where the template has them so.

    Args:
        wanted: layers; 0 keeps all.
        backbones: names, folders or Hugging Face ids.
        template: the recommender whose sizes they are.
        settings: where backbones stand.

    Raises:
        UsageError: when a backbone has none of these sizes, and as `layers_of`.
    """
    kept: dict[str, list[int]] = {}
    left_out = []
    for backbone in dict.fromkeys(backbones):
        layers = layers_of(backbone, settings)
        as_template = backbone == template.backbone and not template.depth
        whole = 0 if backbone in BUILT_IN or as_template else layers or 0
        by_layers: dict[int, int] = {}
        for depth in sorted(wanted, reverse=True):  # a number goes before 0, which says less
            if layers is None or depth <= layers:
                by_layers.setdefault(depth or layers or 0, depth or whole)
        over = sorted({depth for depth in wanted if layers is not None and depth > layers})
        if over:
            numbers = ", ".join(map(str, over))
            values = {"backbone": backbone, "layers": layers, "numbers": numbers}
            if not by_layers:
                raise UsageError(
                    t(
                        "{backbone} has {layers} layers, so none of {numbers} can be kept; give "
                        "numbers from 1 to {layers}, or 0 for all",
                        **values,
                    )
                )
            left_out.append(
                t("{backbone} has {layers} layers; left out: {numbers}", **values),
            )
        kept[backbone] = [by_layers[count] for count in sorted(by_layers)]
    return kept, left_out


def ladder_study(template: StudySpec, depths: Depths) -> StudySpec:
    """The template's row once for each size, smallest first within each backbone.

    Args:
        template: a study of one row, with a run for each seed.
        depths: layers by backbone.

    Raises:
        UsageError: as `run_from_dict`.
    """
    runs = [
        _sized(spec, backbone, depth)
        for backbone, listed in depths.items()
        for depth in listed
        for spec in template.runs
    ]
    return dataclasses.replace(template, runs=tuple(runs), in_file_order=True)


def _sized(spec: RunSpec, backbone: str, depth: int) -> RunSpec:
    """The run with another size, the hashes of its content left to be filled in."""
    chosen = spec.recommender
    same = backbone == chosen.backbone
    scaled = spec.minutes * depth / chosen.depth if same and depth and chosen.depth else 0.0
    body = spec.to_dict()
    body["data"] |= {"content_hash": ""}
    body["recommender"] |= {"backbone": backbone, "backbone_hash": "", "depth": depth}
    body["minutes"] = spec.minutes if same and depth == chosen.depth else scaled
    sized = run_from_dict(body, spec.name)
    return dataclasses.replace(sized, name=run_name(sized))
