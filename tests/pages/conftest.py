"""Homes for page tests: empty, filled, hostile; each test process keeps its own."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from llmrec_core.settings import Settings  # noqa: E402
from tests import synthetic  # noqa: E402


def _home(tmp_path_factory, name: str) -> Settings:
    home = tmp_path_factory.mktemp(name)
    return Settings(home, f"sqlite:///{home / 'ledger.db'}", 30.0)


@pytest.fixture(scope="session")
def filled_home(tmp_path_factory) -> Path:
    settings = _home(tmp_path_factory, "filled")
    synthetic.write_study(settings).close()
    return settings.home


@pytest.fixture(scope="session")
def hostile_home(tmp_path_factory) -> Path:
    settings = _home(tmp_path_factory, "hostile")
    synthetic.write_study(settings, hostile=True).close()
    return settings.home
