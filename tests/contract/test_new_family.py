"""The how-to adds a family in two files; here they are installed as a package and put to work."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from llmrec_core.contract.families import families
from llmrec_core.installation import ROOT, STUDIO
from llmrec_core.recommenders.options import MadeFromOptions

HOW_TO = ROOT / "docs" / "how-to" / "add-a-family.md"
STUDY = """
name = "new"
title = "A new family"
[defaults]
data = { name = "walks" }
protocol = { candidates = "10-uniform", users = 20 }
[[run]]
name = "Popularity"
[[run]]
name = "What came next"
recommender = { family = "successors", options = { floor = 0.1 } }
"""
FLOOR = 0.1
PAGE_TIMEOUT_S = 120


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder that pip installed the how-to's package into."""
    package, site = tmp_path_factory.mktemp("package"), tmp_path_factory.mktemp("site")
    blocks = re.findall(r"`([\w.]+)`:\n\n```\w+\n(.*?)```", HOW_TO.read_text(), flags=re.S)
    assert [name for name, _ in blocks] == ["successors.py", "pyproject.toml"]
    for name, text in blocks:
        (package / name).write_text(text)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, "--no-build-isolation", "--target", str(site), str(package)], check=True)
    for name, text in blocks:
        print(f"{name}: {len(text.splitlines())} lines")
    return site


@pytest.fixture
def installed(site, settings, monkeypatch):
    monkeypatch.syspath_prepend(site)
    monkeypatch.setenv("LLMREC_HOME", str(settings.home))
    monkeypatch.delenv("LLMREC_LEDGER", raising=False)
    families.cache_clear()
    yield settings
    families.cache_clear()


def command(site: Path, home: Path, *words: str) -> str:
    """The last line that the command line prints."""
    environment = {**os.environ, "LLMREC_HOME": str(home), "PYTHONPATH": f"{site}:{ROOT}"}
    done = subprocess.run(
        [sys.executable, "-m", "llmrec_core", *words],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip().splitlines()[-1]


@pytest.fixture
def studied(installed, site, tmp_path):
    """Forty people who walk round a ring of twenty things, and a study of two families on them."""
    rng = np.random.default_rng(0)
    lines = ["user,item,time"]
    for user in range(40):
        start = int(rng.integers(20))
        lines += [f"u{user},i{(start + step) % 20},{step}" for step in range(8)]
    (tmp_path / "walks.csv").write_text("\n".join(lines))
    (tmp_path / "study.toml").write_text(STUDY)
    home = installed.home
    command(site, home, "data", "import", str(tmp_path / "walks.csv"), "--name", "walks")
    return json.loads(command(site, home, "study", str(tmp_path / "study.toml"), "--json"))


def page(name: str) -> AppTest:
    app = AppTest.from_file(str(STUDIO), default_timeout=PAGE_TIMEOUT_S)
    app.run()
    app.switch_page(str(ROOT / "pages" / name)).run()
    assert not app.exception, app.exception
    return app


@pytest.mark.slow
def test_a_family_of_an_installed_package_is_seen_everywhere(studied, installed, site):
    _, successors = studied
    ndcg = {run["name"]: run["quality"]["loo/10-uniform"]["ndcg@10"]["value"] for run in studied}
    # everybody takes the next thing of the ring, so the withheld one comes first for all of them
    assert ndcg["What came next"] == 1.0 > ndcg["Popularity"]

    train = page("build/train.py")
    picker = train.selectbox(key="train_family")
    assert "Successors" in picker.options
    picker.set_value("successors").run()
    assert not train.exception
    assert train.dataframe[0].value.iloc[0, 0] == "Successors"

    decide = page("answer/decide.py")
    assert any("What came next" in table.value.to_string() for table in decide.dataframe)

    explain = ["explain", "--run", successors["id"], "--user", "u0"]
    words = ["recommend", "--run", successors["id"], "--user", "u0", "-k", "1", "--json"]
    first = json.loads(command(site, installed.home, *words))["items"][0]["item_id"]
    why = json.loads(command(site, installed.home, *explain, "--item", first, "--json"))
    # The last of the 8 things brings the count of the pair, and the floor too where it comes first.
    count = why["prediction"] - FLOOR
    assert len(why["players"]) == 8
    assert why["players"][-1]["value"] == pytest.approx(count + FLOOR / 8)


def test_a_module_and_a_row_are_all_that_a_new_family_is(site):
    assert sorted(path.name for path in site.glob("*.py")) == ["successors.py"]
    sys.path.insert(0, str(site))
    try:
        from successors import FAMILY, Successors
    finally:
        sys.path.remove(str(site))
    assert issubclass(Successors, MadeFromOptions) and FAMILY.loader == "successors:Successors"
