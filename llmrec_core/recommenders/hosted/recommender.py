"""The family `hosted`: a retriever's best K in the order that a hosted model gives them.

What an answer does not name keeps the retriever's order below what it names, and the rest of the
candidates stays below that, as retrieved. The model is asked when a request is scored, in the
process of a worker, never by a page.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from llmrec_core.contract.endpoint import LETTERS
from llmrec_core.contract.families import fusable
from llmrec_core.contract.parsing import near_name
from llmrec_core.contract.recommender import Recommender
from llmrec_core.contract.spec import RecommenderSpec, RunSpec, stored_run
from llmrec_core.data.text import require_titles
from llmrec_core.errors import RunError, UsageError
from llmrec_core.files import write_json
from llmrec_core.language import t
from llmrec_core.money import small_dollars
from llmrec_core.recommenders.hosted.answers import Ranking, by_probabilities, by_written_order
from llmrec_core.recommenders.hosted.asking import Answered, Asker
from llmrec_core.recommenders.hosted.figures import figures
from llmrec_core.recommenders.hosted.kept_answers import KeptAnswers
from llmrec_core.recommenders.hosted.prompt import Ask, prompt
from llmrec_core.recommenders.hosted.spending import estimate, require_affordable
from llmrec_core.recommenders.options import refuse_weights
from llmrec_core.recommenders.registry import build, family_class
from llmrec_core.settings import load_settings
from llmrec_core.types import Columns, Description, Measurement

if TYPE_CHECKING:
    from llmrec_core.contract.run_context import RunContext
    from llmrec_core.data.dataset import Dataset
    from llmrec_core.data.splits import Split
    from llmrec_core.settings import Settings

FOLDER = "hosted"
"""Folder of the home that holds the answers."""


class Hosted:
    """A retriever, and a model behind an endpoint that orders its best.

    Args:
        spec: the run's.
        dataset: whose titles stand in the prompts.
        retriever: scores every candidate.
        settings: where answers are kept.
    """

    def __init__(
        self, spec: RunSpec, dataset: Dataset, retriever: Recommender, settings: Settings
    ) -> None:
        self.spec, self.dataset, self.retriever = spec, dataset, retriever
        self.kept = KeptAnswers(settings.home / FOLDER)
        self.asker = Asker(spec.recommender.endpoint, spec.hash, self.kept, self._should_stop)
        self._context: RunContext | None = None
        self._titles = [str(title) for title in dataset.items[Columns.TITLE].tolist()]
        self._read: dict[str, tuple[Answered, Ranking]] = {}

    @classmethod
    def of_spec(
        cls, spec: RunSpec, dataset: Dataset, settings: Settings, parent: Path | None
    ) -> Hosted:
        """A hosted model over the retriever that the spec names.

        Raises:
            UsageError: for a retriever that is no cheap family or fusion of such, and for weights
                to take over.
            UnsupportedError: when no item has a title.
        """
        refuse_weights(spec, parent)
        names = [family.name for family in fusable()]
        for name in spec.recommender.retriever.split("+"):
            if name not in names:
                raise UsageError(
                    t(
                        "recommender.retriever names {name!r}; a hosted model orders what {names} "
                        "retrieve, or some of them joined by +.{hint}",
                        name=name,
                        names=", ".join(names),
                        hint=near_name(name, names),
                    )
                )
        require_titles(dataset, t("a hosted model"))
        return cls(spec, dataset, build(_retriever_spec(spec), dataset, settings), settings)

    def parts(self) -> list[Recommender]:
        """As `Composed.parts`."""
        return [self.retriever]

    def fit(self, split: Split, context: RunContext) -> None:
        """Fit the retriever; the model learns nothing.

        Raises:
            UnsupportedError: when there is no key, or the limit is below the estimate.
        """
        self._context = context
        self.asker.require_key()
        require_affordable(self.spec, self.dataset)
        expected = estimate(self.spec, self.dataset)
        endpoint = self.spec.recommender.endpoint
        context.log(
            t(
                "{prompts:,} prompts to {model} at {host} are expected to cost {usd} of {limit}",
                prompts=expected.prompts,
                model=endpoint.model,
                host=endpoint.host,
                usd=small_dollars(expected.usd),
                limit=small_dollars(endpoint.limit_usd or 0.0),
            )
        )
        self.retriever.fit(split, context)

    def score(self, histories: Sequence[np.ndarray], candidates: np.ndarray) -> np.ndarray:
        """As `Recommender.score`; places of the order, counted from below.

        Raises:
            RunError: when the endpoint does not answer, or the limit is reached.
        """
        cheap = np.asarray(self.retriever.score(histories, candidates), dtype=np.float64)
        scores = np.where(candidates >= 0, cheap, -np.inf)
        for row, (history, items) in enumerate(zip(histories, candidates, strict=True)):
            # Among equals the item code decides: sampled candidates begin with the withheld item.
            best = np.lexsort((items, -scores[row]))[: self.spec.recommender.rerank_k]
            best = best[np.isfinite(scores[row, best])]
            if len(best) > 1:
                order = best[list(self._order(history, items[best]))]
                rest = np.setdiff1d(np.flatnonzero(np.isfinite(scores[row])), best)
                if len(rest):
                    scores[row, rest] -= scores[row, rest].max()
                scores[row, order] = np.arange(len(order), 0, -1)
        return scores.astype(np.float32)

    def _order(self, history: np.ndarray, items: np.ndarray) -> list[int]:
        """Places of the items, best first: as the model says, the rest as retrieved."""
        if self._should_stop():
            raise RunError(t("stopped on request"), "cancelled")
        lettered = self._lettered(history, items)
        read = history[len(history) - min(len(history), self.spec.recommender.history_items) :]
        past = [self._titles[item] for item in read]
        offered = [self._titles[items[place]] for place in lettered]

        def write(ask: Ask) -> str:
            return prompt(past, offered, ask)

        answered = self.asker.ask(write, len(offered))
        ranking = _ranking(answered, LETTERS[: len(offered)])
        self._read[answered.prompt] = answered, ranking
        ranked = [lettered[place] for place in ranking.places]
        return [*ranked, *(place for place in range(len(items)) if place not in ranked)]

    def _lettered(self, history: np.ndarray, items: np.ndarray) -> list[int]:
        """Places of the items in the order of their letters."""
        if not self.spec.recommender.options.get("shuffle"):
            return list(range(len(items)))
        # Of the request itself, so that the same request has the same prompt in every batch.
        seed = [self.spec.seed, *np.asarray(history).tolist(), *np.sort(items).tolist()]
        return [int(place) for place in np.random.default_rng(seed).permutation(len(items))]

    def _should_stop(self) -> bool:
        return self._context is not None and self._context.should_stop()

    def served_by(self) -> str:
        """As `ServedElsewhere.served_by`."""
        endpoint = self.spec.recommender.endpoint
        return t("{model} at {host}", model=endpoint.model, host=endpoint.host)

    def served_figures(self, protocol: str) -> list[Measurement]:
        """As `ServedElsewhere.served_figures`."""
        spent = self.kept.spent(self.spec.hash)
        return figures(self.spec.recommender.endpoint, list(self._read.values()), spent, protocol)

    def served_seconds(self) -> list[float]:
        """As `ServedElsewhere.served_seconds`."""
        return [
            answered.kept.seconds
            for answered, _ in self._read.values()
            if answered.kept is not None
        ]

    def save(self, folder: Path) -> None:
        """Write the retriever and the spec; answers stay in the home."""
        self.retriever.save(folder / "retriever")
        write_json(folder / "hosted.json", {"spec": self.spec.to_dict()})

    @classmethod
    def load(cls, folder: Path, dataset: Dataset) -> Hosted:
        """The recommender that `save` wrote; a request that was answered costs nothing again.

        Raises:
            CheckpointError: when the retriever is missing or damaged.
        """
        state = json.loads((folder / "hosted.json").read_text(encoding="utf-8"))
        spec = stored_run(state["spec"])
        retriever = _retriever_spec(spec).recommender.family
        loaded = family_class(retriever).load(folder / "retriever", dataset)
        return cls(spec, dataset, loaded, load_settings())

    def describe(self, histories: Sequence[np.ndarray], candidates: np.ndarray) -> Description:
        """What is computed on this machine, the retriever's part, and how the model is asked."""
        chosen = self.spec.recommender
        manners = {answered.ask for answered, _ in self._read.values()}
        return dataclasses.replace(
            self.retriever.describe(histories, candidates),
            notes={
                "endpoint": chosen.endpoint.url,
                "model": chosen.endpoint.model,
                "priced_on": chosen.endpoint.priced_on,
                "usd_per_million_tokens_in": chosen.endpoint.usd_per_million_in,
                "usd_per_million_tokens_out": chosen.endpoint.usd_per_million_out,
                "answers": " and ".join(sorted(manners)),
                "retriever": chosen.retriever,
                "rerank_k": chosen.rerank_k,
            },
        )


def _ranking(answered: Answered, letters: str) -> Ranking:
    """What an answer says; nothing where it was lost."""
    if answered.kept is None:
        return Ranking((), legal=False)
    if answered.ask == "probabilities":
        return by_probabilities(answered.kept.top, letters)
    return by_written_order(answered.kept.text, letters)


def _retriever_spec(spec: RunSpec) -> RunSpec:
    """The run of the retriever, which comes as its family does; joined names are a fusion."""
    name = spec.recommender.retriever
    family = "fusion" if "+" in name else name
    members = name if "+" in name else ""
    return dataclasses.replace(
        spec, recommender=RecommenderSpec(family=family, retriever=members), weights_from=""
    )
