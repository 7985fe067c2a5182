"""The early exit of a language model, found on validation users once its weights are final."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmrec_core.errors import UsageError
from llmrec_core.language import t
from llmrec_core.metrics.exam import Exam
from llmrec_core.scoring.early_exit import calibrate

if TYPE_CHECKING:
    from llmrec_core.contract.run_context import RunContext
    from llmrec_core.contract.spec import RunSpec
    from llmrec_core.data.splits import Split
    from llmrec_core.scoring.scorer import Scorer

EXIT_USERS, EXIT_KEEP = 60, 0.99
"""Validation users that calibrate an early exit, and the share whose top k it must not change."""


def calibrate_exit(scorer: Scorer, spec: RunSpec, split: Split, context: RunContext) -> None:
    """Have a scorer stop reading hopeless candidates early.

    Args:
        scorer: gets the exit.
        spec: of the run, with the options `exit_layer` and `exit_keep`.
        split: its validation users are asked.
        context: gets a line about what was found.

    Raises:
        UsageError: for other options, or without `exit_layer`.
    """
    options = spec.recommender.options
    if not set(options) <= {"exit_layer", "exit_keep"} or "exit_layer" not in options:
        raise UsageError(
            t(
                "recommender.options has {options}; a language model knows 'exit_layer' "
                "(needed) and 'exit_keep'",
                options=", ".join(map(repr, options)),
            )
        )
    protocol = spec.protocol
    exam = Exam.on(split, split.valid, "100-uniform", EXIT_USERS, protocol.seed + 2)
    scorer.exit = calibrate(
        scorer,
        [history.tolist() for history in exam.histories],
        exam.candidates,
        depth=int(options["exit_layer"]),
        k=protocol.k,
        keep=float(options.get("exit_keep", EXIT_KEEP)),
    )
    context.log(
        t(
            "early exit after layer {depth}: {survivors:.0%} of the candidates read on",
            depth=scorer.exit.depth,
            survivors=scorer.exit.survivors,
        )
    )
