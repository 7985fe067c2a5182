"""A model of the hub is fetched only by a name on the reader's list, at the commit that stands there."""

from __future__ import annotations

import huggingface_hub
import pytest

from llmrec_core.errors import UsageError
from llmrec_core.models.hub_pins import pinned_commit
from llmrec_core.models.model_folder import identity_of, locate
from tests.engine import folder

pytestmark = pytest.mark.threat("hub-revision")

NAME, COMMIT = "some-body/some-model", "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def asked(monkeypatch):
    """What the hub's client is asked for; it answers with a small real model."""
    calls = []

    def download(name, *, revision, allow_patterns):
        calls.append((name, revision))
        return str(folder("bert"))

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    return calls


def write(settings, text):
    settings.home.mkdir(parents=True, exist_ok=True)
    (settings.home / "hub.toml").write_text(text)


def test_what_is_not_on_the_list_is_never_asked_for(settings, asked):
    for use in (locate, identity_of):
        with pytest.raises(UsageError, match=r"is fetched only when .*hub\.toml names it"):
            use(NAME, settings)
    write(settings, f'[models]\n"another/model" = "{COMMIT}"')
    with pytest.raises(UsageError, match="is fetched only when"):
        locate(NAME, settings)
    assert asked == []


def test_the_pinned_commit_is_the_one_that_is_fetched(settings, asked):
    write(settings, f'[models]\n"{NAME}" = "{COMMIT}"')
    assert locate(NAME, settings) == folder("bert")
    assert asked == [(NAME, COMMIT)]
    assert identity_of(NAME, settings) == COMMIT


@pytest.mark.parametrize(
    "text",
    [
        f'[models]\n"{NAME}" = "main"',
        f'[models]\n"{NAME}" = ""',
        f'[models]\n"../../etc" = "{COMMIT}"',
        f'[model]\n"{NAME}" = "{COMMIT}"',
        "[models",
    ],
)
def test_a_list_that_pins_nothing_is_refused(settings, text):
    write(settings, text)
    with pytest.raises(UsageError, match=r"hub\.toml"):
        pinned_commit(NAME, settings)
