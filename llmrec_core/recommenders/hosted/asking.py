"""Asks an endpoint until it answers, within a spending limit, and no prompt twice.

Endpoints differ in what they understand. The first prompts find out how one answers: with the
letters' probabilities, else with a written order, else as models that think before they write want
to be asked. What was found is kept with the answers.
"""

from __future__ import annotations

import hashlib
import json
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from llmrec_core.contract.endpoint import EndpointSpec
from llmrec_core.errors import RunError
from llmrec_core.language import t
from llmrec_core.money import small_dollars
from llmrec_core.recommenders.hosted.client import Client, Reply
from llmrec_core.recommenders.hosted.kept_answers import Kept, KeptAnswers
from llmrec_core.recommenders.hosted.prompt import Ask
from llmrec_core.recommenders.hosted.spending import expected_tokens, order_tokens

TRIES = 5
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 120.0
"""A wait doubles from the first; an endpoint that asks for more than the longest ends the run."""
MOST_PROBABILITIES = 20
"""Tokens whose probabilities are asked for: as many as endpoints give."""
THOUGHT_TOKENS = 2_000
"""Tokens of a model that thinks before it writes."""
_LOOK_S = 0.25


@dataclass(frozen=True)
class Manner:
    """A way of asking."""

    name: str
    ask: Ask

    def fields(self, candidates: int) -> dict[str, Any]:
        """Fields of the request beside model and messages."""
        if self.name == "probabilities":
            return {
                "max_tokens": 1,
                "temperature": 0,
                "logprobs": True,
                "top_logprobs": MOST_PROBABILITIES,
            }
        if self.name == "order":
            return {"max_tokens": order_tokens(candidates), "temperature": 0}
        return {"max_completion_tokens": THOUGHT_TOKENS}

    def longest(self, candidates: int) -> int:
        """Tokens of the longest answer that is asked for."""
        fields = self.fields(candidates)
        return int(fields.get("max_tokens", THOUGHT_TOKENS))

    def suits(self, kept: Kept, candidates: int) -> bool:
        """Whether an endpoint that gave this answer can be asked in this manner.

        Without probabilities it cannot be asked for them, and a model that used up its tokens
        without a word needs room to think.
        """
        if self.ask == "probabilities":
            return bool(kept.top)
        return bool(kept.text.strip()) or (kept.tokens_out or 0) < self.longest(candidates)


MANNERS = (
    Manner("probabilities", "probabilities"),
    Manner("order", "order"),
    Manner("thought", "order"),
)
"""In the order in which they are tried."""


@dataclass(frozen=True)
class Answered:
    """A prompt with its answer."""

    prompt: str
    """Hash of the request."""
    ask: Ask
    kept: Kept | None
    """None where an attempt was killed while it waited: the prompt may have been paid for, and is
    not asked again."""


