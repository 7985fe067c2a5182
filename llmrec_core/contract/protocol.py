"""How a run's quality is measured: the split, who is asked, and what they are offered."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from llmrec_core.contract.bounds import Name, Seed, Users
from llmrec_core.contract.parsing import Flag, Whole, parsed
from llmrec_core.errors import UsageError
from llmrec_core.language import t
from llmrec_core.types import RepeatRule, SplitName

FEWEST_CANDIDATES, MOST_CANDIDATES = 2, 10_000_000


@parsed
class ProtocolSpec:
    """How quality is measured. Its name is `split/candidates`, e.g. `loo/100-uniform`."""

    split: SplitName = "loo"
    """`loo` withholds each user's last item, with ties in file order. `time` withholds everything
    after a global instant. `loo-cold-items` is as `loo`, but a tenth of the items is left without
    any training, and only they are asked for. `loo-cold-users` does so with a fifth of the
    users."""
    candidates: Name = "100-uniform"
    """`full` offers the whole catalogue, `shelf` only what nobody has taken in training (with split
    `loo-cold-items`). `N-uniform` or `N-popular` offer the withheld item and
    N-1 unseen ones, fixed by seed. `given-NAME` offers the data set's own lists."""
    also_full: Flag = False
    """Measure `split/full` besides, for recommenders that can afford it."""
    also_time: Flag = False
    """Fit once more on what came before one moment and measure `time/CANDIDATES` besides."""
    k: Annotated[Whole, Field(ge=1, le=1_000)] = 10
    """Length of the list that metrics look at."""
    users: Users = 400
    """Users sampled for evaluation, the same for every run with the same seed; 0 takes all."""
    seed: Seed = 0
    """Seed of what is drawn: users, candidates, a random hold-out."""
    repeats: RepeatRule = "first"
    """Which events of an item that a person takes again are read: see data/history.py."""

    def __post_init__(self) -> None:
        """Refuse a candidate protocol that does not exist or does not go with the split."""
        count, _, kind = self.candidates.partition("-")
        if count == "given" and kind:
            if self.split != "loo":
                raise UsageError(
                    t(
                        "protocol.candidates {candidates!r} contradicts protocol.split {split!r}: "
                        "published lists are of what comes after a user's last but one item; use "
                        "split 'loo'",
                        candidates=self.candidates,
                        split=self.split,
                    )
                )
        elif self.candidates == "shelf":
            if self.split != "loo-cold-items":
                raise UsageError(
                    t(
                        "protocol.candidates 'shelf' contradicts protocol.split {split!r}: it "
                        "offers what nobody has taken, and only split 'loo-cold-items' asks for "
                        "such items",
                        split=self.split,
                    )
                )
        elif self.candidates != "full" and not (
            kind in ("uniform", "popular")
            and count.isdecimal()
            and FEWEST_CANDIDATES <= int(count) <= MOST_CANDIDATES
        ):
            raise UsageError(
                t(
                    "protocol.candidates is {candidates!r}; expected 'full', 'shelf', "
                    "'given-NAME', or 2 to {most:,} of them, e.g. '100-uniform' or '100-popular'",
                    candidates=self.candidates,
                    most=MOST_CANDIDATES,
                )
            )

        if self.also_time and self.split != "loo":
            raise UsageError(
                t(
                    "protocol.also_time contradicts protocol.split {split!r}: it measures a split "
                    "in time beside leave-one-out; use split 'loo', or split 'time' alone",
                    split=self.split,
                )
            )

    @property
    def name(self) -> str:
        """What records and charts call it."""
        return f"{self.split}/{self.candidates}"
