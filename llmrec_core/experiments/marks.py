"""One colour per precision and one shape per model size, the same on every chart and in the report."""

from __future__ import annotations

from llmrec_core.experiments.spec import RecommenderSpec
from llmrec_core.experiments.words import family_title

COLOURS = {
    "fp32": "#4a80ea",
    "tf32": "#1796a8",
    "bf16": "#2e9d62",
    "fp16": "#8a9a1e",
    "int8": "#d9702b",
    "int8-dynamic": "#c2405b",
    "int4": "#8d5bc7",
}

_FIXED = {
    "popularity": "circle",
    "item-knn": "square",
    "ease": "diamond",
    "tf-idf": "triangle-left",
    "bm25": "triangle-right",
    "als": "diamond-tall",
    "bpr": "diamond-wide",
    "fusion": "star-square",
    "sasrec": "triangle-up",
    "text-sasrec": "triangle-down",
    "bi-encoder": "pentagon",
    "cascade": "bowtie",
}
_DEPTHS = ("cross", "x", "star", "hexagram", "star-diamond", "hourglass", "octagon", "hexagon")


def size_label(spec: RecommenderSpec) -> str:
    """The model size a shape stands for: "EASE", "minilm-l6, 4 layers"."""
    if not spec.backbone or spec.family in _FIXED:
        return family_title(spec.family)
    depth = f"{spec.depth} layers" if spec.depth else "all layers"
    return f"{spec.backbone}, {depth}"


def shapes(specs: list[RecommenderSpec]) -> dict[str, str]:
    """Shape by size label; a family's shape never changes, sizes of a backbone take theirs in order."""
    known, sizes = {}, []
    for spec in specs:
        label = size_label(spec)
        if spec.family in _FIXED:
            known[label] = _FIXED[spec.family]
        elif label not in sizes:
            sizes.append(label)
    for index, label in enumerate(sorted(sizes)):
        known[label] = _DEPTHS[index % len(_DEPTHS)]
    return known


def colour(precision: str) -> str:
    """Colour of a precision."""
    return COLOURS.get(precision, "#7a7a7a")
