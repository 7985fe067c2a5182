"""Attention of many candidates over a history that they share and over their own tokens.

Attention of all candidates to the history is one matrix product with no expanded keys; the own
tokens are a small batched product; one softmax runs over both.

Symbols: G histories (users), N candidates each, S history tokens, T candidate tokens, H query
heads, K key/value heads, D head width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Queries:
    """What is asked of attention: the tokens of all candidates, or one token of each."""

    heads: Tensor
    """Shape (G, H, N*rows, D)."""
    count: int
    """N."""
    rows: int
    """Tokens of each candidate that ask."""
    scale: float


@dataclass(frozen=True)
class Keys:
    """What may be looked at, the history's tokens or the candidates' own."""

    keys: Tensor
    """Shape (G, K, S, D), or (G, K, N*T, D) of the candidates."""
    values: Tensor
    visible: Tensor | None
    """True where a token may be looked at; None when all may.

    Of the history: shape (G, S), or (G, N or 1, rows, S) where it depends on who looks. Of the
    candidates: shape (G, N, rows or 1, T).
    """


def attend(queries: Queries, past: Keys, own: Keys, dropout: float = 0.0) -> Tensor:
    """Attention of candidate queries over the shared history and their own tokens.

    Args:
        queries: of the candidates.
        past: the history's keys and values.
        own: the candidates' keys and values.
        dropout: rate of attention probabilities.

    Returns:
        Shape (G, N*rows, H*D).
    """
    groups, heads, _, depth = queries.heads.shape
    kv, length = past.keys.shape[1], past.keys.shape[2]
    # query heads on one key head become further rows, so that keys are never expanded
    shared, count, rows = heads // kv, queries.count, queries.rows
    if _may_be_tiled(queries, past, dropout):
        return _attend_tiled(queries, past, own)
    q = (queries.heads * queries.scale).view(groups, kv, shared, count, rows, depth)
    k, v = (part.unflatten(2, (count, -1)) for part in (own.keys, own.values))  # (G, K, N, T, D)
    width = k.shape[3]
    q_rows = q.transpose(2, 3).reshape(groups, kv, count, shared * rows, depth)
    far = q_rows.flatten(2, 3) @ past.keys.transpose(-1, -2)  # (G, K, N*shared*rows, S)
    near = q_rows @ k.transpose(-1, -2)  # (G, K, N, shared*rows, T)
    if past.visible is not None:
        far = _masked_past(far, past.visible, (count, shared, rows))
    if own.visible is not None:
        seen = own.visible.expand(-1, -1, rows, -1)[:, None, :, None]
        seen = seen.expand(-1, -1, -1, shared, -1, -1)
        near = near.masked_fill(
            ~seen.reshape(groups, 1, count, shared * rows, width), float("-inf")
        )
    weights = torch.cat((far.unflatten(2, (count, shared * rows)), near), dim=-1).softmax(dim=-1)
    if dropout:
        weights = functional.dropout(weights, dropout)
    far, near = weights.split((length, width), dim=-1)
    out = (far.flatten(2, 3) @ past.values).unflatten(2, (count, shared * rows)) + near @ v
    out = out.unflatten(3, (shared, rows))  # (G, K, N, shared, rows, D)
    return out.permute(0, 2, 4, 1, 3, 5).reshape(groups, count * rows, heads * depth)


def _masked_past(far: Tensor, visible: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """Scores of the history (G, K, N*shared*rows, S) without what may not be looked at."""
    if visible.ndim == 2:
        return far.masked_fill(~visible[:, None, None, :], float("-inf"))
    apart = far.unflatten(2, shape)  # (G, K, N, shared, rows, S)
    return apart.masked_fill(~visible[:, None, :, None], float("-inf")).flatten(2, 4)


def _may_be_tiled(queries: Queries, past: Keys, dropout: float) -> bool:
    """Whether the tiled kernel of the CPU may serve a call.

    It needs no gradient, and histories that have a token and are visible alike to all who look.
    `sdpa_kernel(SDPBackend.MATH)` asks for plain products, which a counter of FLOPs can see; so
    does an export.
    """
    q = queries.heads
    return (
        q.device.type == "cpu"
        and q.dtype is torch.float32
        and not (torch.is_grad_enabled() and q.requires_grad)
        and not dropout
        and torch.backends.cuda.flash_sdp_enabled()
        and not torch.compiler.is_compiling()
        and past.keys.shape[2] > 0
        and (past.visible is None or (past.visible.ndim == 2 and bool(past.visible[:, 0].all())))
    )


def _attend_tiled(queries: Queries, past: Keys, own: Keys) -> Tensor:
    """As `attend`, the history's scores never leaving the cache.

    The kernel returns the history's part and the logarithm of its weights' sum. That logarithm
    then stands for the whole history as one more key in the softmax over the own tokens, which so
    gives the share of both parts exactly (FlashAttention's merge, arXiv:2205.14135). This is 1.3
    times as fast on two AVX2 cores as one softmax over both, for 12 tokens and 211.
    """
    groups, heads, _, depth = queries.heads.shape
    count, rows = queries.count, queries.rows
    kv, width = past.keys.shape[1], own.keys.shape[2] // count
    shared = heads // kv
    lines = shared * rows
    q = queries.heads.reshape(groups, kv, shared, count, rows, depth).transpose(2, 3)
    bias = None
    if past.visible is not None:
        bias = q.new_zeros(past.visible.shape).masked_fill_(~past.visible, float("-inf"))
        bias = bias[:, None, None, :]
    far, mass = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
        q.reshape(groups, kv, count * lines, depth),
        past.keys,
        past.values,
        attn_mask=bias,
        scale=queries.scale,
    )  # (G, K, N*lines, D), (G, K, N*lines)
    scaled = torch.empty(q.shape, dtype=q.dtype)
    torch.mul(q, queries.scale, out=scaled)
    k, v = (part.reshape(groups * kv * count, width, depth) for part in (own.keys, own.values))
    near = torch.bmm(scaled.view(-1, lines, depth), k.transpose(1, 2)).view(
        groups, kv, count, shared, rows, width
    )
    if own.visible is not None:
        near = near.masked_fill_(~own.visible[:, None, :, None], float("-inf"))
    weights = torch.cat((near, mass.reshape(*near.shape[:-1], 1)), dim=-1).softmax(dim=-1)
    near = torch.bmm(weights[..., :width].reshape(-1, lines, width), v).view(groups, kv, -1, depth)
    out = torch.addcmul(near, far, weights.view(groups, kv, -1, width + 1)[..., width:], out=far)
    out = out.unflatten(2, (count, shared, rows)).permute(0, 2, 4, 1, 3, 5)
    return out.reshape(groups, count * rows, heads * depth)
