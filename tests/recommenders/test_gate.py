"""The gate of a cascade, on data where it is known whom a language model helps."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from llmrec_core.contract.recommender import routed_requests
from llmrec_core.contract.requests import ExplainRequest
from llmrec_core.contract.run_context import RunContext
from llmrec_core.contract.spec import RecommenderSpec, RunSpec, run_from_dict
from llmrec_core.data.dataset import build_dataset
from llmrec_core.data.splits import split
from llmrec_core.errors import DataError, RunError, UsageError
from llmrec_core.explain.answer import explain_answer
from llmrec_core.explain.notes import texts
from llmrec_core.metrics.evaluate import per_user
from llmrec_core.metrics.exam import Exam
from llmrec_core.profiling.measure import evenly_mixed
from llmrec_core.recommenders.cascade import Cascade
from llmrec_core.recommenders.gate import FEATURES, Gate, request_features
from llmrec_core.recommenders.gate_learning import LOSS, curve, learn, reliability
from llmrec_core.types import Description
from tests.recommenders.hosted.films import hosted_run

ITEMS, PEOPLE, SHORT, READ = 40, 900, 9, 20
KNN_HASH = "3c0b120aadde036a"
"""Of a run with every setting as usual, before there were gates."""


def people(count, seed=0):
    """Every third person has a short history; the order of all items is by chance."""
    rng = np.random.default_rng(seed)
    rows = []
    for user in range(count):
        length = int(rng.integers(4, SHORT + 1) if user % 3 == 0 else rng.integers(20, 30))
        for time, item in enumerate(rng.permutation(ITEMS)[:length]):
            rows.append((f"u{user}", f"i{item}", float(time)))
    table = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"])
    return build_dataset("people", table, order="time")


class Oracle:
    """Knows what comes next for a share of the people; otherwise it guesses."""

    def __init__(self, parts, knows, seed):
        self.next = {}
        for case in [*parts.valid, *parts.test]:
            self.next[case.history.tobytes()] = case.relevant
        self.knows, self.seed, self.rows = knows, seed, 0

    def score(self, histories, candidates):
        scores = np.full(candidates.shape, -np.inf, dtype=np.float32)
        self.rows += len(histories)
        for row, (history, items) in enumerate(zip(histories, candidates, strict=True)):
            rng = np.random.default_rng([self.seed, len(history), int(history.sum())])
            order = rng.permutation(len(items))
            known = np.flatnonzero(np.isin(items, self.next[history.tobytes()]))
            if len(known) and rng.random() < self.knows(history):
                # first, by no larger a lead than a guess has
                first = np.argmax(np.where(items >= 0, order, -1))
                order[first], order[known[0]] = order[known[0]], order[first]
            scores[row] = np.where(items >= 0, order, -np.inf)
        return scores

    def fit(self, parts, context):
        pass

    def describe(self, histories, candidates):
        return Description(10, 0, 40, float(1_000 * (candidates >= 0).sum(axis=1).mean()), {})


class Retriever(Oracle):
    """Cheap."""

    def describe(self, histories, candidates):
        return Description(1, 0, 4, 10.0, {})


def spec_of(**recommender) -> RunSpec:
    chosen = {"family": "cross-encoder", "backbone": "bert", "retriever": "item-knn"}
    return run_from_dict(
        {
            "recommender": {**chosen, "rerank_k": READ, "gate": "validation", **recommender},
            "training": {"validation_users": 0},
            "protocol": {"candidates": "full", "users": 0},
        }
    )


def cascade_of(parts, reader_knows, spec=None):
    retriever = Retriever(parts, lambda history: 0.1 if len(history) <= SHORT else 0.5, seed=1)
    reader = Oracle(parts, reader_knows, seed=2)
    return Cascade(spec or spec_of(), retriever, reader, reader_is_trained=True)


def quality(recommender, parts):
    exam = Exam.on(parts, parts.test, "full", 0, 0)
    return per_user(recommender.score, parts, exam.cases, exam.candidates, 10)["ndcg@10"].mean()


@pytest.fixture(scope="module")
def parts():
    return split(people(PEOPLE), "loo")


def copying(parts, knows):
    """A cascade whose reader keeps the retriever's order where it knows nothing better."""
    made = cascade_of(parts, lambda history: 0.0)
    made.reader = Copying(parts, knows, made.retriever)
    return made


