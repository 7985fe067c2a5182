"""Data forgets a person on request: the form, what is left, and a wrong name."""

from __future__ import annotations

import pytest

from llmrec_core.data.catalogue import load_dataset
from llmrec_core.data.importing.reading import import_path
from llmrec_core.settings import Settings

pytestmark = pytest.mark.threat("forget-a-person")
ROWS = "user_id,item_id,rating,timestamp\n" + "".join(
    f"{user},i{n},{1 + n},{1_500_000_000 + n}\n" for user in ("anna", "canary", "cleo")
    for n in range(4)
)  # fmt: skip


def test_a_person_is_forgotten_from_the_page(open_page, tmp_path):
    home = Settings(tmp_path / "home", "sqlite://", 30.0)
    (tmp_path / "shop.csv").write_text(ROWS, "utf-8")
    import_path(tmp_path / "shop.csv", "shop", home)
    app = open_page("build/data.py", home.home)
    app.text_input(key="data_forget_user").set_value("nobody")
    forget = next(button for button in app.button if button.label == "Forget this person")
    forget.click().run()
    assert "has no user 'nobody'" in app.error[0].value
    assert load_dataset("shop", home).interactions.shape[0] == 12
    app.text_input(key="data_forget_user").set_value("canary")
    next(button for button in app.button if button.label == "Forget this person").click().run()
    assert not app.exception
    assert "removed 4 interactions from 1 versions" in app.success[0].value
    left = load_dataset("shop", home)
    assert left.interactions.shape[0] == 8
    assert "canary" not in left.users["user_id"].tolist()
