"""The engine against shap and against simple sums; what it refuses; what it remembers."""

import numpy as np
import pytest
import torch

from llmrec_core.errors import DataError, UsageError
from llmrec_core.explain.coalitions import Coalitions, HistoryScores, Memory
from llmrec_core.explain.counterfactual import curves, smallest_set
from llmrec_core.explain.engine import explain, explain_decayed, to_target
from llmrec_core.explain.explanation import combine, contrast
from llmrec_core.explain.honesty import faithfulness
from llmrec_core.explain.players import history_players
from llmrec_core.metrics.correlation import spearman
from llmrec_core.models.weights_version import weights_version

HISTORY = np.array([3, 7, 11, 2, 9, 20])
WORTH = {3: 0.5, 7: -0.2, 11: 1.0, 2: 0.1, 9: 0.4, 20: 0.05}


def pairs(history, item):
    """Single worths, a pair bonus of 0.3 for 3 with 9, and 0.01 per item code."""
    return (
        sum(WORTH.get(i, 0.2) for i in history)
        + 0.3 * (3 in history and 9 in history)
        + 0.01 * item
    )


def game_of(recommender, dataset, history=HISTORY, stand_ins=None):
    players = history_players(dataset, history)
    return Coalitions(players, HistoryScores(recommender, history, players, stand_ins))


def test_exact_values_by_hand(rule, small_dataset):
    found = explain(game_of(rule(pairs), small_dataset), 15, error=0)
    # the pair's bonus is shared: 3 gets 0.5 + 0.15, 9 gets 0.4 + 0.15
    assert np.allclose(found.values, [0.65, -0.2, 1.0, 0.1, 0.55, 0.05])
    assert found.base == pytest.approx(0.15) and found.exact and found.forwards == 64
    assert found.additivity_gap < 1e-12
    assert found.interactions[0, 4] == pytest.approx(0.3)
    assert np.allclose(found.leave_one_out, [0.8, -0.2, 1.0, 0.1, 0.7, 0.05])


@pytest.mark.slow
def test_values_equal_those_of_shap(rule, small_dataset):
    """`shap`'s own Exact and Permutation explainers on the same coalitions."""
    import shap

    recommender = rule(
        lambda history, item: np.tanh(pairs(history, item)) * (1 + 0.1 * len(history))
    )
    found = explain(game_of(recommender, small_dataset), 15, error=0)

    def coalition(rows):
        return recommender.score(
            [HISTORY[row.astype(bool)] for row in rows], np.full((len(rows), 1), 15)
        )[:, 0]

    masker = shap.maskers.Independent(np.zeros((1, 6)), max_samples=1)
    exact = shap.explainers.Exact(coalition, masker)(np.ones((1, 6)))
    permutation = shap.explainers.Permutation(coalition, masker, seed=0)(
        np.ones((1, 6)), max_evals=4000
    )
    ours = found.to_shap()
    assert isinstance(ours, shap.Explanation)
    assert np.abs(ours.values - exact.values[0]).max() < 1e-9
    assert np.abs(ours.values - permutation.values[0]).max() < 0.02
    assert ours.base_values == pytest.approx(exact.base_values[0])


def test_budget_grows_until_the_error_is_met(rule, small_dataset):
    history = np.arange(14)
    recommender = rule(lambda h, item: float(np.tanh(sum(0.2 + 0.1 * np.sin(i) for i in h))))
    game, steps = game_of(recommender, small_dataset, history), []
    found = explain(game, 20, error=0.03, progress=steps.append)
    assert not found.exact and found.relative_error <= 0.03 and found.forwards < 1 << 14
    assert [len(step.masks) for step in steps] == sorted({len(step.masks) for step in steps})
    assert found.additivity_gap < 1e-6
    assert len(explain(game, 20, budget=40).masks) == 40


