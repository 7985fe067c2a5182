"""One colour per precision and one shape per model size, the same on every chart and report."""

from __future__ import annotations

from llmrec_core.contract.families import recorded_family
from llmrec_core.contract.spec import RecommenderSpec
from llmrec_core.language import t

COLOURS = {
    "fp32": "#4a80ea",
    "tf32": "#1796a8",
    "bf16": "#2e9d62",
    "fp16": "#8a9a1e",
    "int8": "#d9702b",
    "int8-dynamic": "#c2405b",
    "int4": "#8d5bc7",
}

_DEPTHS = ("cross", "x", "star", "hexagram", "star-diamond", "hourglass", "octagon", "hexagon")


def size_label(spec: RecommenderSpec) -> str:
    """The model size that a shape stands for: "EASE", "minilm-l6, 4 layers"."""
    family = recorded_family(spec.family)
    if not spec.backbone or family.shape:
        return family.title
    depth = t("{count} layers", count=spec.depth) if spec.depth else t("all layers")
    return f"{spec.backbone}, {depth}"


def shapes(specs: list[RecommenderSpec]) -> dict[str, str]:
    """Shape by size label: a family keeps its own, sizes of a backbone take theirs in order."""
    by_label: dict[str, str] = {}
    sizes: list[str] = []
    for spec in specs:
        label, shape = size_label(spec), recorded_family(spec.family).shape
        if shape:
            by_label[label] = shape
        elif label not in sizes:
            sizes.append(label)
    for index, label in enumerate(sorted(sizes)):
        by_label[label] = _DEPTHS[index % len(_DEPTHS)]
    return by_label


def colour(precision: str) -> str:
    """Colour of a precision."""
    return COLOURS.get(precision, "#7a7a7a")
