"""A student: what it is asked to learn, that it does, and that it needs no teacher to serve."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
import torch

from llmrec_core.contract.run_context import RunContext
from llmrec_core.contract.spec import run_from_dict
from llmrec_core.data.dataset import build_dataset
from llmrec_core.data.splits import split
from llmrec_core.errors import CheckpointError, RunError, UsageError
from llmrec_core.models.sasrec_model import SasRecModel
from llmrec_core.recommenders import lessons
from llmrec_core.recommenders.registry import build, family_class
from llmrec_core.recommenders.stored import stored_recommender
from llmrec_core.settings import Settings
from llmrec_core.training.windows import WindowSampler
from tests.engine import folder

torch.set_num_threads(1)
USERS, ITEMS = 40, 30
TRAINING = {
    "steps": 60, "batch_histories": 20, "learning_rate": 1e-2, "warmup_steps": 2, "validate_every": 60,
    "validation_users": 10,
}  # fmt: skip
OPTIONS = {"width": 16, "layers": 1, "heads": 1, "in_epochs": 1}


class Stopped(RunContext):
    """Ends at the second lot of lists, as a run that is stopped."""

    def progress(self, phase, done, total):
        if phase == "teach" and 0 < done < total:
            raise RunError("stopped on request", "cancelled")


class Teacher:
    """Ranks items by their code, the highest first, and counts whom it was asked about."""

    def __init__(self):
        self.histories = []

    def score(self, histories, candidates):
        self.histories += histories
        return np.where(candidates >= 0, candidates, -np.inf).astype(np.float32)


@pytest.fixture(scope="module")
def shop():
    """Everybody takes things at random, so that the data alone teach nothing."""
    rng = np.random.default_rng(0)
    rows = [
        (f"u{user}", f"i{item}", float(place))
        for user in range(USERS)
        for place, item in enumerate(rng.choice(ITEMS, 5 + user % 4, replace=False))
    ]
    items = pd.DataFrame({"item_id": [f"i{item}" for item in range(ITEMS)]})
    items["title"] = [f"white field number{item}" for item in range(ITEMS)]
    table = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"])
    return split(build_dataset("shop", table, items), "loo")


def run_of(chosen, **fields):
    body = {"protocol": {"candidates": "full", "users": 0}, "training": TRAINING}
    return run_from_dict(body | {"recommender": chosen} | fields)


def student_of(**options):
    chosen = {"family": "distilled-sasrec", "adaptation": "full", "history_items": 6}
    return run_of({**chosen, "options": OPTIONS | options}, weights_from="the teacher")


@pytest.fixture(scope="module")
def cascade(shop, tmp_path_factory):
    """The folder of a decoder that puts item-kNN's five best in order."""
    place = tmp_path_factory.mktemp("cascade")
    chosen = {
        "family": "decoder", "backbone": str(folder("llama")), "head": "yes-no", "retriever": "item-knn",
        "rerank_k": 5,
    }  # fmt: skip
    made = build(run_of(chosen), shop.dataset, Settings(place, "sqlite://", 30.0))
    made.fit(shop, RunContext(place / "run"))
    made.save(place / "model")
    return place / "model"


def asked(teacher, shop, place, **other):
    sequences = WindowSampler(shop.train, length=6, padding=ITEMS, seed=0).sequences
    wanted = {"people": 20, "items": 3, "seed": 1} | other
    place.mkdir(exist_ok=True)
    found = lessons.ask_teacher(teacher.score, sequences, shop.dataset, RunContext(place), **wanted)
    return sequences, found


def test_lessons_are_the_teachers_best_of_what_a_person_has_not_taken(shop, tmp_path):
    teacher = Teacher()
    sequences, found = asked(teacher, shop, tmp_path)
    assert found.people == len(teacher.histories) == 20
    for person, items in enumerate(found.items):
        if items[0] < 0:
            continue
        read = sequences[person][:-1]
        assert any(np.array_equal(read, history) for history in teacher.histories)
        assert items.tolist() == [code for code in range(ITEMS - 1, -1, -1) if code not in read][:3]
    assert asked(teacher, shop, tmp_path / "all", people=0)[1].people == len(sequences)


def test_a_stopped_teacher_is_not_asked_again_about_the_same_people(shop, tmp_path):
    sequences = WindowSampler(shop.train, length=6, padding=ITEMS, seed=0).sequences
    first, second = Teacher(), Teacher()
    with pytest.raises(RunError):
        lessons.ask_teacher(
            first.score, sequences, shop.dataset, Stopped(tmp_path), people=20, items=3, seed=1
        )
    assert len(first.histories) == lessons.ASKED_TOGETHER
    _, found = asked(second, shop, tmp_path)
    assert len(second.histories) == 20 - lessons.ASKED_TOGETHER
    _, at_once = asked(Teacher(), shop, tmp_path / "other")
    np.testing.assert_array_equal(found.items, at_once.items)


