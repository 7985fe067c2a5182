"""Text embeddings of a catalogue: mean-pooled states of a backbone, computed once and kept on disk."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from llmrec_core.models.backbones import Backbone, load_backbone
from llmrec_core.models.packed import read_whole
from llmrec_core.models.prompts import MAX_ITEM_TOKENS, pad
from llmrec_core.scoring.scorer import chunks

if TYPE_CHECKING:
    from llmrec_core.settings import Settings

BATCH_TOKENS = 2048


@torch.inference_mode()
def embed_texts(
    backbone: Backbone, texts: Sequence[str], progress: Callable[[int, int], None] | None = None
) -> np.ndarray:
    """Unit vectors (texts, E) float32: the mean of the last layer's states over the tokens of each text.

    Source: Sentence-BERT (arXiv:1908.10084), mean pooling, as all-MiniLM-L6-v2 was trained.
    """
    tokenizer = backbone.tokenizer
    rows = tokenizer(
        list(texts), add_special_tokens=not backbone.decoder, truncation=True, max_length=2 * MAX_ITEM_TOKENS
    )
    ids = [row or [tokenizer.eos_token_id or 0] for row in rows["input_ids"]]
    result = np.empty((len(ids), backbone.stack.config.hidden_size), dtype=np.float32)
    device = next(backbone.module.parameters()).device
    done = 0
    for chunk in chunks(np.array([len(row) for row in ids]), BATCH_TOKENS):
        tokens, mask = (torch.from_numpy(a).to(device) for a in pad([ids[i] for i in chunk]))
        states = read_whole(backbone.stack, tokens, mask, torch.zeros_like(tokens))
        means = (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        result[chunk] = torch.nn.functional.normalize(means, dim=-1).float().cpu().numpy()
        done += len(chunk)
        if progress:
            progress(done, len(ids))
    return result


def catalogue_embeddings(
    backbone_name: str,
    texts: Sequence[str],
    settings: Settings,
    *,
    depth: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """As `embed_texts`, kept under `HOME/embeddings` by backbone, depth and the texts themselves."""
    key = hashlib.sha256("\0".join([backbone_name, str(depth), *texts]).encode()).hexdigest()[:24]
    path = settings.home / "embeddings" / f"{key}.npy"
    if path.exists():
        return np.load(path, allow_pickle=False)
    vectors = embed_texts(load_backbone(backbone_name, settings, depth=depth), texts, progress)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(f"{path}.{os.getpid()}.npy")
    np.save(partial, vectors)
    partial.replace(path)
    return vectors
