"""What the worker checks is kept as its command keeps it, step by step, the machine its own for each alone."""

from __future__ import annotations

import contextlib
import json
import shutil
import time

import pandas as pd
import pytest

from llmrec_core.checks import check_files, label_files
from llmrec_core.contract import steps
from llmrec_core.contract.requests import MEASUREMENTS
from llmrec_core.data import store
from llmrec_core.data.catalogue import load_dataset
from llmrec_core.data.dataset import build_dataset
from llmrec_core.errors import UsageError
from llmrec_core.ledger.ledger import Ledger
from llmrec_core.running import answers
from llmrec_core.settings import load_settings
from tests.finished_home import READER, make_finished_home

CLOCKED = {"seconds", "policy_s", "scoring_s", "titles_read_s", "train_s", "train_usd", "point_s"}
"""Fields that hold what a clock said, or its price."""
POLICY = {"block": ["i6"], "popularity_penalty": 0.5}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checks")
    make_finished_home(folder)
    return folder


@pytest.fixture
def settings(finished, monkeypatch):
    monkeypatch.setenv("LLMREC_HOME", str(finished))
    monkeypatch.delenv("LLMREC_LEDGER", raising=False)
    return load_settings()


@pytest.fixture
def run(settings):
    return next(run for run in Ledger.open(settings).runs() if run.name == "Item-kNN")


class Machine:
    """Counts windows, none of which may open inside another: its end would free the machine."""

    def __init__(self, waiting_s: float = 0.0) -> None:
        self.windows, self.inside, self.waiting_s = 0, False, waiting_s

    @contextlib.contextmanager
    def window(self):
        assert not self.inside
        time.sleep(self.waiting_s)
        self.windows, self.inside = self.windows + 1, True
        try:
            yield
        finally:
            self.inside = False


@pytest.fixture
def ask(settings, monkeypatch):
    """Answer a question as the worker does; returns the answer, the windows and the steps."""

    def asked(kind: str, payload: dict):
        machine, noted = Machine(), []
        with monkeypatch.context() as patch:
            patch.setattr(
                steps, "write_text", lambda path, text: noted.append(json.loads(text)["phase"])
            )
            answer = answers.answer(kind, payload, settings, window=machine.window)
        return answer, machine.windows, noted

    return asked


def without_clock(body):
    if isinstance(body, dict):
        return {name: without_clock(part) for name, part in body.items() if name not in CLOCKED}
    return [without_clock(part) for part in body] if isinstance(body, list) else body


def test_robustness_of_a_run_is_what_the_command_keeps(ask, run, settings, command_line):
    ledger = Ledger.open(settings)
    assert command_line("robustness", "--run", run.id, "--users", "10").status == 0
    by_command = ledger.document(run.id, "robustness")
    ledger.add_document(run.id, "robustness", {})
    answer, windows, noted = ask("robustness", {"run": run.id, "users": 10})
    assert answer == {"run": run.id, "document": "robustness", "users": 10}
    kept = ledger.document(run.id, "robustness")
    assert without_clock(kept) == without_clock(by_command)
    assert noted[0] == "without noise" and noted[1:] == [noise["noise"] for noise in kept["noises"]]
    # Eight people a window: two for the clean figure, two for each noise of histories and for the
    # flips; and one each for loading and for learning the flipped labels.
    assert windows == 2 * (1 + 2 + 1) + 2


def test_robustness_takes_the_machine_for_a_few_people_at_a_time_of_a_reader_too(ask, settings):
    reader = next(run for run in Ledger.open(settings).runs() if run.name == READER)
    _, windows, _ = ask("robustness", {"run": reader.id, "users": 8})
    assert windows == (1 + 3 + 2) + (1 + 3)  # scored; loaded, and read again under three titles


def test_a_policy_is_what_the_command_keeps(ask, run, settings, command_line, tmp_path):
    ledger = Ledger.open(settings)
    file = tmp_path / "policy.toml"
    file.write_text('block = ["i6"]\npopularity_penalty = 0.5\n', encoding="utf-8")
    words = ("policy", "measure", str(file), "--run", run.id, "--users", "10")
    assert command_line(*words).status == 0
    by_command = ledger.document(run.id, "policy")
    ledger.add_document(run.id, "policy", {})
    answer, windows, noted = ask("policy-effect", {"run": run.id, "policy": POLICY, "users": 10})
    assert answer == {"run": run.id, "document": "policy", "users": 10}
    assert without_clock(ledger.document(run.id, "policy")) == without_clock(by_command)
    assert noted == ["people scored"] * 2
    assert windows == 2 + 2  # eight people and two; reading titles; applying the policy


