"""What a query makes a device do, as ideal times of each kind of work.

The predictor multiplies every term by a fitted coefficient and adds them up, so a coefficient of
the term `compute` is 1 / efficiency. Terms are in seconds except `launch` (10 µs per layer; in
decoding steps of compiled runtimes 15,000 cycles of the chip), `base` (100 µs) and `depth` (the
serial length of the products, in units of a billionth of a second), which no peak of a data sheet
shortens. The terms of memory are in `memory.py`.
"""

from __future__ import annotations

from llmrec_core.costmodel.facts.devices import Device, arithmetic
from llmrec_core.costmodel.predict import counts, memory, sharing, weights
from llmrec_core.costmodel.predict.memory import GIB, act_bits, largest_batch
from llmrec_core.costmodel.predict.query import Query

LAUNCH_S = 1e-5
BASE_S = 1e-4
REQUEST_BYTES = 13.0
"""Bytes a multiprocessor can ask of memory in a cycle at small batch: a scale of `stream`."""
TYPICAL_MULTIPROCESSORS, TYPICAL_GHZ = 100, 1.7
"""Of a GPU whose sheet is silent."""
PICOJOULE = {
    "fp32": 11.0,
    "tf32": 4.0,
    "fp16": 2.0,
    "bf16": 2.0,
    "int8": 1.0,
    "fp8": 1.0,
    "fp4": 0.5,
}
"""Energy of one operation, data movement included, in pJ at a 10 nm process.

In proportion to the process elsewhere. Set by hand so that the largest products of each chip in the
calibration file reach a like share of what power allows (a T4 never comes near its 65 TFLOP/s at
70 W): three constants that leaving a device out does not leave out.
"""
PIPELINED_PROMPT = 1.6
"""How much faster at most an engine reads a prompt in pieces through a pipeline."""


def peak(device: Device, precision: str) -> float:
    """FLOP/s a runtime can aim at.

    An engine takes 16-bit kernels where 8-bit arithmetic is slower (V100).

    Args:
        device: the device.
        precision: what it computes in.
    """
    if arithmetic(precision) == "int8" and device.int8_tops and device.fp16_tflops:
        return max(device.int8_tops, device.fp16_tflops) * 1e12
    return device.peak(precision)


def sustained(device: Device, precision: str) -> float:
    """FLOP/s that the data sheet's peak and the rated power allow together.

    The cubic mean of the two times.

    Args:
        device: the device.
        precision: what it computes in.
    """
    rate = peak(device, precision)
    if device.kind == "cpu" or not device.tdp_w:
        return rate
    name = arithmetic(precision)
    if name == "int8" and device.int8_tops and device.int8_tops * 1e12 < rate:
        name = "fp16"
    powered = device.tdp_w / (PICOJOULE[name] * device.process_nm / 10.0 * 1e-12)
    return float((rate**-3 + powered**-3) ** (-1 / 3))


def slower(device: Device) -> float:
    """How much longer a short kernel lasts than at 1.5 GHz: latencies inside a GPU are cycles."""
    return 1.5 / (device.boost_ghz or TYPICAL_GHZ) if device.kind == "gpu" else 1.0


def stream_bytes_per_s(device: Device) -> float:
    """Bytes per second all multiprocessors can ask for, whatever the memory gives."""
    count = device.multiprocessors or TYPICAL_MULTIPROCESSORS
    return REQUEST_BYTES * count * (device.boost_ghz or TYPICAL_GHZ) * 1e9


def _cached(device: Device, tensor_bytes: float) -> float:
    """Share of activation traffic left where the last-level cache holds some.

    The cache is four times as fast as memory (assumed).
    """
    held = device.l2_mb * 1e6 / (device.l2_mb * 1e6 + tensor_bytes)
    return 1.0 - 0.75 * held


def _ways(query: Query) -> int:
    """Devices that work on every matrix at once."""
    return query.n_devices if query.mode == sharing.TENSOR else 1


def encoder_terms(query: Query) -> dict[str, float]:
    """One forward pass of a batch on one device, in seconds on an ideal one."""
    model, device = query.model, query.device
    batch = (query.batch or 128.0) * query.instances
    tokens = query.input_tokens
    rate = sustained(device, query.precision)
    bandwidth = device.bandwidth_gb_s * 1e9
    # 8-bit products on processors read and write 32-bit activations between them
    wide = device.kind == "cpu" and arithmetic(query.precision) == "int8"
    bits = 32.0 if wide else act_bits(query.precision)
    cached = _cached(device, batch * tokens * (model.width + model.ffn) * bits / 8)
    scores = batch * model.heads * tokens * tokens * model.layers
    activations = counts.activation_bytes(model, batch, tokens, bits=bits)
    stored = weights.parameters(model).passed * weights.weight_bits(query.precision) / 8
    return {
        "compute": counts.linear_flops(model, batch, tokens) / rate,
        "attention": counts.attention_flops(model, batch, tokens) / rate,
        "scores": scores * bits / 8 / bandwidth * cached,
        "activations": activations / bandwidth * cached,
        "weights": stored / bandwidth,
        "launch": model.layers * LAUNCH_S,
        "depth": model.layers * (4 * model.width + 2 * model.ffn) * 1e-9,
        "base": BASE_S,
    }


