"""Sizes of a language model as a ladder: what each step adds in quality, and what it costs more.

Rows stand on one ladder when nothing but backbone, layers and seed tells them apart: one data set,
protocol, training budget and precision. Within a backbone the sizes are ordered by layers, and each
is compared with the one before it and with the best of them, over the same people.

A size is *not worse by more than M* when the lower end of its paired 95 % interval against the best
is at or above −M: a test of non-inferiority (Piaggio et al., JAMA 2012). That the interval contains
0 is not enough, and few people show nothing. The best is the best on these people, whose luck makes
it look better than it is, so that the test errs on the side of "not shown".

Across backbones there are only models: they differ in training data, tokenizer and architecture as
well, so that nothing is concluded about size.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import PurePath

from llmrec_core.contract.families import recorded_family
from llmrec_core.costmodel.facts.model_catalogue import find
from llmrec_core.errors import UsageError
from llmrec_core.language import t
from llmrec_core.metrics.intervals import Difference
from llmrec_core.metrics.seeds import Needed
from llmrec_core.models.model_folder import BUILT_IN
from llmrec_core.reading.comparison import difference, why_not_paired
from llmrec_core.reading.groups import recipe
from llmrec_core.reading.people import NOBODY, People
from llmrec_core.reading.pricing import AS_RECORDED, Pricing, usd_per_million
from llmrec_core.reading.row import Row, machine_of
from llmrec_core.reading.stability import what_would_settle
from llmrec_core.types import Measurement

MARGIN = 0.02
"""M where nobody gives one, in the unit of the metric."""
SIZE = ("backbone", "backbone_hash", "depth")
"""Fields of `recommender` that differ on one ladder."""
BEST, SHOWN, OPEN, WORSE = "best", "shown", "not shown", "worse"
"""Verdicts on a size: the best itself; at most M worse; neither shown; more than M worse."""


@dataclass(frozen=True)
class Size:
    """A measured size of a model; costs and differences that are not known are `None`."""

    row: Row
    layers: int | None
    """Layers kept; `None` for all of a backbone whose number is not known here."""
    quality: Measurement
    usd_per_million: Measurement
    p95_s: Measurement
    step: Difference | None = None
    """Quality more than that of the size before it."""
    more_usd: float | None = None
    """Dollars per million requests more than the size before it."""
    more_p95_s: float | None = None
    """Seconds of p95 more than the size before it."""
    against_best: Difference | None = None
    """Quality more than that of the best size; `None` for the best itself."""
    verdict: str = OPEN
    settled_by: Needed | None = None
    """What would settle whether it is at most M worse; `None` where that is settled."""

    @property
    def value(self) -> float:
        """The mean of the metric."""
        assert self.quality.value is not None, "`why_not_one` refuses rows without a value"
        return self.quality.value


@dataclass(frozen=True)
class Model:
    """The measured sizes of one backbone, smallest first."""

    name: str
    sizes: tuple[Size, ...]

    @property
    def best(self) -> Size:
        """The size with the highest mean; of equal ones the smallest."""
        return max(self.sizes, key=lambda size: size.value)

    @property
    def smallest(self) -> Size:
        """The smallest size that is shown not to be worse than the best by more than M.

        The best itself where no smaller one is.
        """
        return next(size for size in self.sizes if size.verdict in (BEST, SHOWN))

    @property
    def concludes(self) -> bool:
        """Whether a size below the best is enough, or the smallest of several is the best."""
        several = len(self.sizes) > 1
        return several and (self.best is self.sizes[0] or self.smallest is not self.best)

    @property
    def between(self) -> list[Size]:
        """Sizes between the smallest that is shown and the best which are not shown themselves."""
        place, until = self.sizes.index(self.smallest), self.sizes.index(self.best)
        return [size for size in self.sizes[place:until] if size.verdict in (OPEN, WORSE)]

    @property
    def largest(self) -> Size:
        """The largest size, which stands for the model beside other models."""
        return self.sizes[-1]


@dataclass(frozen=True)
class Ladder:
    """Models with their sizes, measured on the same people in the same way."""

    models: tuple[Model, ...]
    metric: str
    protocol: str
    margin: float

    @property
    def rows(self) -> list[Row]:
        """The rows of all sizes."""
        return [size.row for model in self.models for size in model.sizes]


def groups(rows: Sequence[Row], metric: str, protocol: str) -> list[list[Row]]:
    """The rows of a study that stand on one ladder each, in the order of the rows.

    Rows without a backbone, cascades (whose reader is another run) and rows without a value are on
    none.

    Args:
        rows: of the study, those that differ in their seed alone as one.
        metric: e.g. `ndcg@10`.
        protocol: e.g. `loo/100-uniform`.
    """
    by_recipe: dict[str, list[Row]] = {}
    for row in rows:
        if is_sized(row) and row.figure(metric, protocol).value is not None:
            by_recipe.setdefault(recipe(row, rows, SIZE), []).append(row)
    return list(by_recipe.values())


def is_sized(row: Row) -> bool:
    """Whether layers of the row's own backbone decide its size."""
    chosen = row.spec.recommender
    return bool(chosen.backbone) and recorded_family(chosen.family).group != "cascade"