def test_the_loss_is_that_of_the_next_items_and_of_the_lists_by_hand(shop):
    torch.manual_seed(0)
    model = SasRecModel(ITEMS, 6, 8, 1, 1, 0.0, None).eval()
    sampler = WindowSampler(shop.train, length=6, padding=ITEMS, seed=0)
    lists = np.full((len(sampler.sequences), 2), -1, np.int32)
    lists[::2] = [4, 9]
    windows = sampler.draw(0, 16)
    taught = lessons.LessonLoss(model, lessons.Lessons(lists, 0.0), 3.0, 2.0, torch.device("cpu"))
    plain = lessons.TargetLoss(model, None, torch.device("cpu"))
    table = model.vectors()
    states = model(torch.from_numpy(windows.inputs), table)
    shares = np.exp(-np.arange(2) / 2.0)
    shares = shares / shares.sum()
    expected = 0.0
    for row, person in enumerate(windows.people):
        sequence = sampler.sequences[person]
        if person % 2 or windows.targets[row, windows.real[row]][-1] != sequence[-1]:
            continue
        state = states[row, windows.real[row].sum() - 1]
        chances = torch.log_softmax(state @ table[:ITEMS].T, 0)
        expected -= float((shares[0] * chances[4] + shares[1] * chances[9]).detach())
    assert expected > 0
    places = windows.real.sum()
    gap = taught.mean(windows) - plain.mean(windows)
    assert float(gap.detach()) == pytest.approx(3.0 * expected / places, rel=1e-4)


def test_a_student_learns_its_teachers_lists_and_serves_without_it(
    shop, settings, cascade, tmp_path
):
    found = {}
    for lesson in (0.0, 20.0):
        place = tmp_path / f"lesson{lesson:g}"
        made = build(
            student_of(lesson=lesson, taught_people=0), shop.dataset, settings, parent=cascade
        )
        context = RunContext(place)
        place.mkdir()
        made.fit(shop, context)
        found[lesson] = context.documents["teacher"]
    assert found[20.0]["learned"] > found[0.0]["learned"] + 0.1
    assert found[20.0]["people"] == len([s for s in shop.train if len(s) >= 2])
    assert found[20.0]["items"] == 10
    made.save(tmp_path / "model")
    again = family_class("distilled-sasrec").load(tmp_path / "model", shop.dataset)
    histories = [case.history for case in shop.test]
    candidates = np.tile(np.arange(ITEMS), (len(histories), 1))
    np.testing.assert_array_equal(
        again.score(histories, candidates), made.score(histories, candidates)
    )


def test_a_cascade_teaches_as_it_ranks(shop, cascade):
    spec, teacher = stored_recommender(cascade, shop.dataset)
    assert spec.recommender.retriever == "item-knn"
    history = shop.train[0][:-1]
    (best,) = lessons.best_items(teacher.score, [history], ITEMS)
    scores = teacher.score([history], best[None])
    assert (np.diff(scores[0]) <= 0).all()
    assert not np.isin(history, best).any()


def test_a_student_without_a_teacher_is_refused(shop, settings, tmp_path):
    chosen = {"family": "distilled-sasrec", "adaptation": "full"}
    with pytest.raises(UsageError, match="learns from another run's lists"):
        run_of(chosen)
    counting = build(run_of({"family": "popularity"}), shop.dataset, settings)
    counting.fit(shop, RunContext(tmp_path / "run"))
    counting.save(tmp_path / "model")
    with pytest.raises(UsageError, match="cannot teach"):
        build(student_of(), shop.dataset, settings, parent=tmp_path / "model")
    with pytest.raises(UsageError, match="also_time"):
        run_of(chosen, weights_from="x", protocol={"also_time": True})


def test_a_teacher_whose_spec_is_damaged_is_a_sentence(shop, settings, tmp_path):
    (tmp_path / "state.json").write_text('{"spec": [')
    with pytest.raises(CheckpointError, match=r"no readable state\.json"):
        build(student_of(), shop.dataset, settings, parent=tmp_path)


def test_a_student_trains_weights_of_its_own():
    assert not student_of().borrows_weights
    reader = run_of({"family": "cross-encoder", "backbone": "minilm-l6"}, weights_from="other")
    assert reader.borrows_weights
    other = dataclasses.replace(student_of(), weights_from="another teacher")
    assert other.hash != student_of().hash
    assert json.loads(json.dumps(other.to_dict()))["weights_from"] == "another teacher"
