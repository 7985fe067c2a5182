"""What is measured on a finished run: sanity, robustness, label curves, policies."""