def training_terms(query: Query) -> dict[str, float]:
    """One micro-batch of training on each device, with its share of the optimiser step."""
    model, device = query.model, query.device
    batch, tokens = query.batch or 8.0, query.input_tokens
    rate = sustained(device, query.precision)
    bandwidth = device.bandwidth_gb_s * 1e9
    again = 1.0 if query.checkpointing else 0.0
    factor = 2.0 + (1.0 if query.method == "full" else 0.0) + again
    linear = counts.linear_flops(model, batch, tokens, head=model.kind == "decoder") * factor
    attention = counts.attention_flops(model, batch, tokens) * (3.5 + again)
    bits = act_bits(query.precision)
    total = weights.parameters(model).total
    trainable = total if query.method == "full" else 0.01 * total
    scores = 3.0 * batch * model.heads * tokens**2 * model.layers * bits / 8
    sharded = query.n_devices if query.runtime.group == "trainer" else 1
    return {
        "compute": linear / rate,
        "attention": attention / rate,
        "scores": 0.0 if query.runtime.flash else scores / bandwidth,
        "activations": 3.0 * counts.activation_bytes(model, batch, tokens, bits=bits) / bandwidth,
        "optimiser": trainable * 28.0 / query.accumulate / bandwidth / sharded,
        "dequant": total * 2.0 / bandwidth * 3 if query.method == "qlora" else 0.0,
        "launch": 3.0 * model.layers * LAUNCH_S,
        "comm": _gradients_s(query, trainable, total),
        "base": BASE_S,
    }


def _gradients_s(query: Query, trainable: float, total: float) -> float:
    """Seconds in which replicas exchange gradients, and shards their weights."""
    n = query.n_devices
    if n == 1:
        return 0.0
    # beyond eight devices the link between machines counts, a quarter as fast (assumed)
    link = query.device.link_gb_s * 1e9 / (4.0 if n > 8 else 1.0)
    moved = trainable * 4.0 / query.accumulate
    if query.runtime.group == "trainer" or query.runtime.name == "hf-trainer":
        moved += total * 2.0 * 2.0
    return moved * (n - 1) / n / link


def _step(query: Query, batch: float, context: float) -> dict[str, float]:
    """One decoding step of a batch, in seconds on an ideal device."""
    model, device = query.model, query.device
    ways = _ways(query)
    bandwidth = device.bandwidth_gb_s * 1e9
    late = 1.0 if query.runtime.group == "eager" else slower(device)
    read = _read_bytes(query, batch)
    cache = counts.kv_cache_bytes(model, context, batch, query.cache_bits)
    flops = counts.decode_flops(model, batch, 0.0)
    spread = min(float(query.n_devices), max(batch, 1.0)) if query.mode == sharing.EXPERT else ways
    layers = model.decoder_layers or model.layers
    return {
        "weights": read / bandwidth,
        "stream": read / stream_bytes_per_s(device) if device.kind == "gpu" else 0.0,
        "cache": cache * sharing.cache_share(model, query.mode, ways) / bandwidth
        if ways > 1
        else cache / bandwidth / spread,
        "products": flops / sustained(device, query.precision) / spread,
        "step_launch": layers * LAUNCH_S * late,
        "step_base": BASE_S,
        "sampling": batch * BASE_S * 0.01,
        "comm": _exchanged_s(query, batch, 1),
        "hops": (query.n_devices - 1) * BASE_S if query.mode == sharing.PIPELINE else 0.0,
    }


def _read_bytes(query: Query, batch: float) -> float:
    """Bytes of weights that one device reads in a step."""
    precision = query.weights_precision
    read = weights.step_bytes(query.model, precision, batch)
    if query.mode != sharing.EXPERT:
        return read / _ways(query)
    routed = weights.routed_step_bytes(query.model, precision, batch)
    return read - routed + routed / query.n_devices


def _exchanged_s(query: Query, batch: float, moves: int) -> float:
    """Seconds in which devices exchange the vectors of a batch's tokens, twice a layer.

    Args:
        query: the question.
        batch: tokens whose vectors move.
        moves: how often a vector crosses the link each time.
    """
    shared = query.mode in (sharing.TENSOR, sharing.EXPERT) and query.n_devices > 1
    if not shared:
        return 0.0
    model = query.model
    moved = 2.0 * model.layers * batch * model.width * 2.0 * moves
    return 2.0 * model.layers * LAUNCH_S + moved / (query.device.link_gb_s * 1e9)


