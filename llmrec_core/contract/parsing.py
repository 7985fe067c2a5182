"""What comes from outside is parsed once: frozen, bounded dataclasses, refused in sentences.

A kind is declared with `@parsed`, its fields with the types `Whole`, `Number`, `Text` and `Flag`
and pydantic's `Field(ge=…, le=…)`. `parse` makes one from a table that a file, a request or the
ledger brought. Making one in code, or with `dataclasses.replace`, is checked in the same way.
"""

from __future__ import annotations

import dataclasses
import re
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import is_dataclass
from difflib import get_close_matches
from typing import (
    Annotated,
    Any,
    TypeVar,
    Union,
    cast,
    dataclass_transform,
    get_args,
    get_origin,
    get_type_hints,
)

from pydantic import ConfigDict, Strict, TypeAdapter, ValidationError, WrapValidator
from pydantic.dataclasses import dataclass as pydantic_dataclass
from pydantic_core import ErrorDetails

from llmrec_core.errors import UsageError
from llmrec_core.language import t

_Kind = TypeVar("_Kind")
_CONFIG = ConfigDict(extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)
_UNKNOWN_FIELD = ("unexpected_keyword_argument", "extra_forbidden")
_MISSING_FIELD = ("missing", "missing_argument")
_ADAPTERS: dict[type[Any], TypeAdapter[Any]] = {}


def _as_written(value: object, check: Callable[[object], object]) -> object:
    check(value)
    return value


Whole = Annotated[int, Strict()]
"""A whole number: 3, but not 3.0, "3" or true."""
Number = Annotated[float, Strict(), WrapValidator(_as_written)]
"""A finite number. 1 does not become 1.0, since a spec's hash is of what was written."""
Text = Annotated[str, Strict()]
Flag = Annotated[bool, Strict()]


@dataclass_transform(frozen_default=True, field_specifiers=(dataclasses.field,))
def parsed(kind: type[_Kind]) -> type[_Kind]:
    """Make a frozen dataclass of `kind` that checks its fields and refuses with a `UsageError`.

    Args:
        kind: a class with annotated fields, and `__post_init__` for what contradicts.
    """
    checked: Any = pydantic_dataclass(frozen=True, config=_CONFIG)(kind)
    check = checked.__init__

    def init(self: _Kind, *values: object, **named: object) -> None:
        try:
            check(self, *values, **named)
        except ValidationError as error:
            raise _refusal(error, checked, "") from None

    checked.__init__ = init
    return checked  # type: ignore[no-any-return]  # it is typed for use as a decorator alone


def parse(kind: type[_Kind], table: object, where: str = "") -> _Kind:
    """The `kind` that a table describes.

    Args:
        kind: a class declared with `@parsed`.
        table: fields by name; tables in it are kinds in their turn.
        where: what a refusal names before the field, e.g. the file.

    Raises:
        UsageError: for an unknown field, a value of another type or out of its bounds, or a
            contradiction; it names the field, what came in and what was expected.
    """
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    try:
        return cast(_Kind, _ADAPTERS[kind].validate_python(table))
    except ValidationError as error:
        raise _refusal(error, kind, where) from None


def restored(kind: type[_Kind], table: Mapping[str, Any]) -> _Kind:
    """The `kind` that was checked before it was stored.

    Nothing is checked again, so that a record reads the same after bounds have moved, or without
    the package that brought its family. A field that the record lacks keeps its default.

    Args:
        kind: a class declared with `@parsed`, every field of which has a default.
        table: fields by name, as `dataclasses.asdict` wrote them.
    """
    record = object.__new__(kind)
    usual = kind()
    for name, hint in get_type_hints(kind).items():
        value = table.get(name, getattr(usual, name))
        if isinstance(hint, type) and is_dataclass(hint) and isinstance(value, Mapping):
            value = restored(hint, value)
        object.__setattr__(record, name, value)
    return record


def near_name(name: str, names: Iterable[str]) -> str:
    """A hint that starts with a space, or nothing.

    Args:
        name: what somebody wrote.
        names: what could be meant.

    >>> near_name("eas", ["ease", "bm25"])
    " Did you mean 'ease'?"
    """
    close = get_close_matches(name, list(names), n=1)
    return t(" Did you mean {near!r}?", near=close[0]) if close else ""


def _refusal(error: ValidationError, kind: type[Any], where: str) -> UsageError:
    """The first fault that pydantic saw, as a sentence; an unknown field explains the others."""
    faults = error.errors(include_url=False)
    fault = next((fault for fault in faults if fault["type"] in _UNKNOWN_FIELD), faults[0])
    sentence = _sentence(fault, kind)
    return UsageError(
        t("{where}: {sentence}", where=where, sentence=sentence) if where else sentence
    )


def _sentence(fault: ErrorDetails, kind: type[Any]) -> str:
    place = ".".join(str(part) for part in fault["loc"])
    if fault["type"] in _UNKNOWN_FIELD:
        return _unknown_field(fault, kind)
    if fault["type"] in _MISSING_FIELD:
        return t("{place} is missing", place=place)
    own = fault["ctx"]["error"] if fault["type"] == "value_error" else None
    if isinstance(own, UsageError):
        return str(own)
    expected = str(own) if own is not None else _expected(fault)
    if not place:
        return t("it is {value!r}; expected {expected}", value=fault["input"], expected=expected)
    return t(
        "{place} is {value!r}; expected {expected}",
        place=place,
        value=fault["input"],
        expected=expected,
    )


def _unknown_field(fault: ErrorDetails, kind: type[Any]) -> str:
    *parents, name = (str(part) for part in fault["loc"])
    fields = sorted(field.name for field in dataclasses.fields(_kind_at(kind, parents)))
    return t(
        "unknown field {place!r}.{hint}",
        place=".".join((*parents, name)),
        hint=near_name(name, fields) or t(" Expected one of {names}.", names=", ".join(fields)),
    )


def _kind_at(kind: type[Any], parents: Sequence[str]) -> type[Any]:
    """The kind of the table that stands at this path of field names."""
    for name in parents:
        hint = get_type_hints(kind).get(name)
        options = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
        kind = next(
            (option for option in options if isinstance(option, type) and is_dataclass(option)),
            kind,
        )
    return kind


def _expected(fault: ErrorDetails) -> str:
    """What pydantic expected, in our words."""
    context: Mapping[str, Any] = fault.get("ctx", {})
    if fault["type"] == "literal_error":
        allowed = re.findall(r"'([^']*)'", context["expected"])
        hint = near_name(str(fault["input"]), allowed)
        return t("one of {names}.{hint}", names=", ".join(allowed), hint=hint)
    if "ge" in context:
        return t("at least {bound:,}", bound=context["ge"])
    if "gt" in context:
        return t("a number above {bound:,}", bound=context["gt"])
    if "le" in context:
        return t("at most {bound:,}", bound=context["le"])
    if "lt" in context:
        return t("a number below {bound:,}", bound=context["lt"])
    if "min_length" in context:
        return t("at least {count:,} of them", count=context["min_length"])
    if "max_length" in context:
        return t("at most {count:,} of them", count=context["max_length"])
    kinds = {
        "int": t("a whole number"),
        "float": t("a number"),
        "finite": t("a finite number"),
        "bool": t("true or false"),
        "string": t("text"),
        "tuple": t("a list"),
        "dict": t("a table"),
        "dataclass": t("a table"),
    }
    return kinds.get(fault["type"].split("_")[0], fault["msg"])
