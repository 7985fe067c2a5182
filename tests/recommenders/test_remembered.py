"""A request that was scored is not scored again, and comes back as it was."""

import numpy as np
import pytest

from llmrec_core.recommenders.remembered import Remembered


def test_only_new_requests_are_computed():
    asked = []

    def score(histories, candidates):
        asked.append(len(histories))
        return candidates * 2.0 + np.array([[h.sum()] for h in histories])

    memory = Remembered(score)
    histories = [np.array([1, 2]), np.array([3]), np.array([1, 2])]
    candidates = np.array([[5, 6], [5, 6], [7, 8]])
    first = memory.score(histories[:2], candidates[:2])
    again = memory.score(histories, candidates)
    assert asked == [2, 1]
    assert (again[:2] == first).all() and (again == score(histories, candidates)).all()


def test_memory_is_bounded(monkeypatch):
    monkeypatch.setattr("llmrec_core.recommenders.remembered.MOST_CELLS", 3)
    asked = []
    memory = Remembered(
        lambda histories, candidates: asked.append(len(histories)) or candidates * 1.0
    )
    for _ in range(2):
        assert (
            memory.score([np.array([1]), np.array([2])], np.array([[5, 6], [7, 8]]))
            == [[5, 6], [7, 8]]
        ).all()
    assert asked == [2, 1]


def test_what_was_computed_elsewhere_counts():
    memory = Remembered(lambda *_: pytest.fail("computed again"))
    memory.keep([np.array([4])], np.array([[1, 2]]), np.array([[0.5, 0.25]]))
    assert memory.score([np.array([4])], np.array([[1, 2]])).tolist() == [[0.5, 0.25]]
