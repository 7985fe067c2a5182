"""Homes for page tests: empty, fresh with the recorded sample, filled, hostile; and the app opened on one of their pages."""

from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from llmrec_core.installation import STUDIO
from pages.shared import samples
from tests.served import study_home

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def homes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {
        "empty": tmp_path_factory.mktemp("empty"),
        "sample": tmp_path_factory.mktemp("sample"),
        "filled": study_home(tmp_path_factory.mktemp("filled")),
        "hostile": study_home(tmp_path_factory.mktemp("hostile"), hostile=True),
    }


@pytest.fixture
def open_page(homes: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> Callable[..., AppTest]:
    """Opens a page of the app on one of the homes, with an address if given; no recorded sample unless asked for."""

    def opened(
        page: str, home: str | Path = "filled", sample: Path | None = None, **address: str
    ) -> AppTest:
        monkeypatch.setenv("LLMREC_HOME", str(homes.get(str(home), home)))
        monkeypatch.delenv("LLMREC_LEDGER", raising=False)
        monkeypatch.setattr(samples, "FILES", (sample,) if sample else ())
        app = AppTest.from_file(str(STUDIO), default_timeout=180)
        app.run()
        app.switch_page(str(ROOT / "pages" / page))
        for name, value in address.items():
            app.query_params[name] = value
        app.run()
        return app

    return opened
