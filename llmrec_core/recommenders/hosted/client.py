"""One try at an OpenAI-compatible endpoint: what was sent, what came back, what it means.

The key comes from the environment of the process that asks. It is sent to the one address that the
environment names beside it, so a spec cannot lead it elsewhere, and it is taken out of everything
that an endpoint says before that is kept or shown. Redirections are not followed.
"""

from __future__ import annotations

import email.utils
import json
import os
import time
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import httpx

from llmrec_core.contract.endpoint import ADDRESS, KEY, EndpointSpec
from llmrec_core.data.text import printable
from llmrec_core.errors import UnsupportedError
from llmrec_core.language import t
from llmrec_core.recommenders.hosted.kept_answers import Kept
from llmrec_core.redaction import HIDDEN, redacted

CONNECT_S, ANSWER_S = 10.0, 60.0
"""Longest time until there is a connection, and until the answer is there whole."""
LARGEST_ANSWER = 4_000_000
"""Bytes of a response that are read."""
_TOLD = 300
"""Characters of an endpoint's own words that a sentence repeats."""
_BUSY = (408, 409, 425, 429)
_NOT_UNDERSTOOD = (400, 422)

Outcome = Literal["answered", "busy", "unsure", "not understood", "denied"]
"""`answered`: it was paid for, whether it can be read or not. `busy`: not paid for, try again.
`unsure`: no answer came back, and it may have been paid for. `not understood`: the endpoint does
not know a field of the request. `denied`: asking again would not help."""


@dataclass(frozen=True)
class Reply:
    """How a try ended."""

    outcome: Outcome
    kept: Kept | None = None
    """The answer of a try that was answered."""
    wait_s: float | None = None
    """Seconds that the endpoint asks to wait."""
    why: str = ""
    """A sentence for a person, without secrets."""


class Client:
    """Sends requests to one endpoint.

    Args:
        endpoint: its address.

    Raises:
        UnsupportedError: when the environment has no key for it.
    """

    def __init__(self, endpoint: EndpointSpec) -> None:
        self.endpoint = endpoint
        self._key = _key_for(endpoint)
        self._http = httpx.Client(
            timeout=httpx.Timeout(CONNECT_S, read=ANSWER_S),
            follow_redirects=False,
            trust_env=not endpoint.is_local,  # no proxy stands before this machine's own address
        )
        weakref.finalize(self, self._http.close)

    def send(self, body: Mapping[str, Any]) -> Reply:
        """Send one request for a chat completion and say how it ended."""
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        began = time.perf_counter()
        try:
            with self._http.stream(
                "POST",
                f"{self.endpoint.url.rstrip('/')}/chat/completions",
                json=dict(body),
                headers=headers,
            ) as response:
                return self._read(response, began)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            return Reply(
                "busy",
                why=t(
                    "nothing answers at {host} ({error}); start the endpoint, or correct "
                    "recommender.endpoint.url",
                    host=self.endpoint.host,
                    error=printable(redacted(str(error)), _TOLD),
                ),
            )
        except httpx.TimeoutException:
            why = t("{host} gave no answer in {s:.0f} s", host=self.endpoint.host, s=ANSWER_S)
            return Reply("unsure", why=why)
        except httpx.HTTPError as error:
            why = t(
                "the connection to {host} ended without an answer ({error})",
                host=self.endpoint.host,
                error=type(error).__name__,
            )
            return Reply("unsure", why=why)

    def _read(self, response: httpx.Response, began: float) -> Reply:
        """What a response means; one with status 200 has been paid for, even when it breaks off."""
        text = self._text(response, began)
        seconds = time.perf_counter() - began
        status = response.status_code
        if status == 200:
            return Reply("answered", kept=answer_of(text, seconds))
        why = t(
            "{host} answered with status {status}: {text}",
            host=self.endpoint.host,
            status=status,
            text=printable(redacted(text), _TOLD) or t("nothing else"),
        )
        if status in _BUSY or status >= 500:
            return Reply("busy", wait_s=_retry_after(response), why=why)
        return Reply("not understood" if status in _NOT_UNDERSTOOD else "denied", why=why)

    def _text(self, response: httpx.Response, began: float) -> str:
        """What came of the body, without the key, as far as it came in time and size."""
        content = bytearray()
        try:
            for part in response.iter_bytes():
                content += part
                late = time.perf_counter() - began > ANSWER_S
                if late or len(content) > LARGEST_ANSWER:
                    break
        except httpx.HTTPError:
            pass  # what came is what there is
        text = content.decode("utf-8", "replace")
        return text.replace(self._key, HIDDEN) if self._key else text


def answer_of(text: str, seconds: float) -> Kept:
    """The answer in the body of a chat completion.

    A body that is damaged or has another form is an answer that says nothing.

    Args:
        text: the body, JSON.
        seconds: how long it took.
    """
    try:
        body = json.loads(text)
        choice = body["choices"][0]
        written = choice["message"]["content"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return Kept("", (), None, None, seconds)
    usage = body.get("usage")
    counts = usage if isinstance(usage, dict) else {}
    return Kept(
        written if isinstance(written, str) else "",
        _top(choice),
        _count(counts.get("prompt_tokens")),
        _count(counts.get("completion_tokens")),
        seconds,
    )


def _top(choice: dict[str, Any]) -> tuple[tuple[str, float], ...]:
    """The likeliest first tokens of a choice, none where the endpoint gives no probabilities."""
    try:
        pairs = [
            (entry["token"], entry["logprob"])
            for entry in choice["logprobs"]["content"][0]["top_logprobs"]
        ]
    except (LookupError, TypeError):
        return ()
    return tuple(
        (token, float(value))
        for token, value in pairs
        if isinstance(token, str) and isinstance(value, (int, float))
    )


def _count(value: object) -> int | None:
    """A count of tokens as an endpoint states it."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    return value if whole and isinstance(value, int) and 0 <= value < 2**40 else None


def _retry_after(response: httpx.Response) -> float | None:
    """Seconds of the header Retry-After, which is a number or a date."""
    stated = response.headers.get("retry-after", "").strip()
    if stated.isdecimal():
        return float(stated)
    moment = email.utils.parsedate_tz(stated) if stated else None
    if moment is None:
        return None
    return max(0.0, email.utils.mktime_tz(moment) - time.time())


def _key_for(endpoint: EndpointSpec) -> str:
    """The key that belongs to this address; empty where this machine's own address needs none.

    Raises:
        UnsupportedError: when there is none, or it belongs to another address, or it cannot be a
            key.
    """
    key = os.environ.get(KEY, "").strip()
    address = os.environ.get(ADDRESS, "").strip()
    if address.rstrip("/") != endpoint.url.rstrip("/"):
        if endpoint.is_local:
            return ""
        raise UnsupportedError(
            t(
                "{host} may not be asked from here: set {address} to {url} and {key} to its key in "
                "the environment of the worker, and start it again. A key is sent to that one "
                "address only",
                host=endpoint.host,
                address=ADDRESS,
                url=endpoint.url,
                key=KEY,
            )
        )
    if not key and not endpoint.is_local:
        raise UnsupportedError(
            t(
                "there is no key for {host}: set {key} in the environment of the worker and start "
                "it again",
                host=endpoint.host,
                key=KEY,
            )
        )
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise UnsupportedError(
            t(
                "the key in {key} holds a space or a letter that no key has; copy it again",
                key=KEY,
            )
        )
    return key
