"""How far an explanation is: noted batch by batch once it takes long, by whatever reads its prompts."""

import pytest

from llmrec_core.contract.requests import ExplainRequest
from llmrec_core.contract.spec import RunSpec
from llmrec_core.explain.answer import explain_answer
from llmrec_core.explain.steps import NOTED_AFTER_S, noting


def test_a_quick_answer_notes_nothing_and_a_long_one_each_step():
    times, steps = iter([0.0, NOTED_AFTER_S - 0.1, NOTED_AFTER_S]), []
    note = noting(steps.append, "people explained", lambda: next(times))
    note(1, 30)
    note(3, 30)
    (step,) = steps
    assert (step.done, step.total, step.phase) == (3, 30, "people explained")


@pytest.mark.parametrize(
    ("architecture", "options"),
    [
        ("bert", {}),
        ("bert", {"attention": "per_item"}),
        ("bert", {"attention": "full"}),
        ("llama", {"head": "yes-no"}),
    ],
)
def test_every_way_of_reading_prompts_says_how_many_it_has_read(
    language_model, small_dataset, architecture, options
):
    recommender = language_model(architecture, history_items=4, **options)
    seen = []
    request = ExplainRequest(item=15, history=(3, 7, 11))
    explain_answer(
        recommender, small_dataset, RunSpec(), request, progress=lambda *step: seen.append(step)
    )
    assert seen
    assert all(0 < done <= total for done, total in seen)
    ends = [place for place, (done, total) in enumerate(seen) if done == total]
    assert ends[-1] == len(seen) - 1, "what was begun is read to its end"
