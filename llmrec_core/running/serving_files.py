"""What a run and the process that serves it tell each other: files of one folder.

order.json                    what is to be served, and since when
offsets.npy, items.npy        histories, one after the other; where each begins
candidates.npy                what each request is offered
ready.json                    loaded, and the first request answered
window-N.json, scores-N.npz   a measured window, and scores of its requests
failure.json                  why there is none
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from llmrec_core.files import write_atomic, write_json
from llmrec_core.profiling.timing import Window


@dataclass(frozen=True)
class Order:
    """What is to be served."""

    spec: dict[str, Any]
    """Of the run, as stored."""
    model: str
    """Folder of the saved model."""
    content_hash: str
    """Of the data set."""
    k: int
    """Length of a list."""
    batch: int
    """Requests of a call where throughput is measured."""
    started: float
    """`time.monotonic` just before the process was started; one clock for all of a machine."""


@dataclass(frozen=True)
class Ready:
    """The process is loaded and has answered one request."""

    load_s: float
    """From the start of the program: imports, data set, model."""
    first_s: float
    """Of the first request."""
    runtime_bytes: int
    """Resident before data set and model were loaded: Python and the family's libraries."""
    loaded_bytes: int
    """Resident when all was loaded, before the first request."""


@dataclass(frozen=True)
class Served:
    """A measured window of both kinds."""

    single: Window
    batched: Window
    peak_bytes: int
    """The most that has been resident since the program began."""


@dataclass(frozen=True)
class Failure:
    """Why the process has ended: kind and sentence, as `failures.classify` gives them."""

    kind: str
    sentence: str


class ServingFolder:
    """The folder of one serving process; every file appears complete or not at all."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write_order(
        self, order: Order, histories: Sequence[np.ndarray], candidates: np.ndarray
    ) -> None:
        """Store what is to be served.

        Args:
            order: what is to be served.
            histories: item codes of each request, oldest first.
            candidates: item codes, shape (requests, N).
        """
        lengths = [len(history) for history in histories]
        self._save("offsets", np.cumsum([0, *lengths]))
        self._save("items", np.concatenate([np.zeros(0, np.int32), *histories]).astype(np.int32))
        self._save("candidates", candidates)
        write_json(self.path / "order.json", asdict(order))

    def order(self) -> Order:
        """What is to be served."""
        return Order(**self._body("order.json"))

    def requests(self) -> tuple[list[np.ndarray], np.ndarray]:
        """Histories and candidates of the requests."""
        offsets, items = self._load("offsets"), self._load("items")
        return np.split(items, offsets[1:-1]), self._load("candidates")

    def write_ready(self, ready: Ready) -> None:
        """Store that the process is loaded."""
        write_json(self.path / "ready.json", asdict(ready))

    def ready(self) -> Ready | None:
        """Whether the process is loaded; None while it is not."""
        body = self._body("ready.json")
        return Ready(**body) if body else None

    def write_served(
        self, number: int, served: Served, places: np.ndarray, scores: np.ndarray
    ) -> None:
        """Store a window and the scores that were given in it.

        Args:
            number: of the window.
            served: what was measured.
            places: numbers of the requests.
            scores: of these requests, shape (requests, N).
        """
        write_atomic(
            self.path / f"scores-{number}.npz",
            lambda file: np.savez(file, allow_pickle=False, places=places, scores=scores),
        )
        write_json(self.path / f"window-{number}.json", asdict(served))

    def served(self, number: int) -> Served | None:
        """A window; None while it is not measured."""
        body = self._body(f"window-{number}.json")
        if not body:
            return None
        windows = (Window(**body["single"]), Window(**body["batched"]))
        return Served(*windows, body["peak_bytes"])

    def scores(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Numbers of requests, and their scores, as of a window."""
        with np.load(self.path / f"scores-{number}.npz", allow_pickle=False) as stored:
            return stored["places"], stored["scores"]

    def write_failure(self, failure: Failure) -> None:
        """Store why the process ends."""
        write_json(self.path / "failure.json", asdict(failure))

    def failure(self) -> Failure | None:
        """Why the process has ended; None where it has not said so."""
        body = self._body("failure.json")
        return Failure(**body) if body else None

    def _body(self, name: str) -> dict[str, Any]:
        try:
            return dict(json.loads((self.path / name).read_text(encoding="utf-8")))
        except FileNotFoundError:
            return {}

    def _save(self, name: str, array: np.ndarray) -> None:
        np.save(self.path / f"{name}.npy", array, allow_pickle=False)

    def _load(self, name: str) -> np.ndarray:
        return np.asarray(np.load(self.path / f"{name}.npy", allow_pickle=False))
