"""The codes of a catalogue as a tree: which rows of codes exist, prefix by prefix.

A node of level d is a prefix of d codes that some item has. Nodes of a level are numbered in the
order of their codes, so that the children of a node are neighbours. Only what stands in the tree
can be written, so that no item is made up.

Symbols: N items, m codes of an item; level 0 is the root, level m has a leaf for every row of
codes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Level:
    """The nodes of one level."""

    of_item: np.ndarray
    """Node to which each item belongs, int64, shape (N,)."""
    code: np.ndarray
    """Last code of each node, int64, shape (nodes,); 0 at the root."""
    first_item: np.ndarray
    """Lowest item code below each node, int64, shape (nodes,)."""
    first_child: np.ndarray
    """First node of the next level below each node, int64, shape (nodes,); empty at the leaves."""
    children: np.ndarray
    """How many those are, int64, shape (nodes,); empty at the leaves."""

    @property
    def nodes(self) -> int:
        """How many prefixes of this length exist."""
        return len(self.code)


def tree_of(codes: np.ndarray) -> list[Level]:
    """The levels 0 to m of a catalogue's tree.

    Args:
        codes: int64, shape (N, m).

    >>> levels = tree_of(np.array([[1, 0], [0, 2], [1, 1]]))
    >>> [level.nodes for level in levels], levels[1].children.tolist(), levels[2].of_item.tolist()
    ([1, 2, 3], [1, 2], [1, 0, 2])
    """
    order = np.lexsort(codes.T[::-1])
    ordered = codes[order]
    begins = np.zeros(len(codes), dtype=bool)
    begins[0] = True
    starts, numbers = [np.zeros(1, dtype=np.int64)], [np.zeros(len(codes), dtype=np.int64)]
    for column in ordered.T:
        begins[1:] |= column[1:] != column[:-1]
        starts.append(np.flatnonzero(begins))
        numbers.append(np.cumsum(begins) - 1)
    levels = []
    for depth, (start, number) in enumerate(zip(starts, numbers, strict=True)):
        of_item = np.empty(len(codes), np.int64)
        of_item[order] = number
        below = numbers[depth + 1][start] if depth < codes.shape[1] else np.zeros(0, dtype=np.int64)
        ends = [len(starts[depth + 1])] if depth < codes.shape[1] else []
        levels.append(
            Level(
                of_item,
                ordered[start, depth - 1] if depth else np.zeros(1, dtype=np.int64),
                np.minimum.reduceat(order, start),
                below,
                np.diff(np.append(below, ends)).astype(np.int64),
            )
        )
    return levels
