"""What is to be said of a family of recommenders, once, for specs, pages, charts and checks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from llmrec_core.contract.parsing import near_name
from llmrec_core.errors import UsageError
from llmrec_core.language import marked, t

if TYPE_CHECKING:
    from llmrec_core.contract.spec import RecommenderSpec

Group = Literal[
    "cheap",
    "fusion",
    "sequential",
    "two towers",
    "cross-encoder",
    "decoder",
    "cascade",
    "hosted",
]
"""Families of one group are built, served and checked alike. `cheap` families are fitted in
seconds from counts, words or factors, so that a run can repeat the fit to check itself."""
Adaptation = Literal["none", "head", "lora", "full"]
ADAPTATION_LABELS: dict[Adaptation, str] = {
    "none": marked("not trained"),
    "head": marked("head only"),
    "lora": marked("LoRA"),
    "full": marked("all weights"),
}


@dataclass(frozen=True)
class Option:
    """A number that `recommender.options` may give to one family."""

    meaning: str
    """A marked sentence for the reference, with the family's own value when it is left out."""
    low: float
    high: float
    whole: bool = False

    def check(self, name: str, value: float) -> None:
        """Refuse a value out of bounds, or one with a fraction where only whole ones make sense.

        Args:
            name: of the option, for the refusal.
            value: what was given for it.

        Raises:
            UsageError: naming the option and its bounds.
        """
        if self.low <= value <= self.high and (not self.whole or float(value).is_integer()):
            return
        expected = (
            t("a whole number from {low:,} to {high:,}", low=self.low, high=self.high)
            if self.whole
            else t("a number from {low:g} to {high:,g}", low=self.low, high=self.high)
        )
        raise UsageError(
            t(
                "recommender.options.{name} is {value!r}; expected {expected}",
                name=name,
                value=value,
                expected=expected,
            )
        )


@dataclass(frozen=True)
class Family:
    """One family of recommenders."""

    name: str
    """What specs call it."""
    label: str
    """What people read: a marked sentence."""
    group: Group
    loader: str
    """`module:Class` of a `contract.recommender.FamilyClass`, imported when it is needed."""
    options: Mapping[str, Option] = field(default_factory=dict)
    reads_text: bool = False
    """A title can move its scores."""
    reads_relations: bool = False
    """The text that it reads of an item may go on with `recommender.relations`."""
    reads_prompt: bool = False
    """Its backbone reads a prompt at every request, in any precision and runtime; other backbones
    only look up what was encoded before."""
    backbones: tuple[str, ...] = ()
    """Backbones that suit it, the usual one first; empty for families without one."""
    adaptations: tuple[Adaptation, ...] = ("none",)
    """Ways of training it, the usual one first."""
    has_teacher: bool = False
    """`weights_from` names the run whose lists it learns from, and its weights are its own."""
    depths: tuple[int, ...] = (0,)
    """Numbers of layers worth comparing; 0 is all of them."""
    usual: Mapping[str, Any] = field(default_factory=dict)
    """Settings of `recommender` in a run as small as it is of use."""
    suited: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Settings of `training` that learn on ml-100k, by adaptation."""

    @property
    def title(self) -> str:
        """The label in the reader's language."""
        return t(self.label)

    @property
    def is_trained(self) -> bool:
        """Whether `training` can change it."""
        return self.adaptations != ("none",)

    @property
    def fits_in_seconds(self) -> bool:
        """Whether a check may fit it again."""
        return self.group in ("cheap", "fusion")

    def check(self, spec: RecommenderSpec) -> None:
        """Refuse options that the family does not have or that are out of its bounds.

        Raises:
            UsageError: naming the option, and the near name or all of them.
        """
        for name, value in spec.options.items():
            if name not in self.options:
                raise UsageError(
                    t(
                        "recommender.options has {name!r}, which {family!r} does not have; "
                        "expected one of {names}.{hint}",
                        name=name,
                        family=self.name,
                        names=", ".join(self.options) or t("none at all"),
                        hint=near_name(name, self.options),
                    )
                )
            self.options[name].check(name, value)
