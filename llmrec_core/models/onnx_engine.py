"""The scorer as two ONNX graphs, run by ONNX Runtime: one reads a history, one scores candidates after it.

Exported from the same `read_history` and `read_candidates` that torch runs, with free lengths, and compared with them
before use: an export that differs is refused, never served.
"""

from __future__ import annotations

import io
import logging
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from llmrec_core.errors import UnsupportedError
from llmrec_core.models.packed import History, read_candidates, read_history

if TYPE_CHECKING:
    from llmrec_core.models.scorer_model import ScorerModel

TOLERANCE = 1e-3
"""Largest allowed difference of a score, as a share of the spread of the scores compared."""


class HistoryGraph(nn.Module):
    """Tokens (1, S) → keys and values, each (layers, K, S, D)."""

    def __init__(self, model: ScorerModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        found = read_history(self.model.backbone.stack, tokens, torch.ones_like(tokens, dtype=torch.bool), ragged=False)
        return torch.cat(found.keys), torch.cat(found.values)


class CandidateGraph(nn.Module):
    """Tokens and mask (N, T), keys and values (layers, K, S, D) → scores (N,)."""

    def __init__(self, model: ScorerModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, tokens: Tensor, mask: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        stack, head = self.model.backbone.stack, self.model.head
        lengths = torch.full((1,), keys.shape[2], dtype=torch.long)
        history = History([k[None] for k in keys.unbind(0)], [v[None] for v in values.unbind(0)], lengths, None)
        tokens, mask = tokens[None], mask[None]
        if head.all_tokens:
            return head(read_candidates(stack, history, tokens, mask, ragged=False), mask)[0]
        read_at = mask.sum(-1) - 1 if stack.causal else torch.zeros_like(tokens[..., 0])
        return head(read_candidates(stack, history, tokens, mask, read_at=read_at, ragged=False))[0]


class OnnxEngine:
    """Sessions of both graphs and the tensors that go in and out."""

    def __init__(self, model: ScorerModel) -> None:
        """Export `model` and compare.

        Raises:
            UnsupportedError: without onnxruntime and onnxscript, for an untranslatable model, or when scores differ.
        """
        try:
            import onnxruntime
            import onnxscript  # noqa: F401 - the exporter's own need
        except ImportError as error:
            raise UnsupportedError(
                f"runtime 'onnx' needs {error.name}: pip install onnxruntime onnx onnxscript"
            ) from error
        if model.device.type != "cpu" or model.history_attention != "shared":
            raise UnsupportedError("runtime 'onnx' serves mode 'shared' on the CPU; use runtime 'eager'")
        onnxruntime.set_default_logger_severity(3)
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
            self._sessions.append(onnxruntime.InferenceSession(body, options, providers=["CPUExecutionProvider"]))
        self.difference = self._compare(model)

    def read_history(self, tokens: Tensor) -> History:
        """As `packed.read_history`, of one history (1, S)."""
        keys, values = self._sessions[0].run(None, {"tokens": tokens.numpy()})
        made = torch.from_numpy(keys), torch.from_numpy(values)
        return History([made[0]], [made[1]], torch.tensor([tokens.shape[1]]), None)

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
            for past, count, width in ((3, 1, 2), (20, 9, 5), (60, 33, 8)):
                tokens = torch.from_numpy(rng.integers(0, vocabulary, (1, past)))
                own = torch.from_numpy(rng.integers(0, vocabulary, (1, count, width)))
                mask = torch.arange(width) < torch.from_numpy(rng.integers(1, width + 1, (1, count, 1)))
                history = read_history(model.backbone.stack, tokens, torch.ones_like(tokens, dtype=torch.bool))
                exact = model.score_candidates(history, own, mask)
                ours = self.score(self.read_history(tokens), own, mask)
                worst = max(worst, float((exact - ours).abs().max()))
                all_scores.append(exact[0])
        spread = float(torch.cat(all_scores).std())
        if not worst <= TOLERANCE * spread:
            raise UnsupportedError(
                f"the ONNX export of {model.backbone.name} differs from its source by {worst:.2g} in a score (spread "
                f"{spread:.2g}, allowed {TOLERANCE:.0%} of it); use runtime 'eager'"
            )
        return worst


def exported(graph: nn.Module, inputs: tuple[Tensor, ...], shapes: Any, names: list[str], outputs: list[str]) -> bytes:
    """The ONNX file of a module, with the named free dimensions.

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
        raise UnsupportedError(f"this model cannot be exported to ONNX ({reason}); use runtime 'eager'") from error
    return stream.getvalue()
