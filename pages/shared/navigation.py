"""The pages of the app: section → (file, title, icon, address)."""

from __future__ import annotations

from llmrec_core.access import Role
from llmrec_core.installation import ROOT
from llmrec_core.language import marked

MAP: dict[str, tuple[tuple[str, str, str, str], ...]] = {
    marked("Answer"): (
        ("answer/start.py", marked("Start"), "home", "start"),
        ("answer/decide.py", marked("Decide"), "balance", "decide"),
        ("answer/plan.py", marked("Plan"), "calculate", "plan"),
        ("answer/report.py", marked("Report"), "description", "report"),
    ),
    marked("Recommendations"): (
        ("recommendations/side_by_side.py", marked("Side by side"), "view_column", "side-by-side"),
        ("recommendations/why_this_item.py", marked("Why this item"), "help", "why-this-item"),
        (
            "recommendations/what_drives.py",
            marked("What drives the model"),
            "insights",
            "what-drives-the-model",
        ),
    ),
    marked("Measure"): (
        ("measure/quality.py", marked("Quality"), "grade", "quality"),
        ("measure/profile.py", marked("Profile"), "speed", "profile"),
        ("measure/this_machine.py", marked("This machine"), "memory", "this-machine"),
        ("measure/other_hardware.py", marked("Other hardware"), "dns", "other-hardware"),
    ),
    marked("Build"): (
        ("build/data.py", marked("Data"), "database", "data"),
        ("build/train.py", marked("Train"), "model_training", "train"),
        ("build/runs.py", marked("Runs"), "list_alt", "runs"),
        ("build/people.py", marked("People"), "group", "people"),
    ),
}

NEEDS: dict[str, Role] = {"build/train.py": "analyst", "build/people.py": "admin"}
"""Role that a page needs, by file; all others need `viewer`."""


def page_path(page: str) -> str:
    """Path of a page file for links, e.g. `build/runs.py`."""
    return str(ROOT / "pages" / page)