class Asker:
    """Asks for one run.

    Args:
        endpoint: who is asked, at what price and within which limit.
        run: hash of the run's spec, under which its spending is counted.
        kept: answers of the home.
        stopped: says whether the run is to stop.
        sleep: waits, in tests quickly.
    """

    def __init__(
        self,
        endpoint: EndpointSpec,
        run: str,
        kept: KeptAnswers,
        stopped: Callable[[], bool],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.endpoint, self.run, self.kept = endpoint, run, kept
        self._stopped, self._sleep = stopped, sleep
        self._client: Client | None = None
        self._tokens = self._bytes = 0

    def require_key(self) -> None:
        """Make sure that there is a key, before anything is computed.

        Raises:
            UnsupportedError: see `Client`.
        """
        if self._client is None:
            self._client = Client(self.endpoint)

    def ask(self, write: Callable[[Ask], str], candidates: int) -> Answered:
        """The answer to one question, kept or fresh.

        Args:
            write: writes the prompt for what is to be answered.
            candidates: how many the prompt offers.

        Raises:
            RunError: when the endpoint does not answer, the limit is reached, or the run is to
                stop.
            UnsupportedError: when there is no key.
        """
        with self.kept.alone():
            return self._ask(write, candidates)

    def _ask(self, write: Callable[[Ask], str], candidates: int) -> Answered:
        place = f"{self.endpoint.url.rstrip('/')} {self.endpoint.model}"
        settled = self.kept.manner(place)
        why = ""
        for manner in MANNERS:
            if settled not in (None, manner.name):
                continue
            answered, why = self._ask_in(write(manner.ask), manner, candidates)
            if answered is None:
                continue
            if answered.kept is None or _is_damaged(answered.kept):
                return answered
            if settled or manner.suits(answered.kept, candidates):
                self.kept.settle_manner(place, manner.name)
                return answered
        raise RunError(
            why or t("{model} writes nothing, however it is asked", model=self.endpoint.model),
            "data",
        )

    def _ask_in(self, text: str, manner: Manner, candidates: int) -> tuple[Answered | None, str]:
        """The answer to a prompt asked in one manner, None with a reason where it is not known."""
        body = {
            "model": self.endpoint.model,
            "messages": [{"role": "user", "content": text}],
            **manner.fields(candidates),
        }
        prompt = _hash(self.endpoint.url, body)
        kept = self.kept.answer(prompt)
        if kept is None and self.kept.was_left_open(prompt, self.run):
            return Answered(prompt, manner.ask, None), ""
        if kept is None:
            expected = expected_tokens(text, self._per_byte()), manner.longest(candidates)
            reply = self._until_answered(body, prompt, expected)
            if reply.kept is None:
                return None, reply.why
            kept = reply.kept
        if kept.tokens_in:
            self._tokens += kept.tokens_in
            self._bytes += len(text.encode())
        return Answered(prompt, manner.ask, kept), ""

    def _until_answered(
        self, body: dict[str, Any], prompt: str, expected: tuple[int, int]
    ) -> Reply:
        """Try until there is an answer, or none is to be had."""
        self.require_key()
        assert self._client is not None, "made by require_key"
        reply = Reply("busy")
        for number in range(TRIES):
            self._require_within_limit(expected)
            opened = self.kept.begin(prompt, self.run, *expected)
            reply = self._client.send(body)
            if reply.kept is not None:
                self.kept.keep(opened, prompt, reply.kept)
                return reply
            self.kept.close(opened, "unsure" if reply.outcome == "unsure" else "refused")
            if reply.outcome == "not understood":
                return reply
            if reply.outcome == "denied":
                raise RunError(reply.why, "data")
            if number + 1 < TRIES:
                self._wait(reply, number)
        raise RunError(
            t(
                "{why}. It was asked {tries} times; what it has answered so far is kept, so resume "
                "the run when it answers again",
                why=reply.why,
                tries=TRIES,
            ),
            "data",
        )

    def _wait(self, reply: Reply, number: int) -> None:
        """Wait as long as the endpoint asks, else ever longer, each time by another amount."""
        # Jitter keeps clients that were refused together from coming back together.
        wait_s = FIRST_WAIT_S * 2**number * random.uniform(0.5, 1.5)
        if reply.wait_s is not None:
            wait_s = max(wait_s, reply.wait_s)
        if wait_s > LONGEST_WAIT_S:
            raise RunError(
                t(
                    "{why}. It asks to wait for {seconds:,.0f} s; resume the run after that",
                    why=reply.why,
                    seconds=wait_s,
                ),
                "data",
            )
        while wait_s > 0:
            if self._stopped():
                raise RunError(t("stopped on request"), "cancelled")
            self._sleep(min(wait_s, _LOOK_S))
            wait_s -= _LOOK_S

    def _require_within_limit(self, expected: tuple[int, int]) -> None:
        spent = self.kept.spent(self.run)
        usd = self.endpoint.usd(spent.tokens_in, spent.tokens_out)
        following = self.endpoint.usd(*expected)
        limit = self.endpoint.limit_usd or 0.0
        if usd + following <= limit:
            return
        raise RunError(
            t(
                "{usd} of {limit} are spent, and the next prompt would cost about {following}. "
                "Answers are kept: queue the run with a higher recommender.endpoint.limit_usd, and "
                "only what is missing is paid",
                usd=small_dollars(usd),
                limit=small_dollars(limit),
                following=small_dollars(following),
            ),
            "data",
        )

    def _per_byte(self) -> float | None:
        """Tokens a byte of prompt that the endpoint has counted; None before it has."""
        return self._tokens / self._bytes if self._bytes else None


def _is_damaged(kept: Kept) -> bool:
    """Whether an answer came to nothing that could be read."""
    return not kept.text and kept.tokens_in is None


def _hash(url: str, body: dict[str, Any]) -> str:
    """What tells requests apart: the endpoint and all that is sent to it."""
    whole = json.dumps([url.rstrip("/"), body], sort_keys=True)
    return hashlib.sha256(whole.encode()).hexdigest()