class Copying(Oracle):
    """The retriever's order, with the answer on top for those whom it knows."""

    def __init__(self, parts, knows, retriever):
        super().__init__(parts, knows, 2)
        self.retriever = retriever

    def score(self, histories, candidates):
        self.rows += len(histories)
        real = np.where(candidates >= 0, candidates, 0)
        scores = -np.tile(np.arange(candidates.shape[1], dtype=np.float32), (len(histories), 1))
        for row, history in enumerate(histories):
            rng = np.random.default_rng([2, len(history), int(history.sum())])
            if rng.random() < self.knows(history):
                scores[row, np.isin(real[row], self.next[history.tobytes()])] = 1_000
        return np.where(candidates >= 0, scores, -np.inf).astype(np.float32)


@pytest.fixture(scope="module")
def helped_when_short(parts, tmp_path_factory):
    made = copying(parts, lambda history: 0.95 if len(history) <= SHORT else 0.0)
    context = RunContext(tmp_path_factory.mktemp("run"))
    made.fit(parts, context)
    return made, context


def test_the_gate_finds_those_whom_reading_helps(helped_when_short, parts):
    gated, context = helped_when_short
    record = context.documents["gate"]
    assert record["outcome"] == "some" and record["people"] == len(parts.valid) >= 500
    assert record["share"] == pytest.approx(1 / 3, abs=0.05)
    exam = Exam.on(parts, parts.test, "full", 0, 0)
    routed = gated.routed(exam.histories, exam.candidates)
    lengths = np.array([len(history) for history in exam.histories])
    assert routed[lengths <= SHORT].mean() > 0.9 and routed[lengths > SHORT].mean() < 0.1
    always = copying(parts, gated.reader.knows)
    with_gate, without = quality(gated, parts), quality(always, parts)
    assert with_gate >= (1 - LOSS) * without > 1.02 * quality(gated.retriever, parts)


def test_requests_that_are_not_routed_are_not_read(helped_when_short, parts):
    gated, _ = helped_when_short
    exam = Exam.on(parts, parts.test, "full", 0, 0)
    routed = gated.routed(exam.histories, exam.candidates)
    gated.reader.rows = 0
    scores = gated.score(exam.histories, exam.candidates)
    assert gated.reader.rows == routed.sum() < 0.5 * len(routed)
    cheap = gated.retriever.score(exam.histories, exam.candidates)
    best, retrieved = np.argmax(scores[~routed], 1), np.argmax(cheap[~routed], 1)
    assert best.tolist() == retrieved.tolist()
    alone = np.stack(
        [
            gated.score([history], row[None])[0]
            for history, row in zip(exam.histories[:20], exam.candidates[:20], strict=True)
        ]
    )
    np.testing.assert_allclose(alone, scores[:20], rtol=1e-6)


def test_the_cost_is_that_of_the_mix(helped_when_short, parts):
    gated, _ = helped_when_short
    exam = Exam.on(parts, parts.test, "full", 0, 0)
    share = gated.routed(exam.histories, exam.candidates).mean()
    described = gated.describe(exam.histories, exam.candidates)
    # the retriever, a share of all reading candidates at 1,000 FLOPs, and the gate itself
    passed = gated.retriever.score(exam.histories, exam.candidates)
    offered = np.isfinite(passed).sum(axis=1).clip(max=READ)
    read = gated.routed(exam.histories, exam.candidates)
    expected = 10 + 1_000 * (offered * read).mean() + gated.gate.flops(offered.mean())
    assert described.flops_per_request == pytest.approx(expected)
    assert described.notes["requests_read"] == pytest.approx(share)
    always = copying(parts, gated.reader.knows).describe(exam.histories, exam.candidates)
    assert described.flops_per_request <= 0.7 * always.flops_per_request
    # any stretch of the timed requests has about the share of all
    histories, candidates = evenly_mixed(gated, exam.histories, exam.candidates)
    routed = routed_requests(gated, histories, candidates)
    for first in range(0, 500, 30):
        assert routed[first : first + 30].mean() == pytest.approx(share, abs=0.05)
    assert sorted(map(id, histories)) == sorted(map(id, exam.histories))


