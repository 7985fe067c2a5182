"""The one table of families. A family of an installed package joins it by an entry point.

`docs/how-to/add-a-family.md` adds one, in this table or from a package of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points

from llmrec_core.contract.family import Family, Option
from llmrec_core.contract.family_options import (
    CODES,
    DECAY,
    DECODER_TRAINING,
    EXIT,
    FACTORS,
    HISTORY,
    ORDERS,
    POPULARITY,
    READER_TRAINING,
    SASREC_TRAINING,
    SEQUENTIAL,
    STUDENT,
    TIGER,
    TOWER_TRAINING,
    TOWERS,
    WORDS,
)
from llmrec_core.contract.parsing import near_name
from llmrec_core.errors import UsageError
from llmrec_core.language import marked, t

ENTRY_POINTS = "llmrec.families"
"""Group of entry points; each names a `Family`."""
_ROOM = "llmrec_core.recommenders"

BUILT_IN = (
    Family("popularity", marked("Popularity"), "cheap", f"{_ROOM}.popularity:Popularity"),
    Family(
        "directed-counts",
        marked("Directed counts"),
        "cheap",
        f"{_ROOM}.directed_counts:DirectedCounts",
        options={
            "history_items": Option(
                marked("Most recent items that count (5); 0 takes all."), 0, 100_000, whole=True
            ),
            "decay": DECAY,
            "popularity": POPULARITY,
        },
    ),
    Family(
        "item-knn",
        marked("Item-kNN"),
        "cheap",
        f"{_ROOM}.knn:ItemKnn",
        options={
            "history_items": HISTORY,
            "neighbours": Option(
                marked("Most similar items kept of each item; 0 keeps all."), 0, 10_000_000, True
            ),
            "window": Option(
                marked("Largest distance at which two items of a history count; 0 takes any."),
                0,
                100_000,
                True,
            ),
            "backward": Option(
                marked('Weight of "j before i" against "i before j" (0.5).'), 0, 1_000
            ),
            "fade": Option(marked("How fast a pair's weight falls with its distance (0)."), 0, 100),
            "decay": DECAY,
            "power": Option(
                marked("Power of the candidate's count in the denominator (0.4)."), 0, 10
            ),
            "popularity": POPULARITY,
        },
    ),
    Family(
        "ease",
        marked("EASE"),
        "cheap",
        f"{_ROOM}.ease:Ease",
        options={
            "l2": Option(marked("The ridge λ (500)."), 1e-6, 1e9),
            "history_items": HISTORY,
            "decay": DECAY,
            "popularity": POPULARITY,
            "relations": Option(
                marked(
                    "Weight of what items share by their relations, as further rows beside those "
                    "of people (0)."
                ),
                0,
                1e9,
            ),
        },
    ),
    Family(
        "tf-idf",
        marked("TF-IDF"),
        "cheap",
        f"{_ROOM}.tfidf:TfIdf",
        options=WORDS,
        reads_text=True,
        reads_relations=True,
    ),
    Family(
        "bm25",
        marked("BM25"),
        "cheap",
        f"{_ROOM}.tfidf:Bm25",
        options=WORDS,
        reads_text=True,
        reads_relations=True,
    ),
    Family(
        "als",
        marked("ALS"),
        "cheap",
        f"{_ROOM}.factors:Als",
        options=FACTORS
        | {"alpha": Option(marked("An interaction's confidence is 1 + alpha (10)."), 0, 1e9)},
    ),
    Family(
        "bpr",
        marked("BPR"),
        "cheap",
        f"{_ROOM}.factors:Bpr",
        options=FACTORS,
    ),
    Family(
        "fusion",
        marked("Fusion"),
        "fusion",
        f"{_ROOM}.fusion:Fusion",
        options={
            "users": Option(marked("Validation users (1,000); 0 takes all."), 0, 1e9, True),
            "ridge": Option(marked("Pull of the weights towards 0 (0.001)."), 0, 1e6),
        },
        usual={"retriever": "item-knn+tf-idf"},
    ),
    Family(
        "sasrec",
        marked("SASRec"),
        "sequential",
        f"{_ROOM}.sasrec:SasRec",
        options=SEQUENTIAL,
        adaptations=("full",),
        usual={"adaptation": "full"},
        suited=SASREC_TRAINING,
    ),
    Family(
        "text-sasrec",
        marked("Text-SASRec"),
        "sequential",
        f"{_ROOM}.sasrec:SasRec",
        options=SEQUENTIAL,
        reads_text=True,
        reads_relations=True,
        backbones=("minilm-l6", "smollm2-135m", "gemma3-270m"),
        adaptations=("full",),
        usual={"backbone": "minilm-l6", "adaptation": "full"},
        suited=SASREC_TRAINING,
    ),
    Family(
        "distilled-sasrec",
        marked("Distilled SASRec"),
        "sequential",
        f"{_ROOM}.student:Student",
        options=STUDENT,
        adaptations=("full",),
        has_teacher=True,
        usual={"adaptation": "full"},
        suited=SASREC_TRAINING,
    ),
    Family(
        "parallel-codes",
        marked("Parallel codes"),
        "sequential",
        f"{_ROOM}.parallel_codes:ParallelCodes",
        options=CODES,
        reads_text=True,
        reads_relations=True,
        backbones=("minilm-l6", "smollm2-135m"),
        adaptations=("full",),
        usual={"backbone": "minilm-l6", "adaptation": "full"},
        suited=SASREC_TRAINING,
    ),
    Family(
        "tiger",
        marked("Generated codes"),
        "sequential",
        f"{_ROOM}.tiger:Tiger",
        options=TIGER,
        reads_text=True,
        reads_relations=True,
        backbones=("minilm-l6", "smollm2-135m"),
        adaptations=("full",),
        usual={"backbone": "minilm-l6", "adaptation": "full"},
        suited=SASREC_TRAINING,
    ),
    Family(
        "bi-encoder",
        marked("Bi-encoder"),
        "two towers",
        f"{_ROOM}.bi_encoder:BiEncoder",
        reads_text=True,
        reads_relations=True,
        backbones=("minilm-l6", "smollm2-135m", "gemma3-270m"),
        depths=(0, 2, 4, 6),
        usual={"backbone": "minilm-l6"},
    ),
    Family(
        "two-towers",
        marked("Two towers"),
        "two towers",
        f"{_ROOM}.two_towers:TwoTowers",
        options=TOWERS,
        reads_text=True,
        reads_relations=True,
        backbones=("minilm-l6", "smollm2-135m", "gemma3-270m"),
        adaptations=("head", "lora", "full"),
        depths=(0, 2, 4, 6),
        usual={"backbone": "minilm-l6", "adaptation": "head", "history_items": 20},
        suited=TOWER_TRAINING,
    ),
    Family(
        "cross-encoder",
        marked("Cross-encoder"),
        "cross-encoder",
        f"{_ROOM}.language_model:LanguageModelRecommender",
        options=EXIT,
        reads_text=True,
        reads_relations=True,
        reads_prompt=True,
        backbones=("minilm-l6", "smollm2-135m", "gemma3-270m"),
        adaptations=("full", "none", "head", "lora"),
        depths=(0, 2, 4, 6),
        usual={
            "backbone": "minilm-l6",
            "depth": 2,
            "head": "attention",
            "history_attention": "per_item",
            "adaptation": "full",
        },
        suited=READER_TRAINING,
    ),
    Family(
        "decoder",
        marked("Decoder"),
        "decoder",
        f"{_ROOM}.readers:Reader",
        options=EXIT | ORDERS,
        reads_text=True,
        reads_relations=True,
        reads_prompt=True,
        backbones=("smollm2-135m", "gemma3-270m", "minilm-l6"),
        adaptations=("none", "lora", "full"),
        depths=(0, 10, 20, 30),
        usual={
            "backbone": "smollm2-135m",
            "depth": 10,
            "head": "yes-no",
            "adaptation": "lora",
            "history_items": 5,
        },
        suited=DECODER_TRAINING,
    ),
    Family(
        "cascade",
        marked("Cascade"),
        "cascade",
        f"{_ROOM}.cascade:Cascade",
        options=EXIT | ORDERS,
        reads_text=True,
        reads_prompt=True,
        backbones=("minilm-l6", "smollm2-135m", "gemma3-270m"),
    ),
    Family(
        "hosted",
        marked("Hosted model"),
        "hosted",
        f"{_ROOM}.hosted.recommender:Hosted",
        options={
            "shuffle": Option(
                marked(
                    "0 letters the candidates in the retriever's order, which the model may lean "
                    "on (usual); 1 shuffles them by the run's seed."
                ),
                0,
                1,
                True,
            )
        },
        reads_text=True,
        usual={"retriever": "item-knn", "rerank_k": 20},
    ),
)


@cache
def families() -> Mapping[str, Family]:
    """Every family by name: the built-in ones in their order, then those of installed packages.

    Raises:
        UsageError: when a package's entry point is no `Family`, or takes a name that is taken.
    """
    table = {family.name: family for family in BUILT_IN}
    for point in sorted(entry_points(group=ENTRY_POINTS), key=lambda point: point.name):
        family = point.load()
        if not isinstance(family, Family):
            raise UsageError(
                t(
                    "the entry point {point} of {group} is {value!r}; expected a Family",
                    point=point.name,
                    group=ENTRY_POINTS,
                    value=family,
                )
            )
        if family.name in table:
            raise UsageError(
                t(
                    "the entry point {point} brings a family {name!r}, which exists already; "
                    "choose another name",
                    point=point.name,
                    name=family.name,
                )
            )
        table[family.name] = family
    return table


def family_named(name: str) -> Family:
    """The family of that name.

    Raises:
        UsageError: when there is none, with the near name.
    """
    if name in families():
        return families()[name]
    raise UsageError(
        t(
            "recommender.family is {name!r}; expected one of {names}.{hint}",
            name=name,
            names=", ".join(families()),
            hint=near_name(name, families()),
        )
    )


def recorded_family(name: str) -> Family:
    """The family of a record, which may come from a package that is no longer installed."""
    return families().get(name) or Family(name, name, "cheap", "")


def family_title(name: str) -> str:
    """What people read of a family's name, also of one that is no longer installed."""
    return recorded_family(name).title


def reads_prompt(name: str) -> bool:
    """Whether a record's family reads a prompt with a language model at every request."""
    return recorded_family(name).reads_prompt


def takes_backbone(name: str) -> bool:
    """Whether a record's family computes with a language model, at requests or before them."""
    return bool(recorded_family(name).backbones)


def is_hosted(name: str) -> bool:
    """Whether a record's family asks a model that runs on its provider's machines."""
    return recorded_family(name).group == "hosted"


def fusable() -> list[Family]:
    """The families that a fusion can weigh and a cascade can retrieve with."""
    return [family for family in families().values() if family.group == "cheap"]
