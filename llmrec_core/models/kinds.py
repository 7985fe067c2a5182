"""Names of the architectures that have a packed form, as `model_type` in config.json. No torch."""

from __future__ import annotations

ENCODERS = ("bert", "roberta", "xlm-roberta")
DECODERS = ("llama", "qwen2", "gpt2", "gpt_neox", "gemma3_text")
ARCHITECTURES = (*ENCODERS, *DECODERS)
GATED = ("llama", "qwen2", "gemma3_text")
"""Architectures whose feed-forward part has a third matrix, the gate."""