def test_where_reading_never_helps_nobody_is_read(parts, tmp_path):
    made = cascade_of(parts, lambda history: 0.3)  # worse than the retriever
    context = RunContext(tmp_path)
    made.fit(parts, context)
    record = context.documents["gate"]
    assert record["outcome"] == "never" and record["share"] == 0.0
    assert record["never"] > record["always"] and record["ndcg"] == record["never"]
    made.reader.rows = 0
    assert quality(made, parts) == pytest.approx(quality(made.retriever, parts))
    assert made.reader.rows == 0
    described = made.describe(*requests(parts))
    assert described.flops_per_request == 10 and described.notes["gate"] == "never"


def test_where_reading_helps_everybody_alike_most_are_read(parts, tmp_path):
    made = copying(parts, lambda history: 0.9)
    context = RunContext(tmp_path)
    made.fit(parts, context)
    assert context.documents["gate"]["served_share"] > 0.8


def requests(parts):
    exam = Exam.on(parts, parts.test[:50], "full", 0, 0)
    return exam.histories, exam.candidates


def test_learning_twice_gives_the_same_gate(helped_when_short, parts, tmp_path):
    gated, context = helped_when_short
    again, second = copying(parts, gated.reader.knows), RunContext(tmp_path)
    again.fit(parts, second)
    assert second.documents == context.documents
    assert again.gate.threshold == gated.gate.threshold


def test_a_saved_gate_equals_the_loaded_one(helped_when_short, parts, tmp_path):
    gate = helped_when_short[0].gate
    body = gate.save(tmp_path)
    again = Gate.load(tmp_path, body, parts.dataset)
    rng = np.random.default_rng(0)
    features = rng.normal(2, 2, (200, len(FEATURES)))
    assert np.array_equal(again.expected_gain(features), gate.expected_gain(features))
    assert (again.share, again.threshold) == (gate.share, gate.threshold)


def test_reasons_of_a_request_that_is_not_read_are_the_retriever_s(parts, tmp_path):
    from llmrec_core.recommenders.popularity import Popularity

    made = copying(parts, lambda history: 0.95 if len(history) <= SHORT else 0.0)
    made.fit(parts, RunContext(tmp_path))
    made.retriever = Popularity()
    made.retriever.fit(parts, RunContext(tmp_path))
    made.gate = dataclasses.replace(made.gate, share=0.0)
    case = parts.test[1]
    made.reader.rows = 0
    offered = np.setdiff1d(np.arange(ITEMS), case.history)
    question = ExplainRequest(item=int(offered[0]), user=f"u{case.user}", occasion="today")
    body = explain_answer(made, parts.dataset, made.spec, question)
    assert set(body["shares"]) == {"retriever"} and made.reader.rows == 0
    assert any("did not pass this request on" in note for note in texts(body["notes"]))


# ── the learning itself ──────────────────────────────────────────────────────────────────────────


def drawn(rng, count, gain):
    """Features of people, and quality with and without reading, whose mean gain is `gain`."""
    features = rng.normal(size=(count, len(FEATURES)))
    never = rng.random(count) * 0.5
    return features, never + gain(features) + rng.normal(0, 0.02, count), never


def test_expected_gains_are_calibrated_where_the_features_say_all(monkeypatch):
    rng = np.random.default_rng(1)
    features, always, never = drawn(rng, 4_000, lambda x: 0.1 + 0.05 * x[:, 0])
    record = learn(features, always, never, 0).record
    assert record["calibration_error"] < 0.005
    # of an estimate without any error, groups of 400 are off by about as much as chance says
    true = 0.1 + 0.05 * features[:, 0]
    found = reliability(true, true + rng.normal(0, 0.2, 4_000))
    assert found["error"] == pytest.approx(found["by_chance"], rel=0.8)
    # and one that is wrong is found out
    assert reliability(true + 0.1, always - never)["error"] == pytest.approx(0.1, abs=0.01)


