"""Whole runs of a hosted model: the record, what is said in its place, and a kill in the middle."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from llmrec_core.contract.requests import ExplainManyRequest, ExplainRequest, ProfileRequest
from llmrec_core.contract.run_context import RunContext
from llmrec_core.contract.spec_files import StudySpec
from llmrec_core.data import store
from llmrec_core.errors import UnsupportedError
from llmrec_core.explain.answer import explain_answer
from llmrec_core.explain.cost_difference import run_cost
from llmrec_core.explain.many_users import explain_many_answer
from llmrec_core.reading import bills, listing, other_devices
from llmrec_core.reading.bills import monthly
from llmrec_core.reading.pricing import AS_RECORDED, origin, usd_per_million
from llmrec_core.reading.record_fields import field_of
from llmrec_core.recommenders.finished_run import Cache
from llmrec_core.recommenders.hosted.recommender import Hosted
from llmrec_core.running.answers import answer_request
from llmrec_core.running.execute import execute
from llmrec_core.running.study import with_content
from tests.recommenders.hosted.films import films, hosted_run
from tests.recommenders.hosted.stub import running_stub
from tests.running.workers import children, drain, wait_for

ASKED = 50


def queued(settings, ledger, spec):
    """The id of a run of the films, which are stored in the home."""
    store.save(films(), settings, note="made up")
    (run_id,) = ledger.add_study(StudySpec("s", "S", (with_content(spec, settings),)))
    return run_id


def figures(ledger, run_id):
    table = ledger.measurements([run_id])
    return {row.name: row for row in table[table["slice"] == "all"].itertuples()}


def test_a_run_records_what_was_paid_and_asks_each_prompt_once(settings, tmp_path):
    with running_stub() as stub:
        context = RunContext(tmp_path)
        execute(hosted_run(stub.url), films(), context, settings)
    assert len(stub.prompts) == len(stub.seen) == 12
    rows = {row.name: row for row in context.measurements if row.slice == "all"}
    assert all(field_of(name) and field_of(name).unit == row.unit for name, row in rows.items())
    assert rows["ndcg@10"].n == 12 and rows["hosted_tokens_in"].value == stub.tokens_in
    assert rows["usd_per_million"].protocol == "request/20/batch-1"
    assert rows["flops_per_request"].value is None
    assert "does not tell what it computes with" in rows["flops_per_request"].reason
    checks = {check["check"]: check["passed"] for check in context.documents["checks"]}
    assert False not in checks.values() and checks["order-and-batch"] is True
    assert context.documents["model"]["model"] == "tiny"
    assert context.documents["model"]["answers"] == "probabilities"
    assert context.documents["explanations"] == {} and context.documents["windows"] == []
    assert len(context.documents["lists"]["users"]) == 12
    (latencies,) = (kept for kept in context.samples if kept.name == "latency_s")
    assert len(latencies.values) == 12


@pytest.mark.slow
def test_a_kill_in_the_middle_pays_for_no_prompt_twice(settings, ledger, start):
    with running_stub(delay_s=0.05) as stub:
        run_id = queued(settings, ledger, hosted_run(stub.url, protocol={"users": ASKED}))
        worker = start()
        wait_for(lambda: len(stub.prompts) > ASKED // 3)
        (run,) = ledger.runs("s")
        killed = run.attempt
        (child,) = [pid for pid in children(worker.pid) if "child" in command_of(pid)]
        os.kill(child, signal.SIGKILL)
        wait_for(lambda: ledger.runs("s")[0].state in ("finished", "failed"), 120)
    (run,) = ledger.runs("s")
    assert (run.state, run.attempt) == ("finished", killed + 1), run.error
    assert set(stub.seen.values()) == {1} and len(stub.seen) == ASKED
    read = figures(ledger, run_id)
    assert read["hosted_prompts"].value == ASKED and read["hosted_lost_answers"].value <= 1
    assert read["ndcg@10"].n == ASKED


def command_of(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text()


@pytest.mark.slow
def test_what_a_hosted_run_does_not_have_is_a_sentence(settings, ledger):
    with running_stub() as stub:
        run_id = queued(settings, ledger, hosted_run(stub.url))
        (run,) = drain(settings, ledger)
        assert run.state == "finished", run.error
        asked = len(stub.prompts)
        for request in (
            ExplainRequest(run=run_id, user="u3", item="i5"),
            ExplainManyRequest(run=run_id),
        ):
            with pytest.raises(UnsupportedError, match=r"tiny at 127.*gives no reasons: each"):
                answer_request(request, settings, Cache())
        with pytest.raises(UnsupportedError, match="not profiled here"):
            answer_request(ProfileRequest(run=run_id), settings, Cache())
        assert len(stub.prompts) == asked  # none of this was paid for
    (row,) = listing.rows_of(ledger, [run])
    with pytest.raises(UnsupportedError, match="other devices are not predicted"):
        other_devices.request_of(row)
    with pytest.raises(UnsupportedError, match="paid by the token"):
        bills.service_of(row)
    with pytest.raises(UnsupportedError, match="no formula of operations explains it"):
        run_cost(row, 1.0)
    tokens = figures(ledger, run_id)
    # $2 a million tokens in, $8 a million out, one letter each
    mean_in = tokens["hosted_tokens_in_per_request"].value
    assert usd_per_million(row).value == pytest.approx(2 * mean_in + 8)
    assert origin(row).startswith("$2.00 and $8.00 a million tokens in and out (127.0.0.1:")
    assert row.uses_language_model
    # ten million requests at its price per million; slower than a microsecond for certain
    month = monthly(row, 10e6, AS_RECORDED)
    assert month.value == pytest.approx(10 * usd_per_million(row).value)
    assert "over the limit of" in monthly(row, 10e6, AS_RECORDED, p95_s=1e-6).reason


def test_reasons_are_refused_before_anything_is_asked(settings):
    spec = hosted_run("http://127.0.0.1:9/v1")
    dataset = films()
    recommender = Hosted.of_spec(spec, dataset, settings, None)
    with pytest.raises(UnsupportedError, match="gives no reasons"):
        explain_answer(recommender, dataset, spec, ExplainRequest(user="u3", item="i5"))
    with pytest.raises(UnsupportedError, match="gives no reasons"):
        explain_many_answer(recommender, dataset, spec, ExplainManyRequest())


def test_a_study_that_would_cost_too_much_is_refused_when_it_is_queued(settings):
    store.save(films(), settings, note="made up")
    spec = hosted_run("https://api.example/v1", endpoint={"limit_usd": 0.0001})
    with pytest.raises(UnsupportedError, match="raise it, or ask fewer people"):
        with_content(spec, settings)
    assert with_content(hosted_run("https://api.example/v1"), settings)
