"""The process that reads strangers' files: `python -m llmrec_core.data.importing.child`.

It takes an `ImportRequest` as JSON on stdin and writes an `ImportOutcome`, or an error, as the last
line of stdout. Memory and processor time are bounded before the first byte is looked at.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from llmrec_core.data.importing.limits import limit_process

if TYPE_CHECKING:
    from llmrec_core.data.importing.plan import Plan
    from llmrec_core.data.importing.request import ImportOutcome, ImportRequest


def main() -> int:
    """Do what stdin asks for; 0 when the answer is on stdout, also when it is a refusal."""
    limit_process()
    from llmrec_core.data.importing.request import ImportRequest
    from llmrec_core.errors import LlmrecError

    request = ImportRequest.model_validate_json(sys.stdin.read())
    try:
        answer = _outcome(request).model_dump_json()
    except LlmrecError as error:
        answer = json.dumps({"error": {"sentence": str(error), "exit_code": error.exit_code}})
    print(answer, flush=True)
    return 0


def _outcome(request: ImportRequest) -> ImportOutcome:
    from llmrec_core.data import store
    from llmrec_core.data.cleaning import inspection
    from llmrec_core.data.importing.plan import plan_import
    from llmrec_core.data.importing.problems import ImportDataError, ImportQuestionError
    from llmrec_core.data.importing.reading import read_plan
    from llmrec_core.data.text import printable
    from llmrec_core.language import t
    from llmrec_core.settings import load_settings

    store.check_name(request.name)
    path, options = Path(request.path), request.options
    plan = plan_import(path, options)
    if plan.problems:
        return _described(request, plan)
    try:
        source = printable(request.source or path.name, limit=400)
        dataset = read_plan(plan, request.name, options, title=request.title, source=source)
    except (ImportDataError, ImportQuestionError):
        if not plan.problems:
            raise
        return _described(request, plan)
    report = inspection.inspect(dataset).to_dict()
    version = None
    if request.store:
        version = store.save(
            dataset, load_settings(), note=t("imported"), tables=plan.rows(), report=report
        ).number
    return _described(request, plan).model_copy(
        update={
            "content_hash": dataset.content_hash,
            "users": dataset.n_users,
            "items": dataset.n_items,
            "interactions": len(dataset.interactions),
            "order": dataset.order,
            "report": report,
            "version": version,
        }
    )


def _described(request: ImportRequest, plan: Plan) -> ImportOutcome:
    """What is known before, or instead of, a data set."""
    from llmrec_core.data.importing.request import ImportOutcome, preview_of, problem_of

    return ImportOutcome(
        name=request.name,
        tables=plan.rows(),
        previews=[preview_of(table) for table in [*plan.tables, *plan.undecided]],
        problems=[problem_of(file, problem) for file, problem in plan.problems],
    )


if __name__ == "__main__":
    status = main()
    # A parser of Arrow's that was stopped may still read ahead: a normal exit would wait for it and
    # abort.
    os._exit(status)
