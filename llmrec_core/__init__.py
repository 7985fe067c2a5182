"""LLMRec Studio's engine: fine-tune, score, profile and compare recommenders, quality beside cost.

Submodules are imported where they are used, so that reading results needs no torch.
"""

__version__ = "0.2.0"
