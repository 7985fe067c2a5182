"""`disk` counts what a home holds, and prunes by its rule alone."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from llmrec_core.cli.main import app
from llmrec_core.ledger.ledger import Ledger
from llmrec_core.running import disk
from tests.running.workers import add, drain

pytestmark = [pytest.mark.usefixtures("stand_ins"), pytest.mark.threat("growing-home")]

DAY_S = disk.DAY_S


def write(path: Path, size: int, age_days: float = 0.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(size))
    moment = time.time() - age_days * DAY_S
    for part in (path, path.parent):
        os.utime(part, (moment, moment))
    return path


@pytest.fixture
def left(settings, ledger):
    """One finished run with checkpoints, one that waits with checkpoints, and what was left."""
    done, failed = add(ledger, done={}, failed={"bug": 1})
    drain(settings, ledger)
    root = settings.home
    return {
        "finished": write(root / "runs" / done / "checkpoints" / "step-9" / "a", 4000),
        "failed": write(root / "runs" / failed / "checkpoints" / "step-9" / "a", 4000),
        "old stranger": write(root / "runs" / "feedbeef" / "model" / "a", 300, age_days=2),
        "new stranger": write(root / "runs" / "0badcafe" / "model" / "a", 300, age_days=0.5),
        "old import": write(root / "datasets" / ".new-abc" / "a", 200, age_days=2),
        "new import": write(root / "datasets" / ".new-def" / "a", 200),
        "old copy": write(root / "ledger.db.before-0002-from-0001", 100, age_days=31),
        "new copy": write(root / "ledger.db.before-0003-from-0002", 100, age_days=29),
        "asset": write(root / "assets" / "minilm-l6" / "model.safetensors", 5000, age_days=900),
        "model": root / "runs" / done / "model" / "weights.bin",
    }


def test_only_what_the_rule_names_goes(left, ledger):
    for folder in ("feedbeef", "0badcafe"):  # their own times are those of their last file
        age = 2 if folder == "feedbeef" else 0.5
        moment = time.time() - age * DAY_S
        os.utime(ledger.settings.runs / folder, (moment, moment))
    parts = {part.name: part for part in disk.usage(ledger)}
    assert parts["checkpoints"].size_bytes == 8000
    assert parts["checkpoints"].prunable_bytes == 4000
    assert parts["downloads"].prunable_bytes == 0
    pruned = disk.prune(ledger)
    assert (pruned.files, pruned.size_bytes) == (4, 4000 + 300 + 200 + 100)
    gone = {name for name, path in left.items() if not path.exists()}
    assert gone == {"finished", "old stranger", "old import", "old copy"}
    assert disk.prune(ledger).files == 0


def test_folders_stay_when_the_ledger_is_of_another_home(settings, ledger):
    stranger = write(settings.runs / "feedbeef" / "model" / "a", 300, age_days=2)
    os.utime(settings.runs / "feedbeef", (0, 0))
    assert disk.prune(ledger).files == 0
    assert stranger.exists()


def test_links_are_not_followed(settings, ledger, tmp_path):
    (done,) = add(ledger, done={})
    drain(settings, ledger)
    outside = write(tmp_path / "outside" / "a", 10)
    checkpoints = settings.runs / done / "checkpoints"
    checkpoints.mkdir()
    (checkpoints / "step-1").symlink_to(outside.parent)
    disk.prune(ledger)
    assert outside.exists()
    assert not checkpoints.exists()


def test_command_says_what_holds_how_much_and_what_may_go(left, ledger, capsys):
    app(["disk", "--prune", "--json"], standalone_mode=False)
    shown = capsys.readouterr().out
    body = json.loads(shown.splitlines()[-1])
    assert body["pruned"]["size_bytes"] >= 4000
    assert "checkpoints of finished runs go; models stay" in shown
    assert sum(part["size_bytes"] for part in body["parts"]) > 5000
    assert Ledger.open(ledger.settings).damaged([run.id for run in ledger.runs()]) == []
