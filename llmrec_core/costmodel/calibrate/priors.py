"""What is expected of the coefficients before any measurement: the priors of the fit."""

from __future__ import annotations

import math

CENTRES: dict[str, dict[str, tuple[float, float]]] = {
    "encoder": {
        "compute": (1.3, 0.4),
        "attention": (3.0, 0.7),
        "scores": (4.0, 0.7),
        "activations": (1.0, 0.5),
        "weights": (1.0, 0.3),
        "launch": (4.0, 0.7),
        "depth": (0.5, 1.0),
        "base": (2.0, 1.0),
    },
    "training": {
        "compute": (1.3, 0.3),
        "attention": (2.0, 0.5),
        "scores": (4.0, 0.7),
        "activations": (1.0, 0.5),
        "optimiser": (1.3, 0.5),
        "dequant": (1.5, 0.7),
        "launch": (8.0, 1.0),
        "comm": (1.0, 0.7),
        "base": (5.0, 1.0),
    },
    "generation": {
        "compute": (1.4, 0.4),
        "attention": (2.0, 0.7),
        "prompt_weights": (1.0, 0.3),
        "launch": (4.0, 1.0),
        "prompt_comm": (1.2, 0.7),
        "base": (5.0, 1.0),
        "weights": (1.15, 0.1),
        "stream": (0.4, 0.7),
        "cache": (1.4, 0.5),
        "products": (1.5, 0.5),
        "step_launch": (5.0, 0.6),
        "step_base": (4.0, 1.0),
        "sampling": (2.0, 1.0),
        "comm": (1.3, 0.7),
        "hops": (1.0, 1.0),
    },
    "memory": {
        "weights": (1.02, 0.02),
        "cache": (1.0, 0.15),
        "activations": (1.0, 0.5),
        "state": (1.0, 0.2),
        "logits": (1.0, 0.5),
        "base": (0.1, 0.7),
    },
}
"""What physics expects of each coefficient before any measurement.

An efficiency of 0.75 is a coefficient of 1.3. Each is (coefficient, standard deviation of its
logarithm).
"""

PRIOR_EFFECTS: dict[tuple[str, str, str, str], float] = {
    # Eager PyTorch launches about a dozen kernels per layer from Python, tens of µs each.
    ("generation", "step_launch", "group", "eager"): math.log(18.0),
    ("generation", "launch", "group", "eager"): math.log(10.0),
    ("encoder", "launch", "group", "eager"): math.log(8.0),
    ("encoder", "launch", "group", "graph"): math.log(3.0),
    ("encoder", "launch", "group", "eager-cpu"): math.log(8.0),
    ("generation", "step_launch", "group", "eager-cpu"): math.log(3.0),
    ("generation", "step_launch", "group", "server"): math.log(1.8),
    # torch's allocator reports tensors; other figures are of the process, with context and
    # workspaces.
    ("memory", "base", "runtime", "ft"): math.log(20.0),
    ("memory", "base", "runtime", "hf-trainer"): math.log(10.0),
    ("memory", "base", "runtime", "vllm"): math.log(10.0),
    # A processor reaches a smaller share of its peak, and has no launches to wait for.
    ("encoder", "compute", "kind", "cpu"): math.log(2.0),
    ("encoder", "launch", "kind", "cpu"): math.log(0.3),
    ("training", "compute", "kind", "cpu"): math.log(2.0),
    ("generation", "compute", "kind", "cpu"): math.log(2.0),
    # Nobody published eager PyTorch on a processor: packed scoring timed by us on one AVX2 host
    # says this (docs/explanation/cost-model.md).
    ("encoder", "compute", "group", "eager-cpu"): math.log(0.85),
    ("generation", "compute", "group", "eager-cpu"): math.log(0.7),
}

SPREAD = {
    "group": 0.6,
    "runtime": 0.35,
    "arithmetic": 0.35,
    "format": 0.3,
    "kind": 0.5,
    "device": 0.08,
    "method": 0.4,
    "runtime:arithmetic": 0.2,
    "version": 0.2,
    "group:format": 0.3,
}
"""Standard deviations of the effects: how far they are let from 0."""
HELD = {
    ("generation", "weights", ""): 0.1,
    ("generation", "step_launch", "group"): 0.3,
    ("generation", "step_launch", "runtime"): 0.3,
    ("generation", "step_launch", "group:format"): 2.5,
}
"""What multiplies a spread.

The share of the bandwidth that memory gives differs little between runtimes, and so does the time
of a step that no batch shortens: rows of large batches, which hardly tell it, must not move it. How
many kernels a packed format needs differs much.
"""


def spread_of(family: str, term: str, factor: str) -> float:
    """Standard deviation of an effect's logarithm.

    Args:
        family: regimes that share coefficients.
        term: the kind of work.
        factor: what the effect is of.
    """
    held = HELD.get((family, term, factor), HELD.get((family, term, ""), 1.0))
    return SPREAD[factor] * held
