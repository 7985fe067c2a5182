"""Label efficiency: what each method reaches when it learns from n interactions, and its cost.

A label is one training interaction. Whole people are drawn, by seed and nested (the n = 1,000 draw
holds the n = 300 draw), until n interactions are reached; everything else of the training is
hidden. The people asked are those of the protocol, with their own histories, so nothing but the
learning is cut short. A curve's interval is over people, of the mean over seeds; the spread between
seeds stands beside it.

The methods stand in `label_methods`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from llmrec_core.checks.curve_rows import CurveRow
from llmrec_core.checks.label_files import write, write_beside
from llmrec_core.checks.label_methods import LABELS, METHODS, title_of
from llmrec_core.contract.bounds import Draws, Labels, Layers, Name, Steps, Users
from llmrec_core.contract.parsing import Text, parsed
from llmrec_core.contract.protocol import ProtocolSpec
from llmrec_core.contract.recommender import Recommender, ServesInPrecision
from llmrec_core.contract.run_context import RunContext
from llmrec_core.contract.spec import RunSpec, run_from_dict
from llmrec_core.contract.steps import Progress, Step, unnoted
from llmrec_core.data.catalogue import load_dataset
from llmrec_core.data.dataset import Dataset
from llmrec_core.data.splits import Split
from llmrec_core.errors import UsageError
from llmrec_core.language import t
from llmrec_core.metrics.evaluate import per_user
from llmrec_core.metrics.exam import Exam
from llmrec_core.metrics.intervals import mean_interval
from llmrec_core.profiling import device as devices
from llmrec_core.profiling.economics import economics_of
from llmrec_core.profiling.timing import InsideClock, TimingWindow, in_windows
from llmrec_core.recommenders.registry import build
from llmrec_core.settings import Settings

CANDIDATES = "100-uniform"


@parsed
class Plan:
    """One curve: which labels, methods and draws."""

    data: Name = "ml-100k"
    """Name of a data set."""
    labels: Labels = LABELS
    """Training interactions, one point of the curve each."""
    methods: Annotated[tuple[Text, ...], Field(min_length=1, max_length=100)] = tuple(METHODS)
    """Keys of `METHODS`."""
    seeds: Draws = 3
    """Draws of the labels."""
    users: Users = 200
    """Test users; 0 takes all."""
    steps: Annotated[Steps, Field(ge=2)] = 60
    """Training steps of each fine-tuning."""
    depth: Layers = 2
    """Layers of MiniLM kept; 0 keeps all."""

    def __post_init__(self) -> None:
        """Refuse a method that is not in the table."""
        for method in self.methods:
            if method not in METHODS:
                raise UsageError(
                    t(
                        "--method {method!r} is unknown; expected one of {names}",
                        method=method,
                        names=", ".join(METHODS),
                    )
                )

    def spec(self, method: str, seed: int) -> RunSpec:
        """The run that one point of the curve amounts to."""
        body = METHODS[method]
        recommender = dict(body["recommender"])
        training = {
            "steps": self.steps,
            "warmup_steps": min(10, self.steps // 2),
            "validate_every": self.steps,
        }
        if "adaptation" in recommender:
            recommender["depth"] = self.depth
        protocol = {"candidates": CANDIDATES, "users": self.users}
        training |= {"validation_users": 20, **body.get("training", {})}
        return run_from_dict(
            {
                "name": method,
                "seed": seed,
                "protocol": protocol,
                "recommender": recommender,
                "training": training,
            }
        )


def restrict(parts: Split, labels: int, seed: int) -> Split:
    """The split with about `labels` training interactions, of whole people drawn by seed.

    Validation keeps those people alone.
    The last person drawn is cut to fit; with fewer interactions in all, nothing is cut.
    """
    order = np.random.default_rng((seed, 6)).permutation(len(parts.train))
    train = [items[:0] for items in parts.train]
    left, drawn = labels, set()
    for user in order.tolist():
        if left <= 0:
            break
        train[user] = (
            parts.train[user][-left:] if left < len(parts.train[user]) else parts.train[user]
        )
        left -= len(train[user])
        drawn.add(user)
    valid = [case for case in parts.valid if case.user in drawn]
    return dataclasses.replace(parts, train=train, valid=valid)


def measure_and_keep(
    plan: Plan,
    settings: Settings,
    name: str = "",
    say: Callable[[str], None] = lambda line: None,
    *,
    beside: bool = False,
    window: TimingWindow = contextlib.nullcontext,
    progress: Progress = unnoted,
) -> tuple[dict[str, Any], Path]:
    """The document of a curve, and where it is kept for the Quality page.

    Args:
        plan: what to measure.
        settings: where the home is.
        name: of the curve; empty takes the data set's.
        say: as for `measure`.
        beside: keep the rows of a curve that has the name already, instead of replacing it.
        window: as for `measure`.
        progress: as for `measure`.

    Raises:
        UsageError: as `measure`, and for a name that no file can have.
    """
    body = measure(plan, settings, say, window=window, progress=progress)
    keep = write_beside if beside else write
    return body, keep(name or plan.data.replace("@", "-"), body, settings)


def measure(
    plan: Plan,
    settings: Settings,
    say: Callable[[str], None] = lambda line: None,
    *,
    window: TimingWindow = contextlib.nullcontext,
    progress: Progress = unnoted,
) -> dict[str, Any]:
    """The `label curve` document: one row per method and number of labels.

    Args:
        plan: what to measure.
        settings: where the home is.
        say: takes a line about each row.
        window: in which the machine is the curve's alone: for a training, or for a few people.
        progress: called before each row.

    Raises:
        UsageError: when the data set has fewer interactions than the smallest draw.
    """
    dataset = load_dataset(plan.data, settings)
    exam = Exam.of(dataset, ProtocolSpec(candidates=CANDIDATES, users=plan.users))
    parts = exam.split
    all_labels = sum(map(len, parts.train))
    if min(plan.labels) > all_labels:
        raise UsageError(
            t(
                "{data!r} has {all_labels} training interactions, fewer than --labels {labels}",
                data=plan.data,
                all_labels=all_labels,
                labels=min(plan.labels),
            )
        )
    machine = devices.describe()
    price = economics_of(machine).usd_per_hour
    rows: list[CurveRow] = []
    took_s: dict[str, list[float]] = {}
    cells = list(itertools.product(sorted({min(n, all_labels) for n in plan.labels}), plan.methods))
    for labels, method in cells:
        phase = t("{title}, {labels:,} labels", title=title_of(method), labels=labels)
        progress(Step(done=len(rows), total=len(cells), phase=phase))
        clock = InsideClock(window)
        points = [
            _point(plan, method, seed, labels, dataset, parts, settings, clock)
            for seed in range(plan.seeds)
        ]
        values = np.stack([_ndcg(model, exam, clock) for model, _ in points])
        took_s.setdefault(method, []).append(clock.inside_s / plan.seeds)
        row = _row(method, labels, values, float(np.mean([s for _, s in points])), price)
        rows.append(row)
        say(_line(method, row))
    conditions = t(
        "{data} {content_hash}, loo/{CANDIDATES}, {n_cases} people, {seeds} draws of "
        "labels; fine-tuning {steps} steps of {depth} layers of MiniLM-L6 · {name}",
        data=plan.data,
        content_hash=dataset.content_hash[:8],
        CANDIDATES=CANDIDATES,
        n_cases=len(exam.cases),
        seeds=plan.seeds,
        steps=plan.steps,
        depth=plan.depth or "all",
        name=machine.name,
    )
    return {
        "rows": [row.to_dict() for row in rows],
        "metric_title": "NDCG@10",
        "conditions": conditions,
        "plan": dataclasses.asdict(plan),
        "point_s": {method: float(np.mean(seconds)) for method, seconds in took_s.items()},
    }


def _line(method: str, row: CurveRow) -> str:
    return t(
        "{title:40} {labels:7,} labels  NDCG@10 {value:.3f} ({low:.3f} to "
        "{high:.3f}), {words}, training {seconds:.1f} s",
        title=title_of(method),
        labels=row.labels,
        value=row.value,
        low=row.low,
        high=row.high,
        words=t("one seed") if row.spread is None else f"seeds ± {row.spread:.3f}",
        seconds=row.train_s,
    )


def _point(
    plan: Plan,
    method: str,
    seed: int,
    labels: int,
    dataset: Dataset,
    parts: Split,
    settings: Settings,
    window: TimingWindow,
) -> tuple[Any, float]:
    """The method learned from one draw, and the seconds that took."""
    drawn_split = restrict(parts, labels, seed)
    model: Any = build(plan.spec(method, seed), dataset, settings)
    with tempfile.TemporaryDirectory() as folder, window():
        began = time.perf_counter()
        model.fit(drawn_split, RunContext(Path(folder)))
        spent = time.perf_counter() - began
    if isinstance(model, ServesInPrecision):
        with window():
            model.ready("fp32")
    return model, spent


def _ndcg(model: Recommender, exam: Exam, window: TimingWindow) -> np.ndarray:
    """NDCG@10 of each person, shape (people,)."""
    score = in_windows(model.score, window)
    return per_user(score, exam.split, exam.cases, exam.candidates, batch=8)["ndcg@10"]


def _row(
    method: str, labels: int, values: np.ndarray, seconds: float, price: float | None
) -> CurveRow:
    """Mean over seeds with its interval over people; values of shape (seeds, people)."""
    mean, low, high = mean_interval(values.mean(axis=0))
    by_seed = values.mean(axis=1)
    return CurveRow(
        method=title_of(method),
        labels=labels,
        value=mean,
        low=low,
        high=high,
        seeds=by_seed.tolist(),
        spread=float(by_seed.std(ddof=1)) if len(by_seed) > 1 else None,
        train_s=seconds,
        train_usd=None if price is None else seconds / 3600 * price,
    )