def test_one_pass_answers_for_the_whole_list(rule, small_dataset):
    game = game_of(rule(pairs), small_dataset)
    first = explain(game, 15, error=0, together=[16, 17])
    second = explain(game, 16, error=0)
    assert second.forwards == 0
    both = contrast(first, second)
    assert np.allclose(both.values, first.values - second.values) and both.forwards == 0
    # 15 and 16 differ by their own 0.01 alone, which is in the base
    assert np.allclose(both.values, 0) and both.base == pytest.approx(-0.01)


def test_sampled_contrast_of_unequal_budgets_keeps_base_and_prediction(rule, small_dataset):
    game = game_of(rule(pairs), small_dataset)
    one, two = explain(game, 15, budget=30), explain(game, 16, budget=20)
    both = contrast(one, two)
    assert both.table[0] == pytest.approx(both.base) and both.table[1] == pytest.approx(
        both.prediction
    )
    assert both.additivity_gap < 1e-6


def test_targets(rule, small_dataset):
    assert np.allclose(to_target(np.array([-np.log(3), 0.0]), "probability"), [0.25, 0.5])
    found = explain(game_of(rule(pairs), small_dataset), 15, target="probability", error=0)
    assert (
        found.prediction == pytest.approx(1 / (1 + np.exp(-2.3))) and found.additivity_gap < 1e-12
    )


def test_average_user_replaces_instead_of_removing(rule, small_dataset):
    stand_ins = np.array([[21, 22, 23, 24, 25, 26], [27, 28, 29, 1, 4, 5]])
    found = explain(game_of(rule(pairs), small_dataset, stand_ins=stand_ins), 15, error=0)
    assert found.base == pytest.approx(6 * 0.2 + 0.15)  # six stand-ins at 0.2 each
    assert found.values[1] == pytest.approx(-0.4)


def test_smallest_set_is_the_smallest_and_proved(rule, small_dataset):
    def score(history, item):
        return {15: sum(WORTH[i] for i in history), 16: 1.0, 17: 0.4}[item]

    game = game_of(rule(score), small_dataset)
    found = smallest_set(
        game, 15, [16]
    )  # 1.85 must fall below 1.0: removing 11 alone (1.0) does it
    assert found.removed == (2,) and found.proved and found.out
    assert (found.place, found.place_without) == (1, 2)
    lower = smallest_set(game, 15, [16, 17], places=2)  # below 0.4 too: 11 and 3 (1.5)
    assert lower.removed == (0, 2) and lower.proved
    greedy = smallest_set(
        game_of(rule(score), small_dataset),
        15,
        [17],
        values=np.array([WORTH[i] for i in HISTORY]),
        limit=3,
    )
    assert greedy.out and not greedy.proved and greedy.place_without == 2
    nothing = smallest_set(game_of(rule(lambda h, i: float(i)), small_dataset), 20, [19])
    assert not nothing.out and nothing.proved and nothing.place_without == 1


def test_curves_start_and_end_where_they_must(rule, small_dataset):
    game = game_of(rule(pairs), small_dataset)
    coming, going = curves(game, [15], [2, 0, 4, 3, 5, 1])
    assert coming[0, 0] == going[-1, 0] and coming[-1, 0] == going[0, 0]
    assert coming[1, 0] == pytest.approx(1.15)


def test_faithful_order_beats_chance(rule, small_dataset):
    game = game_of(rule(pairs), small_dataset)
    found = faithfulness(explain(game, 15, error=0), game)
    assert found.z > 1 and found.gain > 0
    constant = game_of(rule(lambda h, i: 1.0), small_dataset)
    assert faithfulness(explain(constant, 15, error=0), constant).z is None


def test_constant_scorer_has_zero_values_and_zero_error(rule, small_dataset):
    found = explain(game_of(rule(lambda h, i: 4.0), small_dataset, np.arange(14)), 20, error=0.05)
    assert (
        not found.values.any()
        and not found.errors.any()
        and found.prediction == 4.0
        and not found.unsure
    )


