"""The documentation: its commands exist and run, its tables are current, its paths lead somewhere, it builds."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from pydantic import TypeAdapter

from llmrec_core.cli.main import app
from llmrec_core.contract.policy import Policy
from llmrec_core.contract.spec import RunSpec
from llmrec_core.reading import record_fields
from llmrec_core.reading.documentation import TABLES, refreshed

ROOT = Path(__file__).parents[1]
PAGES = [*sorted((ROOT / "docs").rglob("*.md")), *sorted(ROOT.glob("*.md"))]
KEPT = [
    page
    for page in PAGES
    if page.parent != ROOT / "docs" / "reference" or page.name == "environment.md"
]
"""Pages that somebody wrote; the others of the reference are made at every build."""
RUN_BY_TEST = ("tutorials/your-data.md", "tutorials/your-hardware.md")
OTHER_PROGRAMS = {
    "pip",
    "pre-commit",
    "export",
    "streamlit",
    "pybabel",
    "git",
    "cat",
    "python3",
    "cd",
}


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of a page in one language."""
    return re.findall(
        rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )


def commands(page: Path) -> Iterator[list[str]]:
    """The command lines of a page, split into words; here-documents are left out."""
    for block in blocks(page, "console") + blocks(page, "sh"):
        plain = re.sub(r"<<'(\w+)'\n.*?^\1$", "", block, flags=re.MULTILINE | re.DOTALL)
        for line in plain.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words:
                yield words


def refused(words: list[str]) -> str:
    """Why the command line would not take these words; empty when it would."""
    command, context, rest = typer.main.get_group(app), None, words
    try:
        while True:
            context = command.make_context(rest[0], rest[1:], parent=context)
            if not isinstance(command, typer.core.TyperGroup):
                return ""
            _, command, rest = command.resolve_command(
                context, [*context._protected_args, *context.args]
            )
            rest = [command.name, *rest]
    except typer.TyperException as error:
        return f"{' '.join(words)}: {error}"


def test_every_command_in_the_docs_exists():
    targets = set(
        re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    )
    wrong, seen = [], 0
    for page in KEPT:
        for words in commands(page):
            seen += 1
            if words[:3] == ["python", "-m", "llmrec_core"]:
                words = ["llmrec", *words[3:]]
            if words[0] == "llmrec":
                problem = refused(words)
            elif words[0] == "make":
                problem = "" if words[1] in targets else f"no target {words[1]}"
            elif words[:3] == ["python", "-m", "pytest"]:
                problem = "" if (ROOT / words[3]).exists() else f"no {words[3]}"
            elif words[0] == "python":
                module = words[2].replace(".", "/") + ".py" if words[1] == "-m" else words[1]
                problem = "" if (ROOT / module).exists() else f"no {module}"
            else:
                problem = "" if words[0] in OTHER_PROGRAMS else f"unknown program {words[0]}"
            if problem:
                wrong.append(f"{page.relative_to(ROOT)}: {problem}")
    assert wrong == []
    assert seen > 40


def test_a_wrong_command_would_be_seen():
    assert refused(["llmrec", "runs", "list", "--study", "x"]) == ""
    assert "No such option" in refused(["llmrec", "runs", "list", "--sudy", "x"])
    assert "No such command" in refused(["llmrec", "rnus"])
    assert refused(["llmrec", "study"])


def test_both_readmes_hold_the_same_commands():
    """What `test_tutorials_and_readme_run` runs of one is then what the other says too."""
    english, chinese = ROOT / "README.md", ROOT / "README.zh-CN.md"
    assert list(commands(chinese)) == list(commands(english))
    assert blocks(chinese, "python") == blocks(english, "python")
    headings = [
        re.findall(r"^#+", page.read_text(encoding="utf-8"), re.MULTILINE)
        for page in (english, chinese)
    ]
    assert headings[0] == headings[1]


