"""Stored data sets: versions get their numbers one at a time, and readers get the version they ask for."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from llmrec_core.data import store
from llmrec_core.data.catalogue import content_key, load_dataset
from llmrec_core.data.dataset import build_dataset
from llmrec_core.errors import DataError, UsageError
from llmrec_core.settings import Settings


@pytest.fixture
def home(tmp_path):
    return Settings(tmp_path / "home", "sqlite://", 30.0)


def toy(rating=1.0, name="toy"):
    rows = pd.DataFrame({"user_id": ["a", "b"], "item_id": ["x", "y"], "rating": [rating, 2.0]})
    return build_dataset(name, rows)


SAVER = """
import sys
from tests.data.test_store import toy
from llmrec_core.data import store
from llmrec_core.settings import load_settings
rating = float(sys.argv[1])
dataset = toy(rating)
print("ready", flush=True)
sys.stdin.readline()
print(store.save(dataset, load_settings(), note=f"import {rating:g}").number)
"""


@pytest.mark.threat("lost-import")
def test_six_saves_at_once_make_six_versions(home, monkeypatch):
    monkeypatch.setenv("LLMREC_HOME", str(home.home))
    savers = [
        subprocess.Popen(
            [sys.executable, "-c", SAVER, str(n)],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for n in range(6)
    ]
    assert [saver.stdout.readline() for saver in savers] == ["ready\n"] * 6
    for saver in savers:
        saver.stdin.write("go\n")
        saver.stdin.flush()
    numbers = [int(saver.communicate(timeout=120)[0]) for saver in savers]
    assert sorted(numbers) == [1, 2, 3, 4, 5, 6]
    versions = store.manifest("toy", home).versions
    assert [version.number for version in versions] == [1, 2, 3, 4, 5, 6]
    for version in versions:
        stored = load_dataset(f"toy@{version.number}", home)
        assert f"import {stored.interactions.rating[0]:g}" == version.note
    assert [path.name for path in home.datasets.iterdir()] == [store.folder_of("toy", home).name]


@pytest.mark.threat("stale-data")
def test_a_run_gets_the_version_it_was_queued_for(home):
    first, second = toy(1.0), toy(5.0)
    store.save(first, home, note="imported")
    before = content_key("toy", home)
    store.save(second, home, note="imported")
    assert content_key("toy", home) != before
    assert load_dataset("toy", home).content_hash == second.content_hash
    assert load_dataset("toy", home, first.content_hash).interactions.rating.tolist() == [1.0, 2.0]
    with pytest.raises(UsageError, match="no version with content 0123456789abcdef"):
        load_dataset("toy", home, "0123456789abcdef")
    with pytest.raises(UsageError, match="no version '3'; there are 1, 2"):
        load_dataset("toy@3", home)


@pytest.mark.threat("damaged-data")
@pytest.mark.parametrize("content", ["{}", "[]", "not json", '{"name": "toy", "versions": []}', ""])
def test_a_damaged_manifest_is_a_sentence(home, content):
    store.save(toy(), home, note="imported")
    (store.folder_of("toy", home) / "dataset.json").write_text(content)
    for read in (lambda: store.manifest("toy", home), lambda: store.manifests(home)):
        with pytest.raises(DataError, match=r"dataset\.json is damaged"):
            read()


@pytest.mark.threat("growing-home")
def test_what_a_dead_process_left_is_removed_after_a_day(home):
    store.save(toy(), home, note="imported")
    old, young = home.datasets / ".new-old", home.datasets / ".new-young"
    old.mkdir()
    young.mkdir()
    os.utime(old, (time.time() - 2 * 86_400,) * 2)
    store.save(toy(3.0), home, note="imported")
    assert not old.exists()
    assert young.exists()
    assert json.loads((store.folder_of("toy", home) / "dataset.json").read_text())["name"] == "toy"
