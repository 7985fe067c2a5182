"""What a query has to do, as times on an ideal device: each term is FLOPs over peak, bytes over bandwidth, or a count.

The predictor (`model.py`) multiplies every term by a fitted coefficient and adds them up, so a coefficient of the
term `compute` is 1 / efficiency. Terms are in seconds except `launch` (10 µs per layer; in decoding steps of compiled runtimes 15,000 cycles of the chip), `base` (100 µs) and `depth`
(the serial length of the products, in units of a billionth of a second), which no peak of a data sheet shortens.
Memory terms are in gigabytes (10^9 bytes).
"""

from __future__ import annotations

from llmrec_core.costmodel import counts
from llmrec_core.costmodel.devices import Device, arithmetic
from llmrec_core.costmodel.query import Query

LAUNCH_S = 1e-5
BASE_S = 1e-4
REQUEST_BYTES = 13.0
"""Bytes a multiprocessor can ask of memory in a cycle at small batch: a scale of the term `stream`."""
TYPICAL = (100, 1.7)
"""Multiprocessors and GHz of a GPU whose sheet is silent."""
PICOJOULE = {"fp32": 11.0, "tf32": 4.0, "fp16": 2.0, "bf16": 2.0, "int8": 1.0, "fp8": 1.0}
"""Energy of one operation, data movement included, in pJ at a 10 nm process; in proportion to the process elsewhere.

Set by hand so that the largest products of each chip in the calibration file reach a like share of what power allows
(a T4 never comes near its 65 TFLOP/s at 70 W): three constants that leaving a device out does not leave out.
"""
GIB = 2**30 / 1e9


def peak(device: Device, precision: str) -> float:
    """FLOP/s a runtime can aim at: an engine takes 16-bit kernels where 8-bit arithmetic is slower (V100)."""
    if arithmetic(precision) == "int8" and device.int8_tops and device.fp16_tflops:
        return max(device.int8_tops, device.fp16_tflops) * 1e12
    return device.peak(precision)


def sustained(device: Device, precision: str) -> float:
    """FLOP/s that the data sheet's peak and the rated power allow together (cubic mean of the two times)."""
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
    return 1.5 / (device.boost_ghz or TYPICAL[1]) if device.kind == "gpu" else 1.0


def stream_bytes_per_s(device: Device) -> float:
    """Bytes per second all multiprocessors can ask for, whatever the memory gives."""
    count, clock = device.multiprocessors or TYPICAL[0], device.boost_ghz or TYPICAL[1]
    return REQUEST_BYTES * count * clock * 1e9


def _cached(device: Device, tensor_bytes: float) -> float:
    """Share of activation traffic time left where the last-level cache, four times as fast (assumed), holds some."""
    held = device.l2_mb * 1e6 / (device.l2_mb * 1e6 + tensor_bytes)
    return 1.0 - 0.75 * held


def act_bits(precision: str) -> float:
    """Bits of activations that products in a precision read and write."""
    return 32.0 if arithmetic(precision) in ("fp32", "tf32") and not precision.endswith("amp") else 16.0


def _ways(query: Query) -> int:
    """Devices that work on one token at once."""
    return query.n_devices if query.runtime.tensor_parallel else 1


def encoder_terms(query: Query) -> dict[str, float]:
    """One forward pass of a batch on one device."""
    model, device = query.model, query.device
    batch = query.batch or 128.0
    if query.instances > 1:
        batch *= query.instances
    tokens = query.input_tokens
    rate = sustained(device, query.precision)
    bandwidth = device.bandwidth_gb_s * 1e9
    # 8-bit products on processors read and write 32-bit activations between them
    bits = 32.0 if device.kind == "cpu" and arithmetic(query.precision) == "int8" else act_bits(query.precision)
    linear = counts.linear_flops(model, batch, tokens)
    attention = counts.attention_flops(model, batch, tokens)
    cached = _cached(device, batch * tokens * (model.width + model.ffn) * bits / 8)
    return {
        "compute": linear / rate,
        "attention": attention / rate,
        "scores": batch * model.heads * tokens * tokens * model.layers * bits / 8 / bandwidth * cached,
        "activations": counts.activation_bytes(model, batch, tokens, bits=bits) / bandwidth * cached,
        "weights": counts.parameters(model).active * counts.weight_bits(query.precision) / 8 / bandwidth,
        "launch": model.layers * LAUNCH_S,
        "depth": model.layers * (4 * model.width + 2 * model.ffn) * 1e-9,
        "base": BASE_S,
    }


