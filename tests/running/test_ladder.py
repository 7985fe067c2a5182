"""`ladder`: one command measures four sizes of a tiny model, goes on after Ctrl-C, and says which is enough."""

from __future__ import annotations

import dataclasses
import json
import signal

import pytest

from llmrec_core.contract.spec import RecommenderSpec
from llmrec_core.data import store
from llmrec_core.errors import UsageError
from llmrec_core.ledger.ledger import Ledger
from llmrec_core.profiling.timing import Window
from llmrec_core.running import child, execute, services
from llmrec_core.running import ladder as sizes
from llmrec_core.settings import load_settings
from tests.finished_home import PEAKS, FixedWindows, ring
from tests.tiny import tiny_backbone

STUDY = """
name = "titles"
title = "Sizes of a bi-encoder"
[defaults]
data = {{ name = "ring" }}
protocol = {{ candidates = "full", users = 0 }}
[[run]]
name = "Titles"
[run.recommender]
family = "bi-encoder"
backbone = "{backbone}"
history_items = 4
"""


class Timed(FixedWindows):
    """In the place of the process that serves: a request takes a second a layer."""

    def __init__(self, spec, *more):
        self.seconds = float(spec.recommender.depth or 6)

    def window(self, meter):
        window = Window([self.seconds] * 4, 4 * self.seconds, 0.0, False, None, None, None, 10**6)
        meter.single.append(window)
        meter.batched.append(window)


class Worker:
    """In the place of web and worker: each look at them executes one run, within this process."""

    stop_after: int | None = None
    executed: list[str]

    def __init__(self, settings, ledger, port, quiet=False):
        self.ledger = ledger

    def __enter__(self):
        return self

    def __exit__(self, *error: object) -> None: ...

    def keep(self):
        if Worker.stop_after is not None and len(Worker.executed) >= Worker.stop_after:
            raise KeyboardInterrupt
        before = signal.getsignal(signal.SIGTERM)
        lease = self.ledger.claim("this process")
        try:
            child.main(lease.run_id, lease.worker, lease.attempt)
        finally:
            signal.signal(signal.SIGTERM, before)
        Worker.executed.append(self.ledger.run(lease.run_id).name)


@pytest.fixture(scope="module")
def backbones(tmp_path_factory):
    """Two models of six layers and of two."""
    folder = tmp_path_factory.mktemp("backbones")
    return [
        tiny_backbone(folder / "six", layers=6),
        tiny_backbone(folder / "two", layers=2, seed=1),
    ]


@pytest.fixture(scope="module")
def place(tmp_path_factory, backbones):
    """A home with the ring, a study file, and no run; shared by all tests below in their order."""
    folder = tmp_path_factory.mktemp("ladder")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LLMREC_HOME", str(folder))
        patch.delenv("LLMREC_LEDGER", raising=False)
        store.save(ring(), load_settings(), note="a ring")
    (folder / "titles.toml").write_text(STUDY.format(backbone=backbones[0]), encoding="utf-8")
    return folder


@pytest.fixture
def call(place, monkeypatch, command_line):
    """Run the command; its status, its words and the runs that it executed."""
    monkeypatch.setenv("LLMREC_HOME", str(place))
    monkeypatch.delenv("LLMREC_LEDGER", raising=False)
    monkeypatch.setattr(execute, "Serving", Timed)
    monkeypatch.setattr(execute, "peaks_of_worker", lambda *of: PEAKS)
    monkeypatch.setattr(services, "Services", Worker)
    monkeypatch.setattr("llmrec_core.running.study.WATCH_S", 0.0)
    monkeypatch.setattr(Worker, "executed", [], raising=False)
    file = str(place / "titles.toml")

    def run(*words, stop_after=None):
        monkeypatch.setattr(Worker, "stop_after", stop_after)
        Worker.executed = []
        done = command_line("ladder", *(file if word == "FILE" else word for word in words))
        return done, [name.rpartition("six, ")[2] for name in Worker.executed]

    return run


