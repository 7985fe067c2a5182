"""A Sphinx extension: writes the pages of the reference from the code that they describe.

Command line, fields of study files, fields of records and the glossary are Markdown pages under
`reference/`, made anew at every build and not kept in the repository.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import typer
from pydantic import TypeAdapter
from sphinx.application import Sphinx
from typer.core import TyperArgument, TyperGroup, TyperOption

from llmrec_core.cli.main import app as command_line
from llmrec_core.contract.families import families
from llmrec_core.contract.family import Option
from llmrec_core.contract.policy import Policy
from llmrec_core.contract.spec import RunSpec
from llmrec_core.ledger import schema
from llmrec_core.reading.glossary import GLOSSARY, METHODS
from llmrec_core.reading.record_fields import DOCUMENTS, FIGURES
from llmrec_core.types import Measurement


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension with Sphinx."""
    app.connect("builder-inited", write_pages)
    return {"parallel_read_safe": True}


def write_pages(app: Sphinx) -> None:
    """Write every page; one that has not changed is left alone, so that it is not read again."""
    for name, page in PAGES.items():
        file = Path(app.srcdir) / "reference" / f"{name}.md"
        text = page()
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            file.write_text(text, encoding="utf-8")


def _table(head: Iterable[str], lines: Iterable[Iterable[str]]) -> str:
    rows = [list(head), ["---" for _ in head], *map(list, lines)]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in row)} |" for row in rows)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", r"\|")


# ── the command line ─────────────────────────────────────────────────────────────────────────────


def command_page() -> str:
    """Every command with its arguments and options, as `--help` shows them."""
    root = typer.main.get_group(command_line)
    parts = [
        "# Command line",
        "`llmrec VERB`, or `python -m llmrec_core VERB`. With `--json` the last line of stdout is "
        "one JSON document. The exit status is 0, 2 for a wrong argument or 1 for a failure; every "
        "failure is one sentence on stderr.",
        *_commands(root, "llmrec"),
    ]
    return "\n\n".join(parts) + "\n"


def _commands(group: TyperGroup, path: str) -> Iterator[str]:
    for name, command in sorted(group.commands.items()):
        if isinstance(command, TyperGroup):
            yield from _commands(command, f"{path} {name}")
            continue
        yield f"## {path} {name}"
        yield " ".join((command.help or "").split())
        if command.params:
            yield _table(("", "meaning", "default"), map(_parameter, command.params))


def _parameter(parameter: TyperArgument | TyperOption) -> tuple[str, str, str]:
    names = ", ".join(f"`{name}`" for name in [*parameter.opts, *parameter.secondary_opts])
    if isinstance(parameter, TyperArgument):
        names = f"`{(parameter.name or '').upper()}`"
    default = "required" if parameter.required else parameter.default
    shown = "" if default in (None, "", False, [], ()) else str(default)
    return names, parameter.help or "", shown


# ── files and records ────────────────────────────────────────────────────────────────────────────


