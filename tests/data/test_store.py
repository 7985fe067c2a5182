"""Stored data sets: versions get their numbers one at a time, and readers get the version they ask for."""

import json
import multiprocessing
import os
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


def _share(barrier) -> None:
    _save.barrier = barrier


def _save(home: str, rating: float) -> int:
    """Saves once all six processes have imported the code."""
    _save.barrier.wait()
    settings = Settings(Path(home), "sqlite://", 30.0)
    return store.save(toy(rating), settings, note=f"import {rating:g}").number


@pytest.mark.threat("lost-import")
def test_six_saves_at_once_make_six_versions(home):
    spawn = multiprocessing.get_context("spawn")
    with spawn.Pool(6, initializer=_share, initargs=(spawn.Barrier(6),)) as pool:
        jobs = [pool.apply_async(_save, (str(home.home), float(n))) for n in range(6)]
        numbers = [job.get(300) for job in jobs]
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