ASKED = ("FILE", "--depths", "4,1,2,6", "--json")


def test_four_depths_by_one_command_which_goes_on_where_it_was_stopped(call, place):
    stopped, executed = call(*ASKED, stop_after=2)
    assert stopped.status == 130, stopped.err
    assert "the same command goes on from here" in stopped.err
    assert executed == ["1 layers, not trained", "2 layers, not trained"]
    done, executed = call(*ASKED)
    assert done.status == 0, done.err
    assert executed == ["4 layers, not trained", "6 layers, not trained"]
    body = json.loads(done.out.splitlines()[-1])
    (model,) = body["models"]
    assert (body["study"], body["not_finished"], body["protocol"]) == ("titles", [], "loo/full")
    assert [one["layers"] for one in model["sizes"]] == [1, 2, 4, 6]
    first, *others = model["sizes"]
    assert first["step"] is None
    for one in others:
        assert one["step"]["low"] <= one["step"]["mean"] <= one["step"]["high"]
        assert one["step"]["users"] == 40
        assert one["step_usd_per_million"] > 0
    # a second a layer, here and in Δ
    assert [one["latency_p95_s"] for one in model["sizes"]] == [1.0, 2.0, 4.0, 6.0]
    assert [one["step_latency_p95_s"] for one in others] == [1.0, 2.0, 2.0]
    assert model["model"] == "six"
    assert body["across_models"] == []

    again, executed = call(*ASKED)
    assert executed == []
    assert json.loads(again.out.splitlines()[-1]) == body
    ledger = Ledger.open(load_settings())
    runs = ledger.runs("titles")
    assert [run.attempt for run in runs] == [1] * 4
    specs = [run.spec for run in runs]
    assert len({json.dumps([spec["training"], spec["protocol"], spec["data"], spec["seed"]]) for spec in specs}) == 1  # fmt: skip
    assert {row.title for row in ledger.studies()} == {"Sizes of a bi-encoder"}
    ledger.close()


def test_another_backbone_is_another_model_and_sizes_it_lacks_are_named(call, backbones):
    _, two = backbones
    done, executed = call("FILE", "--backbones", str(two), "--depths", "0,2,6", "--margin", "1")
    assert done.status == 0, done.err
    text = " ".join(done.out.split())
    assert f"{two} has 2 layers; left out: 6" in text
    assert len(executed) == 1  # all its layers and 2 of them are one size
    assert "Models by NDCG@10 under loo/full" in text
    assert "nothing here says what size does" in text
    assert "1 layer is the smallest size that is not worse" in text or "1 layer, has the" in text
    assert "one size was measured (2 layers)" in text


def test_a_finished_run_is_the_template_and_is_not_run_again(call, place):
    ledger = Ledger.open(load_settings())
    template = next(run for run in ledger.runs() if "2 layers" in run.name)
    ledger.close()
    done, executed = call("--run", template.id, "--depths", "2,3", "--metric", "mrr")
    assert done.status == 0, done.err
    assert executed == ["3 layers, not trained"]
    assert "Sizes by MRR" in done.out


def test_a_size_that_fails_is_named_and_the_others_are_read(call, monkeypatch):
    def broken(*arguments):
        raise UsageError("no such layer")

    monkeypatch.setattr(child, "execute", broken, raising=False)
    monkeypatch.setattr(execute, "execute", broken)
    done, executed = call("FILE", "--depths", "1,5", "--json")
    assert done.status == 1
    assert executed == ["5 layers, not trained"]
    body = json.loads(done.out.splitlines()[-1])
    assert len(body["not_finished"]) == 1
    assert [one["layers"] for one in body["models"][0]["sizes"]] == [1, 2, 3, 4, 6]
    monkeypatch.undo()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--depths", "1,2"), "exactly one of a study FILE or --run ID"),
        (("FILE", "--run", "x", "--depths", "1"), "exactly one of a study FILE or --run ID"),
        (("FILE",), "give --depths, --backbones or both"),
        (("FILE", "--depths", "1,two"), "--depths is '1,two'; expected whole numbers"),
        (("FILE", "--depths", "1,-2"), "--depths is '1,-2'; expected numbers from 0"),
        (("FILE", "--depths", "7,9"), "has 6 layers, so none of 7, 9 can be kept"),
        (("FILE", "--depths", "1", "--metric", "ndcg"), "--metric is 'ndcg'; expected one of"),
        (("FILE", "--depths", "1", "--margin", "2"), "--margin is 2.0; expected a number"),
        (("FILE", "--depths", "1", "--margin", "nan"), "--margin is nan; expected a number"),
        (("FILE", "--backbones", "/no/such/model"), "is not a folder"),
    ],
)
def test_what_is_refused_before_anything_is_queued(call, words, sentence):
    done, executed = call(*words)
    assert done.status == 2
    assert sentence in " ".join(done.err.split())
    assert executed == []


