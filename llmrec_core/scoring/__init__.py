"""Scoring with loaded language models: one request, many, early exits, text embeddings."""