@pytest.fixture(scope="session")
def shell(tmp_path_factory):
    """Run shell text in an empty folder with `llmrec` on the path; later calls find what earlier ones left."""
    folder = tmp_path_factory.mktemp("docs")
    programs = folder / "bin"
    programs.mkdir()
    for name, module in (("llmrec", "-m llmrec_core"), ("python", "")):
        program = programs / name
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" {module} "$@"\n', encoding="utf-8")
        program.chmod(0o755)

    def run(text: str, program: str = "bash") -> str:
        environment = {
            **os.environ,
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "LLMREC_HOME": str(folder / "home"),
            "LLMREC_LEDGER": "",
        }
        arguments = ["-euo", "pipefail"] if program == "bash" else ["-"]
        done = subprocess.run(
            [program, *arguments],
            input=text,
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert done.returncode == 0, f"{text}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
        return done.stdout

    return run


@pytest.mark.slow
def test_tutorials_and_readme_run(shell):
    """Every `sh` block of the tutorials and then those of the README, whose orders are the tutorial's."""
    for name in RUN_BY_TEST:
        for block in blocks(ROOT / "docs" / name, "sh"):
            shell(block)
    reasons = blocks(ROOT / "docs" / "tutorials" / "reasons-in-a-notebook.md", "python")
    assert shell("\n".join(reasons), "python").startswith("(4, ")
    for block in blocks(ROOT / "README.md", "sh"):
        shell(block)
    (python,) = blocks(ROOT / "README.md", "python")
    assert shell(python, "python").strip()


def test_tables_are_those_of_the_stored_records():
    stale = [
        str(page.relative_to(ROOT))
        for page in KEPT
        if (text := page.read_text(encoding="utf-8")) != refreshed(text, ROOT)
    ]
    assert stale == [], "run `llmrec docs tables`"


def test_every_kind_of_table_is_on_a_page():
    text = "".join(page.read_text(encoding="utf-8") for page in KEPT)
    assert set(re.findall(r"<!-- table: ([a-z-]+), record", text)) == set(TABLES)


def test_results_say_how_they_are_reproduced():
    for page in sorted((ROOT / "docs" / "results").glob("*.md")):
        text = page.read_text(encoding="utf-8")
        if page.name != "index.md":
            assert re.match(r"# [^\n]+\?\n\n\*\*", text), f"{page.name}: a question, then the claim"
            assert "## Conditions\n" in text, page.name
            assert "## How to reproduce it\n" in text, page.name


def test_paths_named_in_code_and_docs_are_there():
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    missing = set()
    for name in listed.stdout.splitlines():
        file = ROOT / name
        if (
            file.suffix in (".py", ".toml", ".md", ".yml")
            and name != "CHANGELOG.md"
            and file.exists()
        ):
            text = file.read_text(encoding="utf-8")
            for path in re.findall(
                r"\b(?:docs|assets|tests|llmrec_core|pages)/[\w./-]+\.(?:md|svg|toml|py|csv|png)\b",
                text,
            ):
                elsewhere = "NAME" in path or "/_product/" in path
                if not ((ROOT / path).exists() or elsewhere or file.parent.name == "lab-notebook"):
                    missing.add(f"{name}: {path}")
    assert sorted(missing) == []


def test_links_between_pages_have_a_text_and_a_target():
    for page in KEPT:
        for text, target in re.findall(
            r"\[([^\]]*)\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")
        ):
            if "://" not in target and not target.startswith(("#", "mailto:")):
                path = page.parent / target.partition("#")[0]
                generated = path.parent.name == "reference"
                assert text, f"{page.name}: a link without a text to {target}"
                assert path.exists() or generated, f"{page.name}: {target}"


def test_every_figure_of_the_recorded_study_is_described():
    import json

    body = json.loads((ROOT / "assets" / "sample" / "study.json").read_text(encoding="utf-8"))
    for run in body["runs"]:
        for figure in run["measurements"]:
            field = record_fields.field_of(figure["name"])
            assert field, figure["name"]
            assert field.unit == figure["unit"], figure["name"]
        for document in run["documents"]:
            assert document["name"] in record_fields.DOCUMENTS


def test_every_field_of_a_study_file_and_of_a_policy_is_described():
    undescribed = []
    for kind in (RunSpec, Policy):
        shape = TypeAdapter(kind).json_schema()
        for part in (shape, *shape.get("$defs", {}).values()):
            fields = part["properties"].items()
            undescribed += [
                f"{part['title']}.{name}" for name, field in fields if not field.get("description")
            ]
    assert undescribed == []


def test_architecture_names_every_room():
    text = (ROOT / "docs" / "explanation" / "architecture.md").read_text(encoding="utf-8")
    rooms = [
        folder.name
        for folder in (ROOT / "llmrec_core").iterdir()
        if (folder / "__init__.py").exists()
    ]
    assert [room for room in rooms if f"`{room}/`" not in text] == []
    modules = [file.stem for file in (ROOT / "llmrec_core").glob("[a-z]*.py")]
    assert [module for module in modules if f"`{module}`" not in text] == []


@pytest.mark.slow
def test_docs_build_without_a_warning_and_load_nothing_from_elsewhere(tmp_path):
    build = [
        sys.executable,
        "-m",
        "sphinx",
        "--fail-on-warning",
        "--keep-going",
        "--quiet",
        "docs",
        str(tmp_path),
    ]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr[-4000:]
    pages = sorted(tmp_path.rglob("*.html"))
    assert len(pages) > 200
    for page in pages:
        html = page.read_text(encoding="utf-8")
        loaded = re.findall(
            r'<(?:script|img|iframe)[^>]+src="(https?:[^"]+)|<link[^>]+stylesheet[^>]+href="(https?:[^"]+)',
            html,
        )
        assert loaded == [], page.name
