"""What is removed or flagged in an import before anything is trained on it."""