def study_page() -> str:
    """Fields of a run, of a study file and of a policy, from the classes that parse them."""
    shape = TypeAdapter(RunSpec).json_schema()
    parts = [
        "# Study files, run files and policies",
        "A study file has `name`, `title`, a table `[defaults]` with what all runs share, and one "
        "table `[[run]]` for each run, whose fields go before the defaults. `seeds = [0, 1, 2]` in "
        "such a table makes a run of each seed, which are read as one row. `in_file_order = true` "
        "at the top takes the runs as they stand; without it the cheap ones come first. A run file "
        "holds one run. Unknown fields, values of another type and numbers out of their bounds are "
        "refused, naming the field.",
        "## A run",
        _fields(shape),
    ]
    for name, part in shape["properties"].items():
        reference = _reference(part)
        if reference:
            kind = shape["$defs"][reference]
            parts += [f"## `{name}`", kind.get("description", ""), _fields(kind)]
    policy = TypeAdapter(Policy).json_schema()
    parts += ["## A policy", policy.get("description", ""), _fields(policy)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _reference(part: Mapping[str, Any]) -> str:
    target = part.get("$ref") or next((one["$ref"] for one in part.get("allOf", ())), "")
    return str(target).rpartition("/")[2]


def _fields(kind: Mapping[str, Any]) -> str:
    lines = []
    for name, part in kind["properties"].items():
        reference = _reference(part)
        default = part.get("default", "" if name not in kind.get("required", ()) else "required")
        values = f"table, see `{name}` below" if reference else _values(part)
        shown = "" if isinstance(default, dict) or default == "" else f"`{_toml(default)}`"
        lines.append((f"`{name}`", part.get("description", ""), values, shown))
    return _table(("field", "meaning", "values", "default"), lines)


def _toml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _values(part: Mapping[str, Any]) -> str:
    if "enum" in part:
        return ", ".join(f"`{value}`" for value in part["enum"])
    if "anyOf" in part:
        return " or ".join(_values(one) for one in part["anyOf"])
    words = {
        "integer": "whole number",
        "number": "number",
        "string": "text",
        "boolean": "true or false",
    }
    kind = words.get(part.get("type", ""), part.get("type", ""))
    if part.get("type") == "array":
        kind = f"list of {_values(part.get('items', {}))}"
    if part.get("type") == "object":
        kind = f"table of {_values(part.get('additionalProperties') or {}) or 'values'}"
    bounds = {
        "minimum": "from {}",
        "exclusiveMinimum": "above {}",
        "maximum": "to {}",
        "exclusiveMaximum": "below {}",
        "pattern": "as `{}`",
    }
    limits = [text.format(part[name]) for name, text in bounds.items() if name in part]
    return " ".join([kind, *limits])


def record_page() -> str:
    """What a run record holds: figures, documents, and the columns around them."""
    parts = [
        "# Records",
        "A record is what a finished run leaves in the ledger. `llmrec runs show RUN --json` "
        "prints one, `llmrec runs export` writes those of a study. Values are in SI base units. "
        "A value that is not known is empty and has a reason; it is never 0.",
        "## A figure",
        "Each figure is one row:",
        _table(
            ("field", "type"),
            ((f"`{field.name}`", str(field.type)) for field in dataclasses.fields(Measurement)),
        ),
        "`low` and `high` are the ends of the 95 % interval, `n` the users, repetitions or windows "
        "behind the value. `protocol` is `loo/100-uniform` or the like for quality, "
        "`request/CANDIDATES/batch-SIZE` for what a request costs, and `run` for the rest.",
        "## Figures by name",
        _table(
            ("name", "unit", "meaning"),
            ((f"`{name}`", field.unit, field.meaning) for name, field in FIGURES.items()),
        ),
        "## Documents",
        _table(("name", "holds"), ((f"`{name}`", text) for name, text in DOCUMENTS.items())),
        "## Columns of a run",
        _table(
            ("column", "type"),
            ((f"`{column.name}`", str(column.type).lower()) for column in schema.runs.columns),
        ),
    ]
    return "\n\n".join(parts) + "\n"


def glossary_page() -> str:
    """The words of the pages, and how each kind of figure is measured."""
    words = "\n\n".join(
        f"{word}\n: {meaning}" for word, meaning in sorted(GLOSSARY.items(), key=_alphabetical)
    )
    methods = "\n\n".join(f"{name.capitalize()}\n: {text}" for name, text in METHODS.items())
    return (
        f"# Glossary\n\nThe words of the app, as its side bar explains them.\n\n{words}\n\n"
        f"## How it is measured\n\n{methods}\n"
    )


def _alphabetical(entry: tuple[str, str]) -> str:
    return entry[0].lower()


def families_page() -> str:
    """Every family with what it takes: backbones, ways of training, options with their bounds."""
    parts = [
        "# Families",
        "What `recommender.family` may be. `options` are numbers of one family, given as "
        "`options = { neighbours = 100 }`; one that is left out keeps the family's own value. "
        "Packages add families of their own ([how](../how-to/add-a-family.md)).",
    ]
    for family in families().values():
        facts = [
            ("group", family.group),
            ("backbones", ", ".join(f"`{name}`" for name in family.backbones)),
            ("ways of training", ", ".join(f"`{way}`" for way in family.adaptations)),
            ("reads titles", "yes" if family.reads_text else "no"),
        ]
        parts += [
            f"## `{family.name}`: {family.title}",
            _table(("", ""), ((name, fact) for name, fact in facts if fact)),
        ]
        if family.options:
            parts.append(
                _table(
                    ("option", "meaning", "values"),
                    (
                        (f"`{name}`", option.meaning, _bounds(option))
                        for name, option in family.options.items()
                    ),
                )
            )
    return "\n\n".join(parts) + "\n"


def _bounds(option: Option) -> str:
    if option.whole:
        return f"whole number from {option.low:,} to {option.high:,}"
    return f"number from {option.low:g} to {option.high:g}"


PAGES = {
    "command-line": command_page,
    "families": families_page,
    "study-file": study_page,
    "record": record_page,
    "glossary": glossary_page,
}
