"""A hosted model against a real server, which counts tokens and gives no log-probabilities."""

from __future__ import annotations

import pytest

from llmrec_core.contract.run_context import RunContext
from llmrec_core.data.splits import split
from llmrec_core.errors import RunError
from llmrec_core.metrics.exam import Exam
from llmrec_core.recommenders.registry import build
from tests.recommenders.hosted.films import films, hosted_run
from tests.recommenders.hosted.stub import running_stub
from tests.transformers_serve import serving, tiny_chat_model

ASKED = 50


@pytest.mark.slow
def test_fifty_people_are_ranked_and_the_server_counts_the_same_tokens(settings, tmp_path):
    model = tiny_chat_model(tmp_path / "model")
    with serving(model, tmp_path / "serve.log") as real, running_stub(behind=real) as between:

        def ranked(limit: float, place: str) -> tuple[dict[str, float], Exam]:
            endpoint = {"model": str(model), "limit_usd": limit, "usd_per_million_out": 2.0}
            spec = hosted_run(between.url, endpoint=endpoint, protocol={"users": ASKED})
            dataset = films()
            recommender = build(spec, dataset, settings)
            recommender.fit(split(dataset, "loo"), RunContext(tmp_path / place))
            exam = Exam.of(dataset, spec.protocol)
            try:
                recommender.score(exam.histories, exam.candidates)
            finally:
                rows = recommender.served_figures("request/20/batch-1")
                found = {row.name: row.value for row in rows}
            return found, exam

        # Everybody costs about 140 tokens at $2 a million; the server stops before half of them.
        limit = ASKED * 60 * 2 / 1e6
        endpoint_spent = pytest.raises(RunError, match="limit_usd")
        with pytest.MonkeyPatch.context() as patch, endpoint_spent:
            # as if titles had let one expect less: the estimate before the start is not the subject
            patch.setattr(
                "llmrec_core.recommenders.hosted.recommender.require_affordable", lambda *_: None
            )
            ranked(limit, "short")
        spent = (between.tokens_in + between.tokens_out) * 2 / 1e6
        request = spent / len(between.prompts)
        assert limit - 1.5 * request < spent <= limit + request

        before = between.tokens_in, between.tokens_out
        found, exam = ranked(1.0, "whole")
    assert len(exam.cases) == ASKED == found["hosted_prompts"]
    assert found["hosted_tokens_in"] == between.tokens_in - before[0] > 0
    assert found["hosted_tokens_out"] == between.tokens_out - before[1] > 0
    assert set(between.seen.values()) == {1}  # the second run paid for what was missing alone
    # Random weights write no order: what can be used is counted, the rest is as retrieved.
    assert found["hosted_illegal_answers"] == ASKED