def training_terms(query: Query) -> dict[str, float]:
    """One micro-batch of training on each device, its share of the optimiser step included."""
    model, device = query.model, query.device
    batch, tokens = query.batch or 8.0, query.input_tokens
    rate = sustained(device, query.precision)
    bandwidth = device.bandwidth_gb_s * 1e9
    frozen = 0.0 if query.method == "full" else 1.0
    factor = 3.0 - frozen + (1.0 if query.checkpointing else 0.0)
    head = model.kind == "decoder"
    linear = counts.linear_flops(model, batch, tokens, head=head) * factor
    attention = counts.attention_flops(model, batch, tokens) * (3.5 + (1.0 if query.checkpointing else 0.0))
    bits = act_bits(query.precision)
    total = counts.parameters(model).total
    trainable = total if query.method == "full" else 0.01 * total
    n = query.n_devices
    traffic = 0.0
    if n > 1:
        link = device.link_gb_s * 1e9 / (4.0 if n > 8 else 1.0)
        moved = trainable * 4.0 / query.accumulate
        if query.runtime.group == "trainer" or (query.runtime.name == "hf-trainer"):
            moved += total * 2.0 * 2.0
        traffic = moved * (n - 1) / n / link
    flash = query.runtime.flash
    return {
        "compute": linear / rate,
        "attention": attention / rate,
        "scores": 0.0 if flash else 3.0 * batch * model.heads * tokens**2 * model.layers * bits / 8 / bandwidth,
        "activations": 3.0 * counts.activation_bytes(model, batch, tokens, bits=bits) / bandwidth,
        "optimiser": trainable * 28.0 / query.accumulate / bandwidth / (n if query.runtime.group == "trainer" else 1),
        "dequant": total * 2.0 / bandwidth * 3 if query.method == "qlora" else 0.0,
        "launch": 3.0 * model.layers * LAUNCH_S,
        "comm": traffic,
        "base": BASE_S,
    }


def _step(query: Query, batch: float, context: float) -> dict[str, float]:
    """One decoding step of a batch."""
    model, device = query.model, query.device
    ways = _ways(query)
    bandwidth = device.bandwidth_gb_s * 1e9
    rate = sustained(device, query.precision)
    late = 1.0 if query.runtime.group == "eager" else slower(device)
    kv_bits = 8.0 if "int8kv" in query.precision else 16.0
    flops = counts.decode_flops(model, batch, 0.0)
    tensor = ways > 1
    moved = 2.0 * model.layers * batch * model.width * 2.0 if tensor else 0.0
    return {
        "weights": counts.step_bytes(model, query.precision.split("+")[0], batch) / bandwidth / ways,
        "stream": counts.step_bytes(model, query.precision.split("+")[0], batch) / stream_bytes_per_s(device) / ways
        if device.kind == "gpu"
        else 0.0,
        "cache": counts.kv_cache_bytes(model, context, batch, kv_bits) / bandwidth / ways,
        "products": flops / rate / ways,
        "step_launch": (model.decoder_layers or model.layers) * LAUNCH_S * late,
        "step_base": BASE_S,
        "sampling": batch * BASE_S * 0.01,
        "comm": 2.0 * model.layers * LAUNCH_S + moved / (device.link_gb_s * 1e9) if tensor else 0.0,
        "hops": (query.n_devices - ways) * BASE_S,
    }


def _prefill(query: Query, batch: float, *, head: bool = False) -> dict[str, float]:
    """One pass over the prompts of a batch."""
    model, device = query.model, query.device
    ways = _ways(query)
    rate = sustained(device, query.precision)
    bandwidth = device.bandwidth_gb_s * 1e9
    tokens = query.input_tokens
    linear = counts.linear_flops(model, batch, tokens)
    tensor = ways > 1
    pipeline = 1.0 if tensor or query.n_devices == 1 else 1.0 / min(1.6, 1 + 0.25 * (query.n_devices - 1))
    moved = 2.0 * model.layers * batch * tokens * model.width * 2.0 * 2 * (ways - 1) / ways if tensor else 0.0
    return {
        "compute": linear / rate / ways * pipeline,
        "attention": counts.attention_flops(model, batch, tokens) / rate / ways * pipeline,
        "prompt_weights": counts.step_bytes(model, query.precision.split("+")[0], batch * tokens) / bandwidth / ways,
        "launch": model.layers * LAUNCH_S,
        "prompt_comm": 2.0 * model.layers * LAUNCH_S + moved / (device.link_gb_s * 1e9) if tensor else 0.0,
        "base": BASE_S,
    }


