"""One colour per kind of recommender, one shape per precision, on every chart and report."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from llmrec_core.contract.families import recorded_family
from llmrec_core.contract.spec import RecommenderSpec, RunSpec
from llmrec_core.language import marked, t

COLOURS = {
    "cheap": "#7a8296",
    "fusion": "#ae8e57",
    "sequential": "#2c6e50",
    "two towers": "#ff5e09",
    "cross-encoder": "#3088f6",
    "decoder": "#c90001",
    "cascade": "#7f1cff",
    "hosted": "#8b44a0",
}
"""By the group of a family. Each is at least 3 : 1 against a white and a dark page, and they can be
told apart by readers who do not see red, green or blue: found by search, held to by a test."""
SERIES = tuple(
    COLOURS[group]
    for group in (
        *("cross-encoder", "two towers", "sequential", "cascade"),
        *("decoder", "fusion", "hosted"),
    )
)
"""The same colours for lines that stand for no kind, such as runs or devices."""
FOR, AGAINST, WHOLE = COLOURS["cross-encoder"], COLOURS["two towers"], COLOURS["cheap"]
"""What speaks for an item, what against it, and a total."""
TITLES = {
    "cheap": marked("Counts, words, factors"),
    "fusion": marked("Fusion"),
    "sequential": marked("Sequential"),
    "two towers": marked("Two towers"),
    "cross-encoder": marked("Cross-encoder"),
    "decoder": marked("Decoder"),
    "cascade": marked("Cascade"),
    "hosted": marked("Hosted model"),
}
SHAPES = {
    "fp32": "circle",
    "tf32": "hexagon",
    "bf16": "square",
    "fp16": "diamond",
    "int8": "triangle-down",
    "int8-dynamic": "triangle-up",
    "int4": "star",
}
"""By precision (plotly's names), in the order in which tables list precisions."""
NEUTRAL = "#8a93a6"
"""Of a shape that stands for a precision, whatever the kind of recommender."""


def size_label(spec: RecommenderSpec) -> str:
    """The model size of a row: "EASE", "minilm-l6, 4 layers"."""
    family = recorded_family(spec.family)
    if not spec.backbone or family.group not in ("cross-encoder", "decoder"):
        return family.title
    depth = t("{count} layers", count=spec.depth) if spec.depth else t("all layers")
    return f"{spec.backbone}, {depth}"


def colour(spec: RecommenderSpec) -> str:
    """Colour of the kind of recommender."""
    return COLOURS[recorded_family(spec.family).group]


def kind(spec: RecommenderSpec) -> str:
    """What the colour stands for, in the reader's language."""
    return t(TITLES[recorded_family(spec.family).group])


def shape(precision: str) -> str:
    """Shape of a precision; one that no table knows has a cross."""
    return SHAPES.get(precision, "cross")


@dataclass(frozen=True)
class Entry:
    """A line of a legend: its name, and the mark that stands for it."""

    name: str
    shape: str
    colour: str
    place: int
    """Of the first spec that it stands for."""


def legend(specs: Iterable[RunSpec]) -> list[Entry]:
    """What the colours and, where there are several precisions, the shapes stand for.

    Args:
        specs: of the runs that are drawn.
    """
    drawn = list(specs)
    kinds: dict[str, Entry] = {}
    for place, spec in enumerate(drawn):
        name = kind(spec.recommender)
        kinds.setdefault(name, Entry(name, "circle", colour(spec.recommender), place))
    return [*kinds.values(), *precisions(drawn)]


def precisions(specs: Iterable[RunSpec]) -> list[Entry]:
    """What the shapes stand for; nothing where all have one.

    Args:
        specs: of the runs that are drawn.
    """
    entries: dict[str, Entry] = {}
    for place, spec in enumerate(specs):
        name = spec.precision
        entries.setdefault(name, Entry(name, shape(name), NEUTRAL, place))
    return list(entries.values()) if len(entries) > 1 else []