ROW = '[[run]]\nname = "{name}"\n{more}recommender = {{ family = "{family}"{backbone} }}\n'
NAMED = ', backbone = "minilm-l6"'
EASE = ROW.format(name="a", more="", family="ease", backbone="")
WITH_WEIGHTS = ROW.format(name="b", more='weights_from = "a"\n', family="cross-encoder", backbone=NAMED)  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (EASE, "has no backbone of its own to be cut; a ladder takes one of text-sasrec, "),
        (WITH_WEIGHTS, "'b' takes its weights from 'a'; every size of a ladder is trained"),
        (EASE + WITH_WEIGHTS, "has 2 rows; a ladder is made of one"),
    ],
)
def test_a_template_without_sizes_is_refused(tmp_path, rows, sentence):
    file = tmp_path / "study.toml"
    file.write_text(rows, encoding="utf-8")
    with pytest.raises(UsageError, match=sentence):
        sizes.template_of_file(file)


def test_seeds_of_the_template_are_measured_at_every_size(tmp_path):
    file = tmp_path / "study.toml"
    text = STUDY.format(backbone="minilm-l6").replace("[[run]]", "[[run]]\nseeds = [0, 1]")
    file.write_text(
        text.replace('name = "Titles"', 'name = "Titles"\nminutes = 3'), encoding="utf-8"
    )
    study = sizes.ladder_study(
        sizes.template_of_file(file), {"minilm-l6": [2, 4], "gemma3-270m": [0]}
    )
    assert [run.name for run in study.runs] == [
        "Bi-encoder minilm-l6, 2 layers, not trained",
        "Bi-encoder minilm-l6, 2 layers, not trained, seed 1",
        "Bi-encoder minilm-l6, 4 layers, not trained",
        "Bi-encoder minilm-l6, 4 layers, not trained, seed 1",
        "Bi-encoder gemma3-270m, not trained",
        "Bi-encoder gemma3-270m, not trained, seed 1",
    ]  # fmt: skip
    assert len({run.hash for run in study.runs}) == 6


def test_layers_of_a_backbone_are_read_before_anything_is_queued(settings, backbones):
    assert sizes.layers_of("gemma3-270m", settings) == 18
    assert sizes.layers_of(str(backbones[0]), settings) == 6
    minilm = RecommenderSpec(family="bi-encoder", backbone="minilm-l6")
    kept, left_out = sizes.chosen_depths([6, 0, 2, 9], ["minilm-l6"], minilm, settings)
    assert kept == {"minilm-l6": [2, 6]}  # 6 and 0 are one size
    assert left_out == ["minilm-l6 has 6 layers; left out: 9"]
    six = str(backbones[0])
    own = RecommenderSpec(family="bi-encoder", backbone=six)
    for template, whole in ((minilm, 6), (own, 0), (dataclasses.replace(own, depth=2), 6)):
        assert sizes.chosen_depths([0], [six], template, settings)[0] == {six: [whole]}
    assert sizes.chosen_depths([0], ["minilm-l6"], own, settings)[0] == {"minilm-l6": [0]}
