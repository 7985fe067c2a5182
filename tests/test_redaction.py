"""Secrets are taken out of logs, sentences and the ledger; text from data forges no terminal line."""

from __future__ import annotations

import pytest

from llmrec_core.contract.spec import RunSpec
from llmrec_core.contract.spec_files import StudySpec
from llmrec_core.redaction import redacted
from llmrec_core.terminal import printable
from llmrec_core.types import Measurement


@pytest.mark.threat("secrets")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://anna:s3cret@host/x failed", "https://anna:***@host/x failed"),
        ("postgresql+psycopg://u:p%40ss@db:5432/x", "postgresql+psycopg://u:***@db:5432/x"),
        ("401 for token=abcdef, retry", "401 for token=***, retry"),
        ('{"api_key": "k-1234"}', '{"api_key": "***"}'),
        ("Authorization: Bearer abc.def", "Authorization: Bearer ***"),
        ("hf_abcdefghijklmnopqrst is refused", "*** is refused"),
        ("AKIAABCDEFGHIJKLMNOP", "***"),
        ("12 tokens per second, secretary, password policy", None),
        ("http://localhost:8501/decide?study=a", None),
    ],
)
def test_credentials_are_hidden(text, expected):
    assert redacted(text) == (expected or text)


@pytest.mark.threat("secrets")
def test_values_of_secret_variables_are_hidden(monkeypatch):
    monkeypatch.setenv("MY_HUB_TOKEN", "canary-in-env")
    monkeypatch.setenv("SHORT_TOKEN", "abc")
    assert redacted("refused canary-in-env, abc") == "refused ***, abc"


@pytest.mark.threat("secrets")
def test_no_secret_reaches_the_ledger(any_ledger, monkeypatch):
    """A canary in the environment and in an address: nowhere in logs, errors and answers."""
    monkeypatch.setenv("HUB_TOKEN", "canary-in-env")
    (run_id,) = any_ledger.add_study(StudySpec("s", "S", (RunSpec(name="a"),)))
    lease = any_ledger.claim("w")
    told = "GET https://u:canary-in-url@hub/x with canary-in-env failed"
    any_ledger.report(lease, lines=[told])
    any_ledger.fail(lease, "data", told)
    request = any_ledger.request("explain", {})
    any_ledger.close_request(any_ledger.claim_request("w"), None, told)
    kept = [any_ledger.run(run_id).error, any_ledger.answer(request).error]
    kept += [line for _, line in any_ledger.logs(run_id)]
    assert len(kept) == 4
    assert not [text for text in kept if "canary" in text]


@pytest.mark.threat("terminal-codes")
@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Tea\x1b[2J\nerror: forged", "Tea\\x1b[2J\\nerror: forged"),
        ("abc\u202egnp.exe", "abc\\u202egnp.exe"),
        ("a\x9b31mb\x00\x7f", "a\\x9b31mb\\x00\\x7f"),
        ("two\u2028lines\ud800", "two\\u2028lines\\ud800"),
        ("Amélie – 天気の子, חתול, family 👨‍👩‍👧", None),
    ],
)
def test_text_from_data_forges_no_line(text, shown):
    assert printable(text) == (shown or text)


@pytest.mark.threat("terminal-codes")
def test_run_names_reach_the_terminal_as_text(ledger, monkeypatch, capsys):
    from llmrec_core.cli import runs

    monkeypatch.setattr("llmrec_core.cli.runs.open_ledger", lambda: (ledger.settings, ledger))
    name = "Tea\x1b[2J\rerror: forged\x1b]0;title\x07"
    run_id = ledger.enqueue(RunSpec(name=name), "s")
    lease = ledger.claim("w")
    ledger.report(lease, lines=["\x1b[31mred\x1b[0m"])
    ledger.finish(lease, [Measurement("ndcg@10", 0.5, "1", protocol="loo/100-uniform")])
    runs.runs_list()
    runs.runs_show(run_id)
    shown = capsys.readouterr().out
    assert "\\x1b[2J" in shown
    assert not [letter for letter in shown if letter in "\x1b\r\x07"]
