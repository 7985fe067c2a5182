"""The shape of a transformer: what the counts need of a model, and what is not known of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from llmrec_core.errors import UsageError
from llmrec_core.language import t
from llmrec_core.profiling.counts import Shape

KINDS = ("encoder", "decoder", "encoder-decoder")


@dataclass(frozen=True)
class Sizes:
    """Numbers of weights of a model, counted part by part."""

    total: int
    embedding: int
    """Token, position and type vectors."""
    head: int
    """The projection to the vocabulary that every output token is multiplied with."""
    head_stored: bool
    """Whether the projection is stored besides the embedding; False where the two are tied."""
    routed: int
    """Of all experts that a router chooses among, all layers."""
    beside: int
    """Of parts a token of text does not pass, e.g. a vision tower."""
    source: str
    """Who counted: `transformers 5.23.0`, or our own reading of the config."""


@dataclass(frozen=True)
class CacheLayers:
    """Layers that keep the same things of the tokens they have read."""

    layers: int
    per_token: int
    """Values kept of each token: keys and values of all heads, or their latent; 0 for none."""
    window: int | None = None
    """Tokens kept at most; None keeps all."""
    state: int = 0
    """Values kept whatever the number of tokens: the state of a recurrent layer."""

    def values(self, tokens: float) -> float:
        """Values kept of one sequence of so many tokens.

        Args:
            tokens: of the sequence.
        """
        kept = tokens if self.window is None else min(tokens, float(self.window))
        return self.layers * (self.per_token * kept + self.state)


@dataclass(frozen=True)
class Architecture:
    """A model's shape. Widths in elements, counts in units; 0 where a part does not exist."""

    name: str
    kind: str
    layers: int
    width: int
    heads: int
    kv_heads: int
    head_dim: int
    """Elements of a head: the mean of the query-key and the value part where they differ."""
    ffn: int
    gated: bool
    vocab: int
    positions: int = 0
    types: int = 0
    tied: bool = True
    bias: bool = True
    experts: int = 1
    """Experts a router chooses among, in the layers that have them; 1 for a dense model."""
    active_experts: int = 1
    decoder_layers: int = 0
    embedding_width: int = 0
    shared_layers: bool = False
    published_params: float | None = None
    context: int = 0
    guessed: bool = False
    """Dimensions were inferred from a parameter count, not known."""
    caches: tuple[CacheLayers, ...] = ()
    """What decoding keeps; empty where every layer keeps keys and values of every token."""
    sizes: Sizes | None = None
    """Weights as counted; None where the formula of a plain transformer holds."""
    unknown: tuple[str, ...] = ()
    """What had to be assumed, a sentence each: predictions say so and have wider intervals."""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UsageError(
                t(
                    "kind {kind!r} of model {name}; expected one of {kinds}",
                    kind=self.kind,
                    name=self.name,
                    kinds=", ".join(KINDS),
                )
            )
        for field, value in (
            ("layers", self.layers),
            ("width", self.width),
            ("heads", self.heads),
            ("kv_heads", self.kv_heads),
            ("head_dim", self.head_dim),
            ("ffn", self.ffn),
            ("experts", self.experts),
            ("active_experts", self.active_experts),
        ):
            if value < 1:
                raise UsageError(
                    t(
                        "{field} of model {name} is {value}; expected at least 1",
                        field=field,
                        name=self.name,
                        value=value,
                    )
                )
        self._check_shares()

    def _check_shares(self) -> None:
        if self.heads % self.kv_heads:
            raise UsageError(
                t(
                    "model {name} has {heads} heads and {kv_heads} key/value heads; the first must "
                    "be a multiple of the second",
                    name=self.name,
                    heads=self.heads,
                    kv_heads=self.kv_heads,
                )
            )
        if self.active_experts > self.experts:
            raise UsageError(
                t(
                    "model {name} uses {active} experts of {experts}",
                    name=self.name,
                    active=self.active_experts,
                    experts=self.experts,
                )
            )

    @property
    def kept(self) -> tuple[CacheLayers, ...]:
        """What each group of layers keeps while decoding."""
        if self.caches:
            return self.caches
        each = 2 * self.kv_heads * self.head_dim
        return (CacheLayers(self.decoder_layers or self.layers, each),)

    @property
    def attending(self) -> tuple[tuple[int, int | None], ...]:
        """(layers, window) of the layers whose tokens look at others; a window of None is all."""
        if self.caches:
            return tuple((group.layers, group.window) for group in self.caches if group.per_token)
        return ((self.layers, None),)

    @property
    def shape(self) -> Shape:
        """The shape the packed formulas of `profiling/counts.py` take.

        The feed-forward width is the one that gives a layer's weights as a token passes them, the
        mean over layers where these differ.
        """
        feed_forward = self.ffn * self.active_experts
        if self.sizes is not None:
            attention = self.width * self.head_dim * 2 * (self.heads + self.kv_heads)
            each = self.passed / self.layers - attention
            feed_forward = max(1, round(each / ((3 if self.gated else 2) * self.width)))
        return Shape(
            layers=self.layers,
            width=self.width,
            feed_forward=feed_forward,
            heads=self.heads,
            kv_heads=self.kv_heads,
            head_dim=self.head_dim,
            gated=self.gated,
            causal=self.kind == "decoder",
        )

    @property
    def passed(self) -> float:
        """Weights of the layers that one token passes, by the counted sizes."""
        assert self.sizes is not None, "only counted models know"
        stored_head = self.sizes.head if self.sizes.head_stored else 0
        body = self.sizes.total - self.sizes.embedding - stored_head - self.sizes.beside
        return body - self.sizes.routed * (1 - self.active_experts / self.experts)


def grouped(each: Iterable[CacheLayers]) -> tuple[CacheLayers, ...]:
    """Layers one by one, those that keep the same put together."""
    counts: dict[tuple[int, int | None, int], int] = {}
    for layer in each:
        key = (layer.per_token, layer.window, layer.state)
        counts[key] = counts.get(key, 0) + layer.layers
    return tuple(
        CacheLayers(layers, per_token, window, state)
        for (per_token, window, state), layers in counts.items()
    )