def _prefill(query: Query, batch: float) -> dict[str, float]:
    """One pass over the prompts of a batch, in seconds on an ideal device."""
    model, device = query.model, query.device
    n, tokens = query.n_devices, query.input_tokens
    rate = sustained(device, query.precision) * _prompt_speed(query, batch)
    return {
        "compute": counts.linear_flops(model, batch, tokens) / rate,
        "attention": counts.attention_flops(model, batch, tokens) / rate,
        "prompt_weights": _read_bytes(query, batch * tokens) / (device.bandwidth_gb_s * 1e9),
        "launch": model.layers * LAUNCH_S,
        # a ring passes every vector twice, but for the device's own share
        "prompt_comm": _exchanged_s(query, batch * tokens * 2 * (n - 1) / n, 1),
        "base": BASE_S,
    }


def _prompt_speed(query: Query, batch: float) -> float:
    """How many times as fast the devices together read a prompt."""
    n = query.n_devices
    if query.mode == sharing.TENSOR:
        return float(n)
    if query.mode == sharing.EXPERT:
        return min(float(n), max(batch, 1.0))
    if query.mode == sharing.PIPELINE and query.runtime.group == "engine":
        return min(PIPELINED_PROMPT, 1 + 0.25 * (n - 1))
    return 1.0


def generation_terms(query: Query) -> dict[str, float]:
    """A prompt, a step, or a whole answer, as the task says; times of all steps are summed."""
    batch = query.batch if query.batch is not None else largest_batch(query)
    if query.task == "prefill":
        return _prefill(query, batch)
    if query.task == "decode":
        return _step(query, batch, query.input_tokens + query.output_tokens / 2)
    steps = max(1.0, query.output_tokens)
    step = _step(query, batch, query.input_tokens + steps / 2)
    return _prefill(query, batch) | {name: value * steps for name, value in step.items()}


def terms(query: Query) -> dict[str, float]:
    """The terms of a query: seconds on an ideal device, or GB."""
    regime = query.regime
    if regime == "memory":
        return memory.memory_terms(query)
    if regime == "training":
        return training_terms(query)
    if regime == "encoder":
        return encoder_terms(query)
    return generation_terms(query)


def floor_s(query: Query, ideal: dict[str, float]) -> float:
    """The time nothing can go below: the sustained peak, and the weights read once per step.

    Args:
        query: the question.
        ideal: its terms.
    """
    compute = sum(ideal.get(name, 0.0) for name in ("compute", "attention", "products"))
    return max(compute, ideal.get("weights", 0.0) if query.regime != "encoder" else 0.0)


def value_of(query: Query, total: float) -> float:
    """The figure asked for, from the total of the terms (seconds, or GB).

    Units: ms, sequences/s, tokens/s, GB; energy is made of power and time in `predictor.py`.

    Args:
        query: the question.
        total: of its terms, each times its coefficient.
    """
    if query.regime == "memory":
        return total / (GIB if query.runtime.gib else 1.0) / _sharers(query)
    seconds = total + query.server_overhead_s
    if query.metric == "latency_ms":
        return 1000.0 * seconds * (query.accumulate if query.step_latency else 1)
    return _items(query) / seconds / _sharers(query)


def _sharers(query: Query) -> int:
    """Devices that a figure of one device is a share of."""
    return query.n_devices if query.per_device else 1


def _items(query: Query) -> float:
    """Sequences or tokens that all devices finish in the time of the terms."""
    n = query.n_devices
    in_tokens = query.metric == "tokens_s"
    if query.regime == "training":
        batch = query.batch if query.batch is not None else largest_batch(query)
        return n * batch * (query.input_tokens if in_tokens else 1.0)
    if query.regime == "encoder":
        batch = query.batch if query.batch is not None else 128.0
        return n * batch * query.instances * (query.input_tokens if in_tokens else 1.0)
    batch = query.batch if query.batch is not None else largest_batch(query)
    items = batch * _at_once(query, batch)
    if query.task == "prefill":
        return items * query.input_tokens
    if query.task == "decode":
        return items
    return items * (query.output_tokens if in_tokens else 1.0)


def _at_once(query: Query, batch: float) -> float:
    """Batches that the devices work on at once: of replicas, or of a server's pipeline."""
    if query.n_devices == 1:
        return 1.0
    if query.mode == sharing.REPLICAS:
        return float(query.n_devices)
    if query.mode == sharing.PIPELINE and query.runtime.group == "server":
        return min(float(query.n_devices), max(1.0, batch))
    return 1.0


def total_of(query: Query, value: float) -> float:
    """The inverse of `value_of`: the total of the terms that a measured figure means.

    Args:
        query: the question.
        value: the measured figure.
    """
    if query.regime == "memory":
        return value * (GIB if query.runtime.gib else 1.0) * _sharers(query)
    if query.metric == "latency_ms":
        seconds = value / 1000.0 / (query.accumulate if query.step_latency else 1)
    else:
        seconds = value_of(query, 1.0 - query.server_overhead_s) / value
    return max(seconds - query.server_overhead_s, 1e-6)
