"""A ring of items with titles, and a run that listens: what tests of coded items share."""

import math

import pandas as pd

from llmrec_core.contract.run_context import RunContext
from llmrec_core.data.dataset import build_dataset

USERS, ITEMS = 60, 24
TRAINING = {
    "steps": 120,
    "batch_histories": 16,
    "learning_rate": 1e-2,
    "warmup_steps": 4,
    "validate_every": 60,
    "validation_users": 0,
}
TITLES = [f"{'white' if item % 2 else 'black'} field number{item}" for item in range(ITEMS)]


class Listening(RunContext):
    """Keeps the log, and asks to stop after so many steps."""

    def __init__(self, folder, after=math.inf):
        super().__init__(folder)
        self.left, self.lines, self.phases = after, [], set()

    def log(self, line):
        self.lines.append(line)

    def progress(self, phase, done, total):
        self.phases.add(phase)

    def should_stop(self):
        self.left -= 1
        return self.left <= 0


def ring_of(titles):
    """People walk around a ring of items, each from a place of their own: the next is certain."""
    rows = [
        (f"u{user}", f"i{(user + step) % ITEMS}", float(step))
        for user in range(USERS)
        for step in range(5 + user % 4)
    ]
    items = pd.DataFrame({"item_id": [f"i{item}" for item in range(ITEMS)], "title": titles})
    table = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"])
    return build_dataset("ring", table, items)