def has_steps(rows: Sequence[Row]) -> bool:
    """Whether some backbone was measured at two sizes or more."""
    return any(len(sizes) > 1 for sizes in _by_backbone(rows).values())


def _by_backbone(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Rows by the name of their backbone; other files under one name are another model.

    A folder is called by its own name, without those that it stands in.
    """
    keys = [
        (_short(row.spec.recommender.backbone), row.spec.recommender.backbone_hash) for row in rows
    ]
    by_name: dict[str, list[Row]] = {}
    for row, (name, content) in zip(rows, keys, strict=True):
        twins = {other for called, other in keys if called == name}
        by_name.setdefault(f"{name} ({content[:8]})" if len(twins) > 1 else name, []).append(row)
    return by_name


def _short(backbone: str) -> str:
    """`/models/tiny/` → `tiny`; names and Hugging Face ids (`owner/name`) stay."""
    path = backbone.startswith((".", "~", "/")) or backbone.count("/") > 1
    return PurePath(backbone).name if path else backbone


def layers_of(row: Row) -> int | None:
    """Layers of a row's backbone that it keeps; `None` for all of a backbone not known here."""
    chosen = row.spec.recommender
    if chosen.depth:
        return chosen.depth
    noted = (row.documents.get("model") or {}).get("layers")
    if noted and recorded_family(chosen.family).reads_prompt:  # other families note blocks here
        return int(noted)
    architecture = find(chosen.backbone) if chosen.backbone in BUILT_IN else None
    return None if architecture is None else architecture.layers


def why_not_one(
    rows: Sequence[Row], metric: str, protocol: str, users: Mapping[str, People]
) -> str:
    """Why these rows are no ladder, in a sentence; empty where they are one.

    Args:
        rows: the sizes.
        metric: e.g. `ndcg@10`.
        protocol: e.g. `loo/100-uniform`.
        users: values of the metric by run id.
    """
    if not rows:
        return t("No size has been measured yet.")
    first = rows[0]
    for row in rows:
        reason = why_not_paired(first, row)
        if reason:
            return reason
        figure = row.figure(metric, protocol)
        if figure.value is None:
            return t(
                "Not compared: {name} has no {metric} under {protocol}: {reason}.",
                name=row.name,
                metric=metric,
                protocol=protocol,
                reason=figure.reason,
            )
        ours, theirs = (users.get(one.run_id, NOBODY).users for one in (first, row))
        if ours != theirs:
            return t(
                "Not compared: {first} was asked about {n_first} people and {second} about "
                "{n_second}, who are not the same; measure every size on one sample of users.",
                first=first.name,
                second=row.name,
                n_first=len(ours),
                n_second=len(theirs),
            )
    return ""


def ladder(
    rows: Sequence[Row],
    metric: str,
    protocol: str,
    users: Mapping[str, People],
    *,
    margin: float = MARGIN,
    pricing: Pricing = AS_RECORDED,
) -> Ladder:
    """The sizes in order, each with its step, its difference to the best and the verdict on it.

    Args:
        rows: the sizes of one backbone or more, in any order.
        metric: e.g. `ndcg@10`.
        protocol: e.g. `loo/100-uniform`.
        users: values of the metric by run id.
        margin: M, in the unit of the metric, 0 … 1.
        pricing: what the reader has typed.

    Raises:
        UsageError: for a margin out of bounds, no rows, and rows of different data sets,
            protocols, samples or people.
    """
    if not 0 <= margin <= 1:
        raise UsageError(t("the margin is {margin}; expected a number from 0 to 1", margin=margin))
    reason = why_not_one(rows, metric, protocol, users)
    if reason:
        raise UsageError(reason)
    models = []
    for name, listed in _by_backbone(rows).items():
        sizes = [
            Size(
                row,
                layers_of(row),
                row.figure(metric, protocol),
                usd_per_million(row, pricing),
                row.request_figure("latency_p95_s"),
            )
            for row in listed
        ]
        sizes.sort(key=_place)
        models.append(_judged(Model(name, tuple(_with_steps(sizes, users))), users, margin))
    return Ladder(tuple(models), metric, protocol, margin)


def _place(size: Size) -> tuple[bool, int, bool]:
    """Order by layers; all of an unknown number come last."""
    return size.layers is None, size.layers or 0, not size.row.spec.recommender.depth


def _with_steps(sizes: Sequence[Size], users: Mapping[str, People]) -> list[Size]:
    """The sizes with what each has more than the one before it."""
    stepped = list(sizes[:1])
    for before, size in pairwise(sizes):
        alike = machine_of(before.row) == machine_of(size.row)
        stepped.append(
            dataclasses.replace(
                size,
                step=_gap(size, before, users),
                more_usd=_more(size.usd_per_million, before.usd_per_million) if alike else None,
                more_p95_s=_more(size.p95_s, before.p95_s) if alike else None,
            )
        )
    return stepped


def _judged(model: Model, users: Mapping[str, People], margin: float) -> Model:
    """The model with every size compared with its best."""
    best = model.best
    sizes = []
    for size in model.sizes:
        if size is best:
            sizes.append(dataclasses.replace(size, verdict=BEST))
            continue
        gap = _gap(size, best, users)
        judged = verdict(gap, margin)
        settled_by = None
        if judged == OPEN:
            mine, theirs = users[size.row.run_id], users[best.row.run_id]
            settled_by = what_would_settle(People(mine.users, mine.values + margin), theirs)
        sizes.append(
            dataclasses.replace(size, against_best=gap, verdict=judged, settled_by=settled_by)
        )
    return dataclasses.replace(model, sizes=tuple(sizes))


def verdict(against_best: Difference | None, margin: float) -> str:
    """Whether a size is shown not to be worse than the best by more than the margin.

    Args:
        against_best: its paired difference to the best; `None` for too few people.
        margin: M.

    Returns:
        `SHOWN` when the whole interval is at or above −M, `WORSE` when it is below, else `OPEN`.
    """
    if against_best is None:
        return OPEN
    if against_best.low >= -margin:
        return SHOWN
    return WORSE if against_best.high < -margin else OPEN


def _gap(a: Size, b: Size, users: Mapping[str, People]) -> Difference | None:
    return difference(users[a.row.run_id], users[b.row.run_id])


def _more(a: Measurement, b: Measurement) -> float | None:
    return None if a.value is None or b.value is None else a.value - b.value
