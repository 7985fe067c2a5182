"""The line at the top of every page: what runs, what waits, how busy the machine is."""

import re

from llmrec_core.settings import Settings
from tests import synthetic


def top(app) -> str:
    """The first caption of the page."""
    return app.main.caption[0].value.replace("\\", "")


def test_the_top_line_says_what_runs_and_what_waits(open_page, tmp_path):
    ledger = synthetic.write_study(Settings(tmp_path, f"sqlite:///{tmp_path / 'ledger.db'}", 30.0))
    app = open_page("answer/decide.py", tmp_path)
    assert top(app).startswith("No worker is running. Start one: `python -m llmrec_core up`.")
    ledger.add_worker("w", "host", 1, {})
    spec = synthetic.spec(synthetic.ROWS[0])
    for number in range(3):
        ledger.enqueue(spec, f"later-{number}")
    app.run()
    waiting = sum(run.state == "queued" for run in ledger.runs())
    assert f"The worker has nothing to run. {waiting} runs wait." in top(app)
    ledger.beat("w", "busy")
    app.run()
    assert "The worker is busy." in top(app), "with what this person may not see"
    ledger.request("explain", {"run": "x", "item": 2})
    ledger.claim_request("w")
    app.run()
    assert "The worker answers 1 question." in top(app)
    lease = ledger.claim("w")
    ledger.report(lease, progress=("fit", 3, 12))
    ledger.request("explain", {"run": "x", "item": 1})
    app.run()
    said = top(app)
    name = ledger.run(lease.run_id).name
    assert f"Now: {name}: fit, 3 of 12. {waiting - 1} runs wait, 1 question waits." in said
    assert re.search(r"processor \d+ % busy, [\d.]+ \w+B of [\d.]+ \w+B memory in use", said)
