"""Where labels are few: whether a language model leads, by stored label curves."""

from llmrec_core.checks.few_labels import LANGUAGE, sentence
from llmrec_core.checks.label_methods import METHODS, TITLES


def row(method, labels, value, low, high):
    return {"method": method, "labels": labels, "value": value, "low": low, "high": high}


def curve(*rows, data="shop"):
    return {"plan": {"data": data}, "rows": list(rows)}


def test_methods_with_a_backbone_are_language_models():
    assert {TITLES[name] for name in ("frozen", "head", "lora", "full")} == LANGUAGE
    assert TITLES["fusion"] not in LANGUAGE
    assert set(TITLES) < set(METHODS)


def test_the_numbers_of_labels_with_a_lead_are_named():
    lora = TITLES["lora"]
    body = curve(
        row(lora, 300, 0.3, 0.25, 0.35),
        row("Item-kNN", 300, 0.1, 0.05, 0.2),
        row("Popularity", 300, 0.05, 0.01, 0.4),
        row(lora, 1000, 0.3, 0.25, 0.35),
        row("Item-kNN", 1000, 0.2, 0.15, 0.26),
    )
    assert sentence([body], "shop@2") == (
        "With few labels a language model leads (of 300): MiniLM, LoRA makes 0.300 where Item-kNN "
        "makes 0.100."
    )


def test_overlapping_intervals_are_no_lead():
    body = curve(row(TITLES["full"], 300, 0.3, 0.1, 0.5), row("EASE", 300, 0.2, 0.15, 0.26))
    assert sentence([body], "shop").startswith("With few labels no language model leads: of 300,")


def test_rows_of_curves_under_other_conditions_are_not_compared():
    mine = curve(row(TITLES["full"], 300, 0.9, 0.8, 1), row("EASE", 300, 0.95, 0.94, 0.96))
    theirs = curve(row("EASE", 300, 0.1, 0.0, 0.2))
    said = sentence([theirs, mine], "shop")
    assert said.startswith("With few labels no language model leads: of 300,")
    assert sentence([theirs, curve(row(TITLES["full"], 300, 0.9, 0.8, 1))], "shop") == ""


def test_nothing_is_said_of_other_data_or_of_one_side_alone():
    one = curve(row(TITLES["full"], 300, 0.3, 0.1, 0.5))
    other = curve(row(TITLES["full"], 300, 0.9, 0.8, 1), row("EASE", 300, 0, 0, 0.1), data="films")
    assert sentence([one, other], "shop") == ""
