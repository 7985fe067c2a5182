"""From a question to a figure with its interval."""
