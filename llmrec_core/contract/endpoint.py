"""A hosted model as a spec names it: where it answers, what it is called, what it may cost.

The key is not part of it. It stands in the environment of the process that asks
(`recommenders/hosted/client.py`), and goes to no spec, ledger, log or sentence.
"""

from __future__ import annotations

import ipaddress
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from pydantic import Field

from llmrec_core.contract.parsing import Number, Text, parsed
from llmrec_core.errors import UsageError
from llmrec_core.language import t

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
"""What candidates are called in a prompt: each is one token for every tokenizer in use."""
FEWEST_LETTERS = 2
KEY, ADDRESS = "LLMREC_HOSTED_API_KEY", "LLMREC_HOSTED_URL"
"""Environment variables: the key, and the one address that it is sent to."""
DollarsPerMillion = Annotated[Number, Field(ge=0, le=1_000_000)]


@parsed
class EndpointSpec:
    """The endpoint of the family `hosted`; other families leave it empty."""

    url: Annotated[Text, Field(max_length=500)] = ""
    """Base address of an OpenAI-compatible endpoint, e.g. `https://api.example.com/v1`: https, or
    http on this machine."""
    model: Annotated[Text, Field(max_length=200)] = ""
    """What the endpoint calls the model."""
    usd_per_million_in: DollarsPerMillion | None = None
    """Dollars for a million tokens of prompts."""
    usd_per_million_out: DollarsPerMillion | None = None
    """Dollars for a million tokens of answers."""
    priced_on: Annotated[Text, Field(pattern=r"^([0-9]{4}-[0-9]{2}-[0-9]{2})?$")] = ""
    """Day on which these prices were read, e.g. `2026-11-26`."""
    limit_usd: Annotated[Number, Field(gt=0, le=1_000_000)] | None = None
    """Dollars that the run may spend, later questions to it included."""

    def require_complete(self) -> None:
        """Refuse an endpoint that cannot be asked, or whose price or limit is not stated.

        Raises:
            UsageError: naming the field and what it may be.
        """
        self._require_address()
        if not self.model.strip():
            raise UsageError(
                t(
                    "recommender.endpoint.model is empty; expected the name under which {url} "
                    "knows the model",
                    url=self.url,
                )
            )
        if self.usd_per_million_in is None or self.usd_per_million_out is None:
            raise UsageError(
                t(
                    "recommender.endpoint lacks its price: give usd_per_million_in and "
                    "usd_per_million_out, dollars for a million tokens (0 where nobody is paid)"
                )
            )
        if not self.priced_on:
            raise UsageError(
                t(
                    "recommender.endpoint.priced_on is empty; expected the day on which the price "
                    "was read, e.g. 2026-11-26"
                )
            )
        if self.limit_usd is None:
            raise UsageError(
                t(
                    "recommender.endpoint.limit_usd is missing; expected the dollars that this run "
                    "may spend, e.g. limit_usd = 1.0"
                )
            )

    def _require_address(self) -> None:
        parts = _parts(self.url)
        allowed = (
            parts is not None
            and bool(parts.hostname)
            and parts.scheme in ("https", "http")
            and (parts.scheme == "https" or self.is_local)
            and not (parts.username or parts.password or parts.query or parts.fragment)
        )
        if not allowed:
            # What is refused is not repeated: an address with a password in it is one reason.
            raise UsageError(
                t(
                    "recommender.endpoint.url is no address that is asked; expected the base of an "
                    "OpenAI-compatible endpoint, https://HOST/v1, or http://127.0.0.1:PORT/v1 on "
                    "this machine, without a name, a password or a question in it"
                )
            )

    @property
    def is_local(self) -> bool:
        """Whether the address is this machine's own."""
        parts = _parts(self.url)
        host = (parts.hostname or "") if parts is not None else ""
        if host == "localhost":
            return True
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return False

    @property
    def host(self) -> str:
        """The host, with its port where one is named."""
        parts = _parts(self.url)
        return "" if parts is None else parts.netloc.rpartition("@")[2]

    def usd(self, tokens_in: float, tokens_out: float) -> float:
        """Dollars of so many tokens.

        Args:
            tokens_in: tokens of prompts.
            tokens_out: tokens of answers.

        >>> EndpointSpec(usd_per_million_in=2, usd_per_million_out=8).usd(500_000, 125_000)
        2.0
        """
        return (
            tokens_in * (self.usd_per_million_in or 0.0)
            + tokens_out * (self.usd_per_million_out or 0.0)
        ) / 1e6


def _parts(url: str) -> SplitResult | None:
    """The parts of an address; None where it is none."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - a port that is no number is refused when it is read
    except ValueError:
        return None
    return parts
