"""Training: groups of a history and items, losses over them, and the loop that takes the steps."""