def test_a_label_curve_is_what_the_command_keeps(ask, settings, command_line):
    words = ("label-curve", "--data", "ring", "--labels", "30", "--labels", "90", "--seeds", "2")
    assert command_line(*words, "--method", "popularity", "--method", "item-knn").status == 0
    by_command = label_files.read_all(settings)["ring"]
    label_files.write("ring", {"rows": []}, settings)
    question = {"data": "ring", "labels": [90, 30], "methods": ["popularity", "item-knn"]}
    answer, windows, noted = ask("label-curve", question | {"seeds": 2})
    assert answer == {"curve": "ring"}
    kept = label_files.read_all(settings)["ring"]
    assert without_clock(kept) == without_clock(by_command)
    assert set(kept["point_s"]) == {"popularity", "item-knn"}
    assert noted[0] == "Popularity, 30 labels" and len(noted) == 4
    people = 40
    assert windows == 2 * 4 * (1 + people // 8)  # two draws of four rows: learned, then asked


def test_a_curve_that_is_asked_for_loses_no_row_of_another(ask, settings):
    label_files.folder(settings).joinpath("ring.json").unlink(missing_ok=True)
    question = {"data": "ring", "labels": [30, 90], "methods": ["popularity"], "seeds": 1}
    ask("label-curve", question)
    first = label_files.read_all(settings)["ring"]
    # the same conditions: another method and another number of labels come beside
    again = question | {"methods": ["item-knn"], "labels": [90, 120]}
    assert ask("label-curve", again)[0] == {"curve": "ring"}
    merged = label_files.read_all(settings)["ring"]
    places = [(row["labels"], row["method"]) for row in merged["rows"]]
    assert places == [
        (30, "Popularity"),
        (90, "Popularity"),
        (90, "Item-kNN"),
        (120, "Item-kNN"),
    ]
    assert [row for row in merged["rows"] if row["method"] == "Popularity"] == first["rows"]
    assert merged["plan"] == first["plan"] | {
        "methods": ["popularity", "item-knn"],
        "labels": [30, 90, 120],
    }
    assert set(merged["point_s"]) == {"popularity", "item-knn"}
    # what is measured again is replaced
    ask("label-curve", question)
    assert len(label_files.read_all(settings)["ring"]["rows"]) == 4
    # other conditions: a name of its own, and again the same one
    other = question | {"seeds": 2}
    assert ask("label-curve", other)[0] == {"curve": "ring-curve-2"}
    assert ask("label-curve", other)[0] == {"curve": "ring-curve-2"}
    assert len(label_files.read_all(settings)["ring"]["rows"]) == 4
    # a file that cannot be read is left as it is
    damaged = label_files.folder(settings) / "ring.json"
    damaged.write_text("{", encoding="utf-8")
    ask("label-curve", question)
    assert damaged.read_text(encoding="utf-8") == "{"
    for path in label_files.folder(settings).glob("*.json"):
        path.unlink()


def test_checks_of_a_data_set_are_what_the_command_keeps(ask, settings, command_line):
    content = load_dataset("ring", settings).content_hash
    done = command_line("data", "check", "ring", "--users", "10", "--candidates", "full")
    by_command = check_files.read(content, settings)
    assert len(by_command["rows"]) == len(done.out.splitlines()) == 2 + 4 * 5
    check_files.write({"content_hash": content}, settings)
    assert check_files.read(content, settings) is None
    question = {"data": "ring", "users": 10, "candidates": "full"}
    answer, windows, noted = ask("check-data", question)
    assert answer == {"content_hash": content}
    kept = check_files.read(content, settings)
    assert without_clock(kept) == without_clock(by_command)
    assert (kept["protocol"], kept["users"], windows) == ("loo/full", 10, 5)
    assert noted[0] == "Popularity" and len(noted) == 5


def test_seconds_of_a_check_leave_out_the_wait_for_the_machine(run, settings):
    ledger, content = Ledger.open(settings), load_dataset("ring", settings).content_hash
    shutil.rmtree(label_files.folder(settings), ignore_errors=True)
    curve = {"data": "ring", "labels": [30], "methods": ["popularity"], "seeds": 1, "users": 8}
    for kind, payload, seconds in (
        (
            "robustness",
            {"run": run.id, "users": 8},
            lambda: ledger.document(run.id, "robustness")["seconds"],
        ),
        (
            "label-curve",
            curve,
            lambda: label_files.read_all(settings)["ring"]["point_s"]["popularity"],
        ),
        (
            "check-data",
            {"data": "ring", "users": 8},
            lambda: check_files.read(content, settings)["seconds"],
        ),
    ):
        machine = Machine(waiting_s=0.5)
        answers.answer(kind, payload, settings, window=machine.window)
        assert 0 < seconds() < 0.5 * machine.windows, kind


def test_a_cleaned_version_is_what_the_command_stores(ask, settings, command_line):
    rows = [
        (f"u{user}", f"i{item}", 1.7e9 + 86_400 * item) for user in range(9) for item in range(4)
    ]
    rows += [("once", "i0", 1.7e9), ("u0", "i0", 1.7e9)]  # too few items, and a row twice
    table = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"])
    store.save(build_dataset("shop", table), settings, note="as it was")
    question = {"data": "shop@1", "k_core": 2, "off": ["duplicates"]}
    answer, windows, _ = ask("clean-data", question)
    by_answer = store.manifest("shop", settings).versions[-1]
    assert by_answer.interactions == len(rows) - 1
    assert (answer["version"], windows) == (by_answer.number, 0)
    words = ("data", "clean", "shop@1", "--k-core", "2", "--off", "duplicates")
    assert command_line(*words).status == 0
    by_command = store.manifest("shop", settings).versions[-1]
    assert by_command.content_hash == by_answer.content_hash == answer["content_hash"]
    assert by_command.report == by_answer.report
    again, _, _ = ask("clean-data", question | {"data": "shop"})
    assert again["version"] is None  # nothing to change


def test_fetching_says_what_is_here_then(ask, settings):
    content = load_dataset("ring", settings).content_hash
    assert ask("fetch-data", {"data": "ring"})[0] == {"content_hash": content}


@pytest.mark.parametrize(
    ("kind", "payload", "sentence"),
    [
        ("robustness", {"run": "nothing"}, "no run 'nothing'"),
        ("policy-effect", {"run": "nothing", "policy": {}}, "no run 'nothing'"),
        ("label-curve", {"data": "nothing", "labels": [9], "methods": ["ease"]}, "no data set"),
        (
            "label-curve",
            {"data": "ring", "labels": [9], "methods": ["magic"]},
            "'magic' is unknown",
        ),
        ("label-curve", {"data": "ring", "labels": [999], "methods": ["ease"]}, "fewer than"),
        ("check-data", {"data": "ring", "split": "magic"}, "split is 'magic'"),
        ("check-data", {"data": "nothing"}, "no data set"),
        ("fetch-data", {"data": "nothing"}, "no data set"),
        ("clean-data", {"data": "ring", "k_core": 99}, "left; .* with fewer interactions stay"),
        ("clean-data", {"data": "ring", "on": ["magic"]}, "unknown switch 'magic'"),
    ],
)
def test_what_cannot_be_checked_ends_in_a_sentence(kind, payload, sentence, ask):
    assert kind in MEASUREMENTS
    with pytest.raises(UsageError, match=sentence):
        ask(kind, payload)


@pytest.mark.parametrize("kind", ["robustness", "policy-effect"])
def test_a_run_whose_model_is_gone_ends_in_a_sentence(kind, finished, tmp_path, monkeypatch):
    home = shutil.copytree(finished, tmp_path / "home")
    monkeypatch.setenv("LLMREC_HOME", str(home))
    monkeypatch.delenv("LLMREC_LEDGER", raising=False)
    settings = load_settings()
    run = Ledger.open(settings).runs()[0]
    shutil.rmtree(settings.runs / run.id / "model")
    payload = {"run": run.id} | ({"policy": {}} if kind == "policy-effect" else {})
    with pytest.raises(UsageError, match=r"has no weights under .*; run it again"):
        answers.answer(kind, payload, settings)
