"""What a person may ask of the worker: each question with its fields and bounds.

Pages and commands make one of these kinds; the ledger stores it as JSON (`to_json`), and the
process that answers parses it anew (`parse_request`).
"""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, Field

from llmrec_core.contract.bounds import (
    Device,
    Draws,
    Labels,
    Layers,
    Name,
    Precision,
    Runtime,
    Seed,
    Steps,
    Users,
)
from llmrec_core.contract.parsing import Flag, Number, Text, Whole, near_name, parse, parsed
from llmrec_core.contract.policy import Policy
from llmrec_core.errors import UsageError
from llmrec_core.language import t

LONGEST_LIST = 10_000
"""Most items that one question may name or ask for."""


def _item_reference(value: object) -> object:
    whole = isinstance(value, int) and not isinstance(value, bool)
    if whole or (isinstance(value, str) and value):
        return value
    raise ValueError(t("the id of an item as text, or its code as a whole number"))


Item = Annotated[Any, AfterValidator(_item_reference)]
"""An item: its id as in the data set (text), or its code (a whole number)."""
Items = Annotated[tuple[Item, ...], Field(max_length=LONGEST_LIST)]
Texts = Annotated[tuple[Text, ...], Field(max_length=LONGEST_LIST)]
Sizes = Annotated[tuple[Annotated[Whole, Field(ge=1, le=1_000_000)], ...], Field(max_length=20)]
Count = Annotated[Whole, Field(ge=1, le=LONGEST_LIST)]
Budget = Annotated[Whole, Field(ge=1, le=1_000_000)]
"""Coalitions of reasons that an explanation may score."""
AskedError = Annotated[Number, Field(ge=0, le=1)]
"""Error that an explanation may have, as a share of its values; 0 asks for exact values."""
Baseline = Literal["remove", "mask", "average"]
"""What stands in for a part that is left out."""
Target = Literal["score", "probability"]
Occasion = Literal["today", "evaluation"]
"""A list of everything new to the person, or the list that a run's evaluation asked for."""
Grouping = Literal["recency", "genre"]
"""How the items of a long history are grouped."""
PlayerKind = Literal["history", "fields", "user"]


@parsed
class RecommendRequest:
    """The best items of a run for a person, or for a history of titles."""

    run: Text
    """Id of a finished run."""
    user: Text = ""
    """Id of a person in the run's data set."""
    history_titles: Texts = ()
    """Titles that somebody new likes, oldest first, in place of a user."""
    k: Count = 10
    """Length of the list."""
    policy: Policy | None = None
    """What may be shown."""


@parsed
class ExplainRequest:
    """Why one item is recommended, and what would change it."""

    item: Item
    run: Text = ""
    """Id of a finished run; empty where the recommender is at hand already."""
    user: Text = ""
    """Id of a person in the run's data set."""
    history: Items | None = None
    """A history in place of a user's, oldest first; empty is a history too."""
    history_titles: Texts = ()
    """The same as titles, as somebody new types them."""
    occasion: Occasion | None = None
    """Which list the item stands in. None takes the run's evaluation if it hid the item, else
    today's."""
    against: Item | None = None
    """A rival: why the item rather than this one."""
    listed: Items = ()
    """Items shown with it, scored in the same passes, so that asking about them next is free."""
    without: Items = ()
    """History items to take away: the list is put in order again."""
    words: Item | None = None
    """A history item to open into its words."""
    players: tuple[PlayerKind, ...] = ("history",)
    """What may be a reason: history items, the item's own fields, the user's attributes."""
    attributes: Texts = ()
    """Names of the user's attributes that play, for `players` with `user`."""
    group_by: Grouping = "recency"
    max_players: Annotated[Whole, Field(ge=2, le=20)] | None = None
    """Most history items that play one by one; above, they are grouped. None: as many as can."""
    baseline: Baseline = "remove"
    target: Target = "score"
    budget: Budget | None = None
    """None: what answers within seconds."""
    error: AskedError | None = None
    """None: exact where that is affordable, else 2 %; text models go by their budget."""
    honesty: Flag = False
    """Measure faithfulness and the other baselines too."""
    top_k: Count | None = None
    """Places from which the item has to fall for the smallest change.

    None: half the list, or for an item of the second half its own place.
    """
    proof_budget: Budget | None = None
    """Coalitions that proving the smallest change may score beyond the explanation's own."""
    seed: Seed = 0