def test_spearman():
    assert spearman(np.array([1.0, 2, 3]), np.array([1.0, 4, 9])) == 1.0
    assert spearman(np.array([1.0, 1, 1]), np.array([1.0, 4, 9])) is None


def test_nan_scores_are_refused(rule, small_dataset):
    with pytest.raises(DataError, match="not numbers"):
        explain(game_of(rule(lambda h, i: float("nan")), small_dataset), 15)


def test_small_budget_and_too_many_players_are_refused(rule, small_dataset):
    game = game_of(rule(pairs), small_dataset)
    with pytest.raises(UsageError, match="at least 8"):
        explain(game, 15, budget=7)
    with pytest.raises(UsageError, match="at most 12"):
        explain(game_of(rule(pairs), small_dataset, np.arange(14)), 20, error=0)
    with pytest.raises(UsageError, match="share from 0"):
        explain(game, 15, error=3)


def test_long_histories_are_grouped(small_dataset):
    items = np.arange(200) % 30
    recency = history_players(small_dataset, items)
    assert len(recency) == 20 and sorted(p for player in recency for p in player.places) == list(
        range(200)
    )
    assert (
        recency[-1].kind == "item" and recency[-1].places == (199,) and recency[0].kind == "group"
    )
    genre = history_players(small_dataset, items, group_by="genre")
    assert {player.kind for player in genre} == {"group"} and sum(
        len(p.places) for p in genre
    ) == 200
    with pytest.raises(UsageError, match="group_by"):
        history_players(small_dataset, items, group_by="colour")


def test_ease_in_closed_form_equals_enumeration(small_dataset, tmp_path):
    from llmrec_core.contract.run_context import RunContext
    from llmrec_core.data.splits import split
    from llmrec_core.recommenders.ease import Ease

    ease = Ease(l2=2.0, decay=0.8)
    ease.fit(split(small_dataset, "loo"), RunContext(tmp_path))
    exact = explain(game_of(ease, small_dataset), 15, error=0)
    closed = explain_decayed(game_of(ease, small_dataset), 15, 0.8)
    assert np.abs(exact.values - closed.values).max() < 1e-6 and closed.forwards == 8
    assert closed.additivity_gap < 1e-12


def test_memory_forgets_changed_weights():
    class Holder:
        def __init__(self):
            self.module = torch.nn.Linear(2, 1)

        def network(self):
            return self.module

        def weights_version(self):
            return weights_version(self.module)

        def with_network(self, network):
            raise NotImplementedError

    holder, memory = Holder(), Memory()
    first = memory.rows(holder, ("a",))
    assert memory.rows(holder, ("a",)) is first and memory.rows(holder, ("b",)) is not first
    with torch.no_grad():
        holder.module.weight.add_(1)
    assert memory.rows(holder, ("a",)) is not first
    assert len(memory) == 1
    del holder
    assert len(memory) == 0


def test_a_weighted_sum_of_explanations_is_that_of_the_games(rule, small_dataset):
    first = explain(game_of(rule(pairs), small_dataset), 15, error=0)
    other = game_of(rule(lambda history, item: float(3 in history) - 2.0), small_dataset)
    both = combine([first, explain(other, 15, budget=40)], [2.0, 3.0], 0.5)
    # player 3: 2 x 0.65 + 3 x 1; base: 2 x 0.15 - 3 x 2 + 0.5
    assert both.values[0] == pytest.approx(4.3) and both.base == pytest.approx(-5.2)
    assert both.additivity_gap < 1e-9 and not both.exact and len(both.masks) == 40
    assert both.table[0] == pytest.approx(both.base)
    assert both.table[1] == pytest.approx(both.prediction)
    with pytest.raises(UsageError, match="other players"):
        combine([first, explain(game_of(rule(pairs), small_dataset, HISTORY[1:]), 15)], [1.0, 1.0])
