"""The peers' table: every configuration ends in equal scores or in a refusal, and the run says how many."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from llmrec_core.data.dataset import Dataset, build_dataset
from llmrec_core.errors import LlmrecError
from tests.tiny import WORDS

TABLE: dict[tuple[str, str], str] = {}
"""Outcome by configuration and scorer, filled by the tests of this folder."""


def noted(configuration: str, scorer: str, outcome: str) -> None:
    """Put an outcome into the table: `equal` or `refused`, with a detail after a colon."""
    TABLE[configuration, scorer] = outcome


def refusal_of(call: Any) -> str:
    """The sentence with which a call is refused; empty when it is not. Any other error is raised."""
    try:
        call()
    except LlmrecError as error:
        return str(error)
    return ""


@pytest.fixture(scope="session")
def catalogue() -> Dataset:
    """Sixteen items with titles of one to five words, and a few people."""
    rng = np.random.default_rng(5)
    titles = [" ".join(rng.choice(WORDS, rng.integers(1, 6))) for _ in range(16)]
    items = pd.DataFrame({"item_id": [f"i{n}" for n in range(16)], "title": titles})
    rows = [
        (f"u{user}", f"i{item}", float(place))
        for user in range(6)
        for place, item in enumerate(rng.choice(16, 6, replace=False))
    ]
    table = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"])
    return build_dataset("peers", table, items)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "model"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not TABLE:
        return
    terminalreporter.section("peers: configuration × scorer")
    for (configuration, scorer), outcome in sorted(TABLE.items()):
        terminalreporter.write_line(f"{configuration:<58} {scorer:<32} {outcome}")
    counted = Counter(outcome.partition(":")[0] for outcome in TABLE.values())
    others = sum(counted.values()) - counted["equal"] - counted["refused"]
    terminalreporter.write_line(
        f"{counted['equal']} equal, {counted['refused']} refused, {others} others"
    )
