"""How several devices share one model: what each holds, and which numbers of devices work.

Tensor parallel cuts every matrix, so the devices must divide the heads, the key heads (or be a
multiple of them, which copies those) and the experts (Megatron-LM, arXiv:1909.08053; vLLM's
documentation of distributed serving). Pipeline parallel gives each device some layers, which a
token passes one after another, so a single request takes as long as on one device. Expert parallel
spreads the experts and copies the rest (GShard, arXiv:2006.16668). Replicas hold the whole model
each.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from llmrec_core.costmodel.facts.architecture import Architecture
from llmrec_core.errors import UsageError
from llmrec_core.language import marked, t

TENSOR, PIPELINE, EXPERT, REPLICAS = "tensor", "pipeline", "expert", "replicas"
MODES = {
    TENSOR: marked("tensor parallel: every matrix is cut"),
    PIPELINE: marked("pipeline: each device has some of the layers, one after another"),
    EXPERT: marked("expert parallel: the experts are spread, the rest is copied"),
    REPLICAS: marked("replicas: each device has the whole model"),
}
MOST = 1024
"""Devices up to which a number that works is looked for."""


def check(model: Architecture, mode: str, devices: int) -> None:
    """Refuse a number of devices that cannot share a model in a mode, with the next that can.

    Args:
        model: what is shared.
        mode: a key of `MODES`.
        devices: how many.

    Raises:
        UsageError: naming what does not divide, and what works.
    """
    if mode not in MODES:
        raise UsageError(
            t("sharing {mode!r}; expected one of {modes}", mode=mode, modes=", ".join(MODES))
        )
    reason = obstacle(model, mode, devices)
    if not reason:
        return
    more = next((n for n in working(model, mode) if n > devices), None)
    if more is None:
        raise UsageError(
            t(
                "{devices} devices cannot share {model} in mode {mode}: {reason}; share by "
                "--sharing pipeline",
                devices=devices,
                model=model.name,
                mode=mode,
                reason=reason,
            )
        )
    raise UsageError(
        t(
            "{devices} devices cannot share {model} in mode {mode}: {reason}; {more} devices can, "
            "or share by --sharing pipeline",
            devices=devices,
            model=model.name,
            mode=mode,
            reason=reason,
            more=more,
        )
    )


def obstacle(model: Architecture, mode: str, devices: int) -> str:
    """Why so many devices cannot share a model in a mode; empty where they can.

    Args:
        model: that is shared.
        mode: how the devices would share it.
        devices: how many there are.
    """
    if devices == 1 or mode == REPLICAS:
        return ""
    if mode == PIPELINE:
        layers = model.decoder_layers or model.layers
        return t("it has {layers} layers", layers=layers) if devices > layers else ""
    if mode == EXPERT:
        if model.experts == 1:
            return t("it has no experts")
        return _indivisible(t("experts"), model.experts, devices)
    reason = _indivisible(t("heads"), model.heads, devices)
    if not reason and devices % model.kv_heads:
        reason = _indivisible(t("key heads"), model.kv_heads, devices)
    if not reason and model.experts > 1:
        reason = _indivisible(t("experts"), model.experts, devices)
    return reason


def _indivisible(what: str, count: int, devices: int) -> str:
    if count % devices == 0:
        return ""
    return t("its {count} {what} are not divisible by it", count=count, what=what)


def working(model: Architecture, mode: str) -> Iterator[int]:
    """Numbers of devices that can share a model in a mode, the fewest first."""
    return (n for n in range(1, MOST + 1) if not obstacle(model, mode, n))


def fewest(
    model: Architecture, mode: str, each_gb: Callable[[int], float], memory_gb: float
) -> int | None:
    """The fewest devices that hold a model, with a tenth of their memory left free.

    Args:
        model: what is shared.
        mode: a key of `MODES`.
        each_gb: gigabytes on each of so many devices.
        memory_gb: gigabytes of one device.

    Returns:
        None where no number that works is enough.
    """
    return next((n for n in working(model, mode) if each_gb(n) <= 0.9 * memory_gb), None)


def weight_share(model: Architecture, routed_share: float, mode: str, devices: int) -> float:
    """Share of the weights that each device holds.

    Args:
        model: what is shared.
        routed_share: share of its weights that are experts a router chooses among.
        mode: a key of `MODES`.
        devices: how many.
    """
    if mode == REPLICAS:
        return 1.0
    if mode == EXPERT:
        return 1 - routed_share + routed_share / devices
    if mode == PIPELINE:
        layers = model.decoder_layers or model.layers
        return math.ceil(layers / devices) / layers
    return 1 / devices


def cache_share(model: Architecture, mode: str, devices: int) -> float:
    """Share of a batch's cache that each device holds; key heads are copied beyond their number.

    Args:
        model: what is shared.
        mode: a key of `MODES`.
        devices: how many.
    """
    if mode == TENSOR:
        return 1 / min(devices, model.kv_heads)
    if mode == PIPELINE:
        layers = model.decoder_layers or model.layers
        return math.ceil(layers / devices) / layers
    return 1.0 if mode == REPLICAS else 1 / devices
