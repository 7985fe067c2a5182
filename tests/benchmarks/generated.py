"""Items that generative retrieval writes, and how many of them no catalogue has: that has to be none.

    LLMREC_HOME=FOLDER python tests/benchmarks/generated.py [--data amazon-beauty] [--items 100000] [--json]

The codes are those of the data set's own texts (3 levels of 256 centroids of MiniLM); the model has
fresh weights, which lean towards nothing, so that every corner of the space of codes is tried. For
people of the data set a beam of 50 writes items after their histories. What the model was given to
write is kept code by code and held against the list of all items' codes, without the tree that the
search went by. A code that has not been written when the search ends, the last one, is the leaf's.

The share of the space of codes that exists says how likely a row of codes drawn by chance is one of
an item. The last line of the output is one JSON document. The home has to hold the data set.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import torch
from torch import Tensor

from llmrec_core.contract.spec import run_from_dict
from llmrec_core.data.catalogue import load_dataset
from llmrec_core.data.splits import split
from llmrec_core.models.cached_blocks import Memory
from llmrec_core.models.code_by_code_model import CodeByCodeModel
from llmrec_core.models.code_tree import Level, tree_of
from llmrec_core.recommenders.tiger import Tiger
from llmrec_core.scoring.code_search import search
from llmrec_core.settings import load_settings

BEAM, TOGETHER = 50, 80
SPEC = {
    "recommender": {
        "family": "tiger", "backbone": "minilm-l6", "adaptation": "full", "history_items": 20,
        "options": {"levels": 3, "codebook": 256, "width": 64, "layers": 1, "beam": BEAM},
    },
}  # fmt: skip


@dataclass
class Followed(Memory):
    """A memory that also knows which codes each beam has written."""

    rows: np.ndarray = field(default_factory=lambda: np.zeros((0, 0, 0), dtype=np.int64))
    """Shape (requests, beams, codes)."""

    def reorder(self, origin: Tensor) -> None:
        """As `Memory.reorder`."""
        self.rows = np.take_along_axis(self.rows, origin.cpu().numpy()[:, :, None], axis=1)
        super().reorder(origin)


class Watched:
    """A model, and the codes that it is given to write, beam by beam."""

    def __init__(self, model: CodeByCodeModel) -> None:
        self.model = model
        self.beams: list[int] = []
        """Of each step: codes that were read for a request."""
        self.memory = Followed(torch.zeros(0))

    def read(self, sequences: Tensor, lengths: Tensor) -> tuple[Tensor, Memory]:
        """As `CodeByCodeModel.read`."""
        logs, memory = self.model.read(sequences, lengths)
        start = np.zeros((len(sequences), 1, 0), dtype=np.int64)
        self.beams, self.memory = [], Followed(memory.hidden, memory.history, memory.written, start)
        return logs, self.memory

    def write(self, codes: Tensor, level: int, lengths: Tensor, memory: Memory) -> Tensor:
        """As `CodeByCodeModel.write`."""
        self.beams.append(codes.shape[1])
        rows = codes.cpu().numpy()[:, :, None]
        self.memory.rows = np.concatenate((self.memory.rows, rows), axis=2)
        return self.model.write(codes, level, lengths, memory)


@torch.inference_mode()
def generated(
    model: CodeByCodeModel,
    histories: Sequence[np.ndarray],
    beam: int,
    together: int = TOGETHER,
    tree: Sequence[Level] | None = None,
) -> dict[str, int]:
    """Items written after the histories, and how many of them have codes that no item has.

    Args:
        model: any weights, with the codes of a catalogue.
        histories: item codes, none empty.
        beam: items written after each.
        together: histories of one pass.
        tree: what the search goes by; None takes that of the model's own items.
    """
    codes = model.item_codes().cpu().numpy()
    tree = tree_of(codes) if tree is None else tree
    prefixes = {tuple(row) for row in codes[:, : len(tree) - 2].tolist()}
    rows = {tuple(row) for row in codes.tolist()}
    watched, items, unknown = Watched(model), 0, 0
    for start in range(0, len(histories), together):
        some = histories[start : start + together]
        lengths = np.array([len(history) for history in some])
        sequences = np.full((len(some), lengths.max()), model.items)
        for row, history in zip(sequences, some, strict=True):
            row[: len(history)] = history
        reached = search(
            watched,
            tree,
            torch.from_numpy(sequences),
            torch.from_numpy(lengths),
            np.ones((len(some), model.items), dtype=bool),
            np.full(len(some), beam),
        )
        written = watched.memory.rows.reshape(-1, watched.memory.rows.shape[2])
        unknown += sum(tuple(row) not in prefixes for row in written.tolist())
        leaves, counts = np.unique(np.nonzero(np.isfinite(reached))[1], return_counts=True)
        for leaf, count in zip(leaves, counts, strict=True):
            item = int(tree[-1].first_item[leaf])
            row = tuple(int(level.code[level.of_item[item]]) for level in tree[1:])
            unknown += int(count) * (row not in rows)
            items += int(count)
    return {"items": items, "unknown": unknown}


def measured(name: str, items: int) -> dict[str, Any]:
    """The count on a data set's own codes, and how empty the space of codes is.

    Args:
        name: of a data set of the home.
        items: to be written at least.
    """
    settings = load_settings()
    dataset = load_dataset(name, settings)
    spec = run_from_dict(SPEC | {"data": {"name": name}})
    recommender = Tiger.of_spec(spec, dataset, settings, None)
    model = recommender.network().eval().cpu()
    people = [case.history for case in split(dataset, "loo").valid if len(case.history)]
    wanted = -(-items // BEAM)
    histories = [people[n % len(people)][-recommender.length :] for n in range(wanted)]
    begins = time.perf_counter()
    counted = generated(model, histories, BEAM)
    space = float(model.codebook) ** (model.digits - 1) * model.places
    return {
        "data": name,
        "items": counted["items"],
        "unknown": counted["unknown"],
        "catalogue": dataset.n_items,
        "share_of_code_space_that_exists": dataset.n_items / space,
        "seconds": round(time.perf_counter() - begins, 1),
    }


def main() -> None:
    """Read the command line, count and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", default="amazon-beauty", help="a data set of the home")
    parser.add_argument("--items", type=int, default=100_000, help="items to be written at least")
    parser.add_argument("--quick", action="store_true", help="a tenth of the items")
    parser.add_argument("--json", action="store_true", help="only the JSON line")
    chosen = parser.parse_args()
    answer = measured(chosen.data, chosen.items // 10 if chosen.quick else chosen.items)
    if not chosen.json:
        for name, value in answer.items():
            print(f"{name:32} {value}")
    print(json.dumps({"results": answer}))


if __name__ == "__main__":
    main()
