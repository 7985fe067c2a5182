"""The plain ways that `explain.py` compares with: one pass per coalition, shap's explainers, captum's sampling."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

N = 10
"""History items of a case."""


def cpu(function: Callable[[], Any]) -> tuple[Any, float]:
    """Result and CPU seconds of a call."""
    began = time.process_time()
    result = function()
    return result, time.process_time() - began


def relative(values: np.ndarray, truth: np.ndarray) -> float:
    """Summed absolute error over the sum of absolute true values."""
    return float(np.abs(values - truth).sum() / max(np.abs(truth).sum(), 1e-12))


def plain_pass(recommender: Any, history: np.ndarray, item: int) -> Callable[[int], float]:
    """Score of one coalition in a sequence of its own, seen as the model's mode sees it: nothing shared, nothing packed."""
    import torch

    model = recommender.model
    layout, stack = model.layout, model.backbone.stack
    candidate = layout.candidates[item]

    @torch.inference_mode()
    def score(mask: int) -> float:
        prompt = layout.assemble([int(i) for bit, i in enumerate(history) if mask >> bit & 1])
        if stack.causal:
            return float(model.score_pairs([prompt], [candidate])[0])
        return float(_read(model, _hugging_face(model, prompt, candidate), len(prompt)))

    return score


def _read(model: Any, states: Any, past: int) -> Any:
    """The head's score of one sequence (1, T, E) whose candidate begins at `past`."""
    import torch

    if model.head.all_tokens:
        own = states[None, :, past:]
        return model.head(own, torch.ones(own.shape[:3], dtype=torch.bool))[0, 0]
    return model.head(states[:, past])[0]


def _hugging_face(
    model: Any, prompt: list[int], candidate: list[int], absent: np.ndarray | None = None
) -> Any:
    """States of one sequence from the model as transformers runs it, with the mask of the model's mode."""
    import torch

    from llmrec_core.models.per_item import arrange

    tokens = torch.tensor([prompt + candidate])
    past, whole = len(prompt), tokens.shape[1]
    mask = torch.ones(1, 1, whole, whole, dtype=torch.bool)
    mask[..., :past, past:] = False
    positions = torch.arange(whole)[None]
    if model.history_attention == "per_item":
        alone = arrange(model.layout, tokens[:, :past], torch.ones(1, past, dtype=torch.bool))
        mask[0, 0, :past, :past] = alone.visible[0]
        positions = torch.cat((alone.positions[0], alone.ends + torch.arange(len(candidate))))[None]
    if absent is not None:
        mask[..., torch.from_numpy(np.flatnonzero(absent))] = False
        mask[..., range(whole), range(whole)] = True  # a row that sees nothing has no softmax
    types = torch.tensor([[0] * past + [1] * len(candidate)])
    return model.backbone.stack.base(
        input_ids=tokens, attention_mask=mask, position_ids=positions, token_type_ids=types
    ).last_hidden_state


def masked_pass(recommender: Any, history: np.ndarray, item: int) -> Callable[[int], None]:
    """A coalition at full length, absent tokens masked out of attention: what a masker without packing costs."""
    import torch

    model, layout = recommender.model, recommender.model.layout
    owner = np.array([-1] + [bit for bit, i in enumerate(history) for _ in layout.pieces[i]] + [-1])
    prompt = layout.assemble(history.tolist())

    @torch.inference_mode()
    def score(mask: int) -> None:
        absent = np.array([bit >= 0 and not mask >> bit & 1 for bit in owner])
        _hugging_face(model, prompt, layout.candidates[item], absent)

    return score


def shap_pipeline(
    recommender: Any, history: np.ndarray, item: int
) -> tuple[np.ndarray, float, float]:
    """Item sums of `shap.Explainer(pipeline)`, its CPU seconds, and the pipeline's score of the whole text."""
    import shap
    import torch
    import transformers

    transformers.logging.set_verbosity_error()
    model = recommender.model
    layout, stack, tokenizer = model.layout, model.backbone.stack, model.backbone.tokenizer
    candidate = layout.candidates[item]

    class Ranker(transformers.BertPreTrainedModel):
        """Our weights behind the interface of a text classifier with one score."""

        def __init__(self) -> None:
            config = transformers.BertConfig(**{**stack.config.to_dict(), "num_labels": 1})
            config.problem_type = "regression"
            super().__init__(config)
            self.anchor = torch.nn.Parameter(torch.zeros(1))

        def forward(self, input_ids: Any, **_: Any) -> Any:
            scores = [
                _read(model, _hugging_face(model, row.tolist(), candidate), len(row))
                for row in input_ids
            ]
            return transformers.modeling_outputs.SequenceClassifierOutput(
                logits=torch.stack(scores)[:, None]
            )

    pipeline = transformers.pipeline(
        "text-classification",
        model=Ranker().eval(),
        tokenizer=tokenizer,
        top_k=None,
        function_to_apply="none",
    )
    text = "; ".join(str(title) for title in recommender.dataset.items["title"].iloc[history]) + ";"
    explainer = shap.Explainer(pipeline)
    found, seconds = cpu(lambda: explainer([text], silent=True))
    # word pieces to items: each title ends with its ";"
    pieces, values = (
        list(found.data[0]),
        np.asarray(found.values[0]).reshape(len(found.data[0]), -1)[:, 0],
    )
    sums, at = np.zeros(len(history)), 0
    ends = np.cumsum([len(layout.pieces[i]) for i in history])
    place = 0
    for piece, value in zip(pieces, values, strict=True):
        if piece.strip():
            at = int(np.searchsorted(ends, place, side="right"))
            place += 1
        sums[min(at, len(history) - 1)] += value
    return sums, seconds, float(pipeline(text)[0][0]["score"])


def peers_on_table(table: np.ndarray, plain_s: float) -> dict[str, tuple[np.ndarray, float, int]]:
    """Values, CPU seconds and evaluations of shap Exact, shap Permutation and captum, each at its defaults."""
    import captum.attr
    import shap
    import torch

    bits = 1 << np.arange(N)
    count = 0

    def rows(matrix: np.ndarray) -> np.ndarray:
        nonlocal count
        count += len(matrix)
        return table[(np.asarray(matrix) > 0.5).astype(np.int64) @ bits]

    def one(inputs: Any) -> Any:
        return torch.from_numpy(rows(inputs.numpy()))

    masker = shap.maskers.Independent(np.zeros((1, N)), max_samples=1)
    whole = np.ones((1, N))
    found = {}
    calls: dict[str, Callable[[], np.ndarray]] = {
        "shap_exact": lambda: shap.explainers.Exact(rows, masker)(whole, silent=True).values[0],
        "shap_permutation": lambda: shap.explainers.Permutation(rows, masker, seed=0)(
            whole, silent=True
        ).values[0],
        "captum_sampling": lambda: (
            captum.attr.ShapleyValueSampling(one).attribute(torch.ones(1, N)).numpy()[0]
        ),
    }
    for name, call in calls.items():
        torch.manual_seed(0)
        count = 0
        values, own = cpu(call)
        found[name] = (values, own + count * plain_s, count)
    return found