@parsed
class ExplainManyRequest:
    """What moves a run's lists: reasons of the best item of many people, a sample fixed by seed."""

    run: Text = ""
    """Id of a finished run; empty where the recommender is at hand already."""
    users: Count = 30
    budget: Budget = 64
    """Coalitions for each person."""
    error: AskedError | None = None
    baseline: Baseline = "remove"
    target: Target = "score"
    players: tuple[PlayerKind, ...] = ("history",)
    group_by: Grouping = "recency"
    randomise: Flag = False
    """Compare with a copy of the model whose layers are drawn anew."""
    attributes: Texts = ()
    """User attributes for the bias probe."""
    seed: Seed = 0


@parsed
class ProfileRequest:
    """What one request costs on this machine, at one size or over a grid of sizes."""

    run: Text = ""
    """Id of a finished run. Either this or `model`."""
    model: Text = ""
    """A backbone, a Hugging Face id, a folder, or a `config.json` alone."""
    precision: Precision = "fp32"
    runtime: Runtime = "eager"
    device: Device = "auto"
    batch: Annotated[Whole, Field(ge=1, le=4_096)] = 1
    """Requests at a time."""
    candidates: Annotated[Whole, Field(ge=1, le=1_000_000)] = 100
    history: Annotated[Whole, Field(ge=0, le=10_000)] = 10
    """History items."""
    grid: Flag = False
    """Per layer, with a roofline, over every size of the three lists below."""
    batches: Sizes = ()
    history_tokens: Sizes = ()
    candidate_counts: Sizes = ()
    """An empty list leaves its sizes to the profiler."""
    candidate_tokens: Annotated[Whole, Field(ge=1, le=1_000)] = 12
    depth: Annotated[Whole, Field(ge=0, le=1_000)] = 0
    """Layers kept, from the first; 0 keeps all."""
    repeats: Annotated[Whole, Field(ge=1, le=1_000)] | None = None
    """Measurements of each size; None leaves them to the profiler."""

    def __post_init__(self) -> None:
        """Refuse a question about two things, or about none."""
        if bool(self.run) == bool(self.model):
            raise UsageError(
                t(
                    "say what to profile, exactly one of 'run' (a finished run) and 'model' "
                    "(minilm-l6, smollm2-135m, gemma3-270m, a Hugging Face id or a folder)"
                )
            )
        if self.grid and self.run:
            raise UsageError(
                t(
                    "a grid is measured of a backbone: give model, a Hugging Face id, a folder "
                    "or a config.json, not a run"
                )
            )


@parsed
class MetersRequest:
    """Can this machine's figures be trusted?"""


@parsed
class CountModelRequest:
    """How many weights has a model that is described by a folder or a `config.json`?"""

    model: Text
    """The folder or the file, as the process that answers reaches it."""


@parsed
class DiagnoseRequest:
    """What does a data set give away before anything is trained on it?"""

    data: Text
    """Name of the data set, e.g. `shop`, or `shop@2` for its second version."""
    model: Text = ""
    """A local language model: how many of the titles does it know by heart? Empty asks nothing."""


@parsed
class RobustnessRequest:
    """How much of its quality does a finished run keep under noise?"""

    run: Text
    """Id of the run."""
    users: Users = 200
    """Test users, drawn as the run's own; 0 takes all."""
    seed: Seed = 0
    """Of the noise."""


@parsed
class PolicyEffectRequest:
    """What does a policy cost a finished run, and whose exposure does it move?"""

    run: Text
    """Id of the run."""
    policy: Policy
    users: Users = 200
    """Test users, drawn as the run's own; 0 takes all."""