def test_the_curve_reads_those_first_who_gain_most():
    shares, quality_of, least = curve(
        np.array([0.1, 0.3, 0.3, 0.0]), np.array([0.5, 1, 1, 0]), np.array([0.5, 0.5, 0, 0.5])
    )
    assert shares.tolist() == [0, 0.5, 0.75, 1]  # the two who wish the same come together
    # (0.5 + 0.5 + 0 + 0.5) ÷ 4, then + (0.5 + 1) ÷ 4, + 0, − 0.5 ÷ 4
    assert quality_of.tolist() == [0.375, 0.75, 0.75, 0.625]
    assert least[0] == np.inf and least[1] == pytest.approx(0.2) and least[-1] == -np.inf


def test_features_of_a_request():
    popularity = np.log1p([0, 1, 3])
    scores = np.array([[3.0, 1.0, -np.inf], [2.0, -np.inf, -np.inf]])
    items = np.array([[2, 1, -1], [0, -1, -1]])
    found = request_features(scores, items, [np.array([2, 2]), np.array([], int)], popularity)
    even = np.exp([1, -1]) / np.exp([1, -1]).sum()  # two scores stand one deviation off the mean
    entropy = -(even * np.log(even)).sum() / np.log(2)
    both = [2, 2, entropy, np.log(3), np.log(4), (np.log(4) + np.log(2)) / 2]
    assert found[0].tolist() == pytest.approx(both)
    assert found[1].tolist() == [0, 0, 0, 0, 0, 0]


# ── refusals ─────────────────────────────────────────────────────────────────────────────────────


def test_too_few_people_are_refused_before_anything_is_read(tmp_path):
    few = split(people(150), "loo")
    made = copying(few, lambda history: 0.9)
    with pytest.raises(DataError, match="150 validation people to learn from; expected at least"):
        made.fit(few, RunContext(tmp_path))
    assert made.reader.rows == 0


def test_a_stop_is_heeded_while_the_gate_is_learned(parts, tmp_path):
    made = copying(parts, lambda history: 0.9)
    with pytest.raises(RunError, match="stopped on request"):
        made.fit(parts, RunContext(tmp_path, stop_requested=True))


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ({"recommender": {"family": "item-knn", "gate": "validation"}}, "gate stands between"),
        (
            {
                "recommender": {
                    "family": "fusion",
                    "retriever": "item-knn+tf-idf",
                    "gate": "validation",
                }
            },
            "gate stands between",
        ),
        (
            {
                "recommender": {
                    "family": "cross-encoder",
                    "backbone": "b",
                    "gate": "validation",
                }
            },
            "gate stands between",
        ),
        (
            {
                "recommender": {
                    "family": "cross-encoder",
                    "backbone": "b",
                    "retriever": "item-knn",
                    "rerank_k": 5,
                    "gate": "validation",
                }
            },
            "validation_users is 100; a gate is learned on at least 200",
        ),
        (
            {
                "recommender": {
                    **hosted_run("http://127.0.0.1:1").to_dict()["recommender"],
                    "gate": "validation",
                }
            },
            "'hosted' asks one elsewhere; leave the gate out",
        ),
    ],
)
def test_a_gate_that_cannot_be_is_refused_in_the_spec(table, sentence):
    with pytest.raises(UsageError, match=sentence):
        run_from_dict(table)


def test_a_gate_makes_another_run_and_none_keeps_the_hash_of_before():
    gated = spec_of()
    plain = dataclasses.replace(
        gated, recommender=dataclasses.replace(gated.recommender, gate="none")
    )
    assert gated.hash != plain.hash
    knn = RunSpec(recommender=RecommenderSpec(family="item-knn"))
    assert knn.hash == KNN_HASH