def largest_batch(query: Query) -> float:
    """Sequences that fit beside the weights, at most 256: 90 % of memory, whole contexts (paged, half full)."""
    memory = (query.device.memory_gb or 256.0) * 1e9 * query.n_devices * 0.9
    free = memory - counts.weight_bytes(query.model, query.precision.split("+")[0])
    each = counts.kv_cache_bytes(query.model, query.input_tokens + query.output_tokens)
    return float(min(max(1.0, free / max(each, 1.0)), 512.0 if query.runtime.name.startswith("trtllm") else 256.0))


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


def memory_terms(query: Query) -> dict[str, float]:
    """Bytes on all devices together, in GB."""
    model = query.model
    precision = query.precision.split("+")[0]
    batch = query.batch if query.batch is not None else largest_batch(query)
    tokens = query.input_tokens
    copies = query.n_devices if query.task == "training" and query.method == "lora" else 1
    weights = counts.weight_bytes(model, "nf4" if query.method == "qlora" else precision.removesuffix("-amp"))
    counted = counts.parameters(model)
    width = 2.0 if act_bits(precision) == 16 else 4.0
    if query.task == "training":
        trainable = {"full": counted.total, "lora-emb": counted.embedding + counted.head}.get(
            query.method, 0.01 * counted.total
        )
        per_token = model.width * (6.0 if model.kind == "decoder" else 17.0) + 2.0 * model.ffn * (
            0.5 if model.kind == "decoder" else 1.0
        )
        layers = model.layers if not query.checkpointing else model.layers**0.5
        if query.method == "full" and precision.removesuffix("-amp") in ("bf16", "fp16"):
            weights = counted.total * 2.0
        state = trainable * (16.0 if query.method == "full" else 11.0)
        return {
            "weights": weights * copies / 1e9,
            "state": state * copies / 1e9,
            "activations": query.n_devices * batch * tokens * per_token * layers * width / 1e9,
            "logits": query.n_devices * batch * tokens * counted.head / max(model.width, 1) * 10.0 / 1e9,
            "base": float(query.n_devices),
        }
    cached = tokens + query.output_tokens
    kv_bits = 8.0 if "int8kv" in query.precision else 16.0
    inner = (2.0 * model.ffn * (1.5 if model.gated else 1.0) + 4.0 * model.width) * width
    cache = counts.kv_cache_bytes(model, cached, batch, kv_bits) if model.kind != "encoder" else 0.0
    return {
        "weights": weights / 1e9,
        "cache": cache / 1e9,
        "activations": batch * tokens * inner / 1e9,
        "base": float(query.n_devices),
    }


def terms(query: Query) -> dict[str, float]:
    """The terms of a query: seconds on an ideal device, or GB."""
    regime = query.regime
    if regime == "memory":
        return memory_terms(query)
    if regime == "training":
        return training_terms(query)
    if regime == "encoder":
        return encoder_terms(query)
    return generation_terms(query)


def floor_s(query: Query, found: dict[str, float]) -> float:
    """The time nothing can go below: the sustained peak, and the weights read once per step."""
    compute = found.get("compute", 0.0) + found.get("attention", 0.0) + found.get("products", 0.0)
    return max(compute, found.get("weights", 0.0) if query.regime != "encoder" else 0.0)


def value_of(query: Query, total: float) -> float:
    """The figure asked for, from the total of the terms (seconds, or GB).

    Units: ms, sequences/s, tokens/s, GB; energy is made of power and time in `model.py`.
    """
    if query.regime == "memory":
        return total / (GIB if query.runtime.gib else 1.0)
    seconds = total + query.server_overhead_s
    batch = query.batch if query.batch is not None else (128.0 if query.regime == "encoder" else largest_batch(query))
    n = query.n_devices
    if query.metric == "latency_ms":
        return 1000.0 * seconds * (query.accumulate if query.step_latency else 1)
    if query.regime == "training":
        items = n * batch * (query.input_tokens if query.metric == "tokens_s" else 1.0)
    elif query.regime == "encoder":
        items = n * batch * query.instances * (query.input_tokens if query.metric == "tokens_s" else 1.0)
    elif query.task == "prefill":
        items = batch * query.input_tokens
    elif query.task == "decode":
        items = batch
    else:
        items = batch * (query.output_tokens if query.metric == "tokens_s" else 1.0)
    return items / seconds / (n if query.per_device else 1)


def total_of(query: Query, value: float) -> float:
    """The inverse of `value_of`: the total of the terms that a measured figure means."""
    if query.regime == "memory":
        return value * (GIB if query.runtime.gib else 1.0)
    if query.metric == "latency_ms":
        seconds = value / 1000.0 / (query.accumulate if query.step_latency else 1)
    else:
        seconds = value_of(query, 1.0 - query.server_overhead_s) / value
    return max(seconds - query.server_overhead_s, 1e-6)