@parsed
class LabelCurveRequest:
    """How does quality grow with the number of labels? Fields as of `label-curve`."""

    data: Name
    """Name of the data set."""
    labels: Labels
    """Training interactions, one point of the curve each."""
    methods: Annotated[tuple[Text, ...], Field(min_length=1, max_length=100)]
    seeds: Draws = 3
    """Draws of the labels."""
    users: Users = 200
    """Test users; 0 takes all."""
    steps: Annotated[Steps, Field(ge=2)] = 60
    """Training steps of each fine-tuning."""
    depth: Layers = 2
    """Layers of MiniLM kept; 0 keeps all."""


@parsed
class CheckDataRequest:
    """Do the split, the measurement and the classical families pass the sanity checks?"""

    data: Name
    """Name of the data set."""
    split: Text = "loo"
    candidates: Text = "100-uniform"
    users: Annotated[Whole, Field(ge=1, le=1_000_000)] = 400
    """Users asked."""


@parsed
class FetchDataRequest:
    """Bring a built-in data set onto this machine."""

    data: Name
    """Name of the data set."""


@parsed
class CleanDataRequest:
    """Store a cleaned version of a data set."""

    data: Name
    """Name of the data set; `shop@1` is its first version."""
    on: Annotated[tuple[Text, ...], Field(max_length=100)] = ()
    """Checks whose action is switched on."""
    off: Annotated[tuple[Text, ...], Field(max_length=100)] = ()
    """Checks whose action is switched off."""
    k_core: Annotated[Whole, Field(ge=0, le=1_000_000)] = 0
    """Users and items keep at least so many interactions; 0 keeps all."""


Request: TypeAlias = (
    RecommendRequest
    | ExplainRequest
    | ExplainManyRequest
    | ProfileRequest
    | MetersRequest
    | CountModelRequest
    | DiagnoseRequest
    | RobustnessRequest
    | PolicyEffectRequest
    | LabelCurveRequest
    | CheckDataRequest
    | FetchDataRequest
    | CleanDataRequest
)
KINDS: dict[str, type[Any]] = {
    "recommend": RecommendRequest,
    "explain": ExplainRequest,
    "explain-many": ExplainManyRequest,
    "profile": ProfileRequest,
    "meters": MetersRequest,
    "count-model": CountModelRequest,
    "diagnose": DiagnoseRequest,
    "robustness": RobustnessRequest,
    "policy-effect": PolicyEffectRequest,
    "label-curve": LabelCurveRequest,
    "check-data": CheckDataRequest,
    "fetch-data": FetchDataRequest,
    "clean-data": CleanDataRequest,
}
"""Kinds of questions by the name that the ledger stores."""
MEASUREMENTS = frozenset(
    {
        *("profile", "meters", "robustness", "policy-effect", "label-curve"),
        *("check-data", "fetch-data", "clean-data"),
    }
)
"""Kinds that take minutes: measurements, and work on data sets. They wait in a line of their own.
"""
MEASUREMENT_LIMIT_S = 1_800.0
"""One that takes longer is given up."""


def kind_of(request: Request) -> str:
    """The name under which the ledger stores a question of this kind."""
    return next(name for name, kind in KINDS.items() if isinstance(request, kind))


def to_json(request: Request) -> dict[str, Any]:
    """The fields of a question that differ from their defaults, as JSON holds them."""
    values = dataclasses.asdict(request)
    defaults = {field.name: field.default for field in dataclasses.fields(request)}
    return {name: value for name, value in values.items() if value != defaults[name]}


def parse_request(kind: str, payload: object) -> Request:
    """The question that the ledger holds.

    Args:
        kind: name under which the ledger stores the question.
        payload: its fields, as JSON holds them.

    Raises:
        UsageError: for an unknown kind, and as `parsing.parse`.
    """
    if kind not in KINDS:
        raise UsageError(
            t(
                "unknown question {kind!r}; expected one of {names}.{hint}",
                kind=kind,
                names=", ".join(KINDS),
                hint=near_name(kind, KINDS),
            )
        )
    request: Request = parse(KINDS[kind], payload)
    return request
