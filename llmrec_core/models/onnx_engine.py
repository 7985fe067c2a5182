"""The scorer as two ONNX graphs, run by ONNX Runtime: one reads a history, one scores candidates.

Exported from the same `read_history` and `read_candidates` that torch runs, with free lengths, and
compared with them before use: an export that differs is refused, never served.

Symbols: S history tokens, N candidates, T candidate tokens, K key/value heads, D head width.
"""

from __future__ import annotations

import importlib
import io
import logging
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from llmrec_core.errors import UnsupportedError
from llmrec_core.language import t
from llmrec_core.models.packed import History, read_candidates, read_history

if TYPE_CHECKING:
    from llmrec_core.models.scorer_model import ScorerModel

TOLERANCE = 1e-3
"""Largest allowed difference of a score, as a share of the spread of the scores compared."""
COMPARED = ((3, 1, 2), (20, 9, 5), (60, 33, 8))
"""History tokens, candidates and candidate tokens of the comparisons."""
ERRORS_ONLY = 3
"""Severity from which ONNX Runtime writes to the log."""


class HistoryGraph(nn.Module):
    """Tokens (1, S) → keys and values, each (layers, K, S, D)."""

    def __init__(self, model: ScorerModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """See the class."""
        everything = torch.ones_like(tokens, dtype=torch.bool)
        history = read_history(self.model.backbone.stack, tokens, everything, ragged=False)
        return torch.cat(history.keys), torch.cat(history.values)


class CandidateGraph(nn.Module):
    """Tokens and mask (N, T), keys and values (layers, K, S, D) → scores (N,)."""

    def __init__(self, model: ScorerModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, tokens: Tensor, mask: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """See the class."""
        stack, head = self.model.backbone.stack, self.model.head
        lengths = torch.full((1,), keys.shape[2], dtype=torch.long)
        history = History(
            [k[None] for k in keys.unbind(0)], [v[None] for v in values.unbind(0)], lengths, None
        )
        tokens, mask = tokens[None], mask[None]
        if head.all_tokens:
            scores: Tensor = head(read_candidates(stack, history, tokens, mask, ragged=False), mask)
            return scores[0]
        read_at = mask.sum(-1) - 1 if stack.causal else torch.zeros_like(tokens[..., 0])
        scores = head(read_candidates(stack, history, tokens, mask, read_at=read_at, ragged=False))
        return scores[0]


class OnnxEngine:
    """Sessions of both graphs and the tensors that go in and out."""

    def __init__(self, model: ScorerModel) -> None:
        """Export `model` and compare.

        Raises:
            UnsupportedError: without onnxruntime and onnxscript, for a model that cannot be
                translated, or when scores differ.
        """
        onnxruntime = require_onnx()
        if model.device.type != "cpu" or model.history_attention != "shared":
            raise UnsupportedError(
                t("runtime 'onnx' serves mode 'shared' on the CPU; use runtime 'eager'")
            )
        if any(block.window is not None for block in model.backbone.stack.blocks):
            raise UnsupportedError(
                t("runtime 'onnx' has no sliding-window attention; use runtime 'eager'")
            )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        example = torch.randint(0, 50, (1, 7)), torch.randint(0, 50, (5, 3))
        with torch.no_grad():
            keys, values = HistoryGraph(model)(example[0])
        free = torch.export.Dim.DYNAMIC
        graphs = (
            (HistoryGraph(model), (example[0],), ({1: free},), ["tokens"], ["keys", "values"]),
            (
                CandidateGraph(model),
                (example[1], torch.ones(5, 3, dtype=torch.bool), keys, values),
                ({0: free, 1: free}, {0: free, 1: free}, {2: free}, {2: free}),
                ["tokens", "mask", "keys", "values"],
                ["scores"],
            ),
        )
        self.bytes = 0
        self._sessions = []
        for graph in graphs:
            body = exported(*graph)
            self.bytes += len(body)
            self._sessions.append(
                onnxruntime.InferenceSession(body, options, providers=["CPUExecutionProvider"])
            )
        self.difference = self._compare(model)

    def read_history(self, tokens: Tensor) -> History:
        """As `packed.read_history`, of one history (1, S)."""
        keys, values = self._sessions[0].run(None, {"tokens": tokens.numpy()})
        return History(
            [torch.from_numpy(keys)],
            [torch.from_numpy(values)],
            torch.tensor([tokens.shape[1]]),
            None,
        )

    def score(self, history: History, tokens: Tensor, mask: Tensor) -> Tensor:
        """Scores (1, N) of candidates (1, N, T)."""
        inputs = {"tokens": tokens[0].numpy(), "mask": mask[0].numpy()}
        inputs |= {"keys": history.keys[0].numpy(), "values": history.values[0].numpy()}
        return torch.from_numpy(self._sessions[1].run(None, inputs)[0])[None]

    def _compare(self, model: ScorerModel) -> float:
        """Largest difference from torch, in scores, over a few lengths."""
        rng, worst, all_scores = np.random.default_rng(0), 0.0, []
        vocabulary = model.backbone.stack.config.vocab_size
        with torch.inference_mode():
            for past, count, width in COMPARED:
                tokens = torch.from_numpy(rng.integers(0, vocabulary, (1, past)))
                own = torch.from_numpy(rng.integers(0, vocabulary, (1, count, width)))
                lengths = torch.from_numpy(rng.integers(1, width + 1, (1, count, 1)))
                mask = torch.arange(width) < lengths
                history = read_history(
                    model.backbone.stack, tokens, torch.ones_like(tokens, dtype=torch.bool)
                )
                exact = model.score_candidates(history, own, mask)
                ours = self.score(self.read_history(tokens), own, mask)
                worst = max(worst, float((exact - ours).abs().max()))
                all_scores.append(exact[0])
        spread = float(torch.cat(all_scores).std())
        if not worst <= TOLERANCE * spread:
            raise UnsupportedError(
                t(
                    "the ONNX export of {name} differs from its source by {worst:.2g} in a score "
                    "(spread {spread:.2g}, allowed {tolerance:.0%} of it); use runtime 'eager'",
                    name=model.backbone.name,
                    worst=worst,
                    spread=spread,
                    tolerance=TOLERANCE,
                )
            )
        return worst


def require_onnx() -> Any:  # noqa: ANN401 - a module without types
    """The module `onnxruntime`, quiet but for errors.

    Raises:
        UnsupportedError: when it or the exporter's `onnxscript` is not installed.
    """
    try:
        onnxruntime = importlib.import_module("onnxruntime")
        importlib.import_module("onnxscript")
    except ImportError as error:
        raise UnsupportedError(
            t(
                "runtime 'onnx' needs {name}: pip install onnxruntime onnx onnxscript",
                name=error.name,
            )
        ) from error
    onnxruntime.set_default_logger_severity(ERRORS_ONLY)
    return onnxruntime


def exported(
    graph: nn.Module,
    inputs: tuple[Tensor, ...],
    shapes: tuple[dict[int, Any], ...],
    names: list[str],
    outputs: list[str],
) -> bytes:
    """The ONNX file of a module.

    Args:
        graph: the module.
        inputs: an example of each input.
        shapes: the free dimensions of each input.
        names: of the inputs.
        outputs: names of the outputs.

    Raises:
        UnsupportedError: when the exporter cannot translate it, or is not installed.
    """
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    stream = io.BytesIO()
    try:
        with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                graph.eval(),
                inputs,
                dynamo=True,
                dynamic_shapes=shapes,
                input_names=names,
                output_names=outputs,
                verbose=False,
            )
        program.save(stream)
    except Exception as error:  # the exporter raises many types
        reason = str(error).strip().splitlines()[0][:200]
        raise UnsupportedError(
            t(
                "this model cannot be exported to ONNX ({reason}); use runtime 'eager'",
                reason=reason,
            )
        ) from error
    return stream.getvalue()
