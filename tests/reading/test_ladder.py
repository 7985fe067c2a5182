"""A ladder of sizes: their order, their steps, non-inferiority at its edge, and what is refused."""

from __future__ import annotations

import dataclasses
import inspect

import numpy as np
import pytest

from llmrec_core.cli.ladder import ladder as command
from llmrec_core.contract.spec import stored_run
from llmrec_core.errors import UsageError
from llmrec_core.metrics.intervals import Difference, paired_difference
from llmrec_core.reading import ladder_tables, ladder_words
from llmrec_core.reading.groups import grouped
from llmrec_core.reading.ladder import (
    BEST,
    MARGIN,
    OPEN,
    SHOWN,
    WORSE,
    groups,
    has_steps,
    ladder,
    verdict,
    why_not_one,
)
from llmrec_core.reading.people import of_mapping
from tests.reading.rows import PROTOCOL, USERS, make, people

METRIC = "ndcg@10"


def size(depth, *, backbone="minilm-l6", ndcg=0.3, per_s=10.0, p95=0.1, **more):
    """A cross-encoder with so many layers."""
    more = {"adaptation": "full", **more}
    name = f"{backbone} {depth}"
    return make(
        name, "cross-encoder", backbone, ndcg, per_s=per_s, p95=p95, depth=depth, **more
    )  # fmt: skip


def around(level, wobble):
    """People at 0.3 + level, half of them a wobble above it and half below."""
    return people(lambda user: 0.3 + level + (wobble if user % 2 else -wobble))


@pytest.fixture
def rows():
    """4 layers are the best; 2 are 0.01 worse with little doubt, 1 is 0.1 worse, 6 cost most."""
    return [
        size(6, ndcg=0.295, per_s=2.0, p95=0.5),
        size(1, ndcg=0.2, per_s=10.0, p95=0.1),
        size(4, ndcg=0.3, per_s=4.0, p95=0.3),
        size(2, ndcg=0.29, per_s=5.0, p95=0.2),
    ]


@pytest.fixture
def users(rows):
    values = {6: (-0.005, 0.01), 1: (-0.1, 0.01), 4: (0.0, 0.0), 2: (-0.01, 0.01)}
    return {row.run_id: around(*values[row.spec.recommender.depth]) for row in rows}


@pytest.fixture
def measured(rows, users):
    """Of 100 people no interval is narrower than ±0.02, so M has to be wider than that."""
    return ladder(rows, METRIC, PROTOCOL, users, margin=0.05)


def model_of(measured):
    (model,) = measured.models
    return model


def test_sizes_stand_in_the_order_of_their_layers_each_with_its_step(measured, users):
    sizes = model_of(measured).sizes
    assert [one.layers for one in sizes] == [1, 2, 4, 6]
    assert sizes[0].step is None
    assert sizes[0].more_usd is None
    two, four = sizes[1:3]
    assert two.step.mean == pytest.approx(0.09)
    assert four.step.mean == pytest.approx(0.01)
    here, before = (users[one.row.run_id].values[0] for one in (four, two))
    by_hand = paired_difference(here, before)
    assert (four.step.low, four.step.high) == pytest.approx((by_hand.low, by_hand.high))
    # $0.36 an hour, half of it in use: 0.36 ÷ (requests a second · 3600 · 0.5) · 10⁶
    assert two.more_usd == pytest.approx(0.36 / 1800 * 1e6 * (1 / 5 - 1 / 10))
    assert four.more_p95_s == pytest.approx(0.3 - 0.2)


def test_the_smallest_size_is_the_one_whose_interval_stays_above_the_margin(measured):
    model = model_of(measured)
    assert [one.verdict for one in model.sizes] == [WORSE, SHOWN, BEST, SHOWN]
    assert model.smallest.layers == 2
    said = ladder_words.sentence(model, measured)
    assert (
        "minilm-l6: 2 layers is the smallest size that is not worse than its best (4 layers)"
        in said
    )
    assert "by more than 0.05 NDCG@10: -0.010 (-0.031 to +0.012) over 100 people" in said
    assert "at $40.00 in the place of $50.00 per million requests" in said


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (-0.02, 0.01, SHOWN),  # at the edge: not worse by more than 0.02
        (np.nextafter(-0.02, -1), 0.01, OPEN),
        (-0.05, -0.02, OPEN),  # worse by just 0.02 is still possible
        (-0.05, np.nextafter(-0.02, -1), WORSE),
        (-0.05, 0.05, OPEN),  # contains 0, which shows nothing
    ],
)
def test_non_inferiority_at_its_edge(low, high, expected):
    assert verdict(Difference((low + high) / 2, low, high, 0.5, 100, 100), 0.02) == expected
    assert verdict(None, 0.02) == OPEN


def test_the_margin_decides_by_the_lower_end_of_the_paired_interval(rows, users):
    def two_layers(margin):
        measured = ladder(rows, METRIC, PROTOCOL, users, margin=margin)
        return next(one for one in model_of(measured).sizes if one.layers == 2)

    low = two_layers(0.5).against_best.low
    assert two_layers(-low).verdict == SHOWN
    assert two_layers(-low - 1e-9).verdict == OPEN


def test_nothing_is_shown_by_wide_intervals_or_few_people(rows, users):
    unsure = {
        row.run_id: users[row.run_id]
        if row.spec.recommender.depth == 4
        else people(lambda user: 0.3 + (0.3 if user % 2 else -0.3))
        for row in rows
    }
    measured = ladder(rows, METRIC, PROTOCOL, unsure)
    model = model_of(measured)
    assert [one.verdict for one in model.sizes] == [OPEN, OPEN, BEST, OPEN]
    assert not model.concludes
    said = ladder_words.sentence(model, measured)
    assert said.startswith("Not shown for minilm-l6: no size below its best (4 layers)")
    assert "; nearest is 1 layer, " in said
    # 0.02 stands out from people who scatter by 0.3 in (2.8 · 0.3 ÷ 0.02)² = 1,764, and 100 are here
    assert "; about 1,700 more people would settle it." in said
    few = {row.run_id: of_mapping(dict.fromkeys(range(19), 0.3)) for row in rows}
    measured = ladder(rows, METRIC, PROTOCOL, few)
    assert "since fewer than 20 people were asked by both" in ladder_words.sentence(
        model_of(measured), measured
    )
    assert {one.step for one in model_of(measured).sizes} == {None}
    worse = {
        row.run_id: around(0.0 if row.spec.recommender.depth == 4 else -0.2, 0.01) for row in rows
    }
    measured = ladder(rows, METRIC, PROTOCOL, worse)
    assert ": all are shown to be worse by more" in ladder_words.sentence(
        model_of(measured), measured
    )


def test_a_size_in_between_that_is_not_shown_is_named(rows, users):
    ragged = users | {
        "minilm-l6 1": around(-0.01, 0.01),
        "minilm-l6 2": people(lambda user: 0.3 + (0.3 if user % 2 else -0.3)),
    }
    measured = ladder(rows, METRIC, PROTOCOL, ragged, margin=0.05)
    said = ladder_words.sentence(model_of(measured), measured)
    assert "1 layer is the smallest size" in said
    assert "Of 2 layers, between the two, it is not shown" in said


def test_the_smallest_being_the_best_and_a_size_alone(rows, users):
    best = [size(1, ndcg=0.4), *(row for row in rows if row.spec.recommender.depth != 1)]
    measured = ladder(best, METRIC, PROTOCOL, users)
    assert ladder_words.sentence(model_of(measured), measured) == (
        "minilm-l6: the smallest size measured, 1 layer, has the highest NDCG@10."
    )
    measured = ladder(rows[:1], METRIC, PROTOCOL, users)
    assert "so nothing is said about size" in ladder_words.sentence(model_of(measured), measured)
    assert ladder_tables.document(measured, users)["models"][0]["smallest_layers"] is None


def test_across_models_nothing_is_said_about_size(rows, users):
    other = size(0, backbone="gemma3-270m", ndcg=0.4)
    users = users | {other.run_id: around(0.1, 0.01)}
    measured = ladder([*rows, other], METRIC, PROTOCOL, users)
    assert [model.name for model in measured.models] == ["minilm-l6", "gemma3-270m"]
    table = ladder_tables.model_table(measured, users)
    assert table.values("Model") == ["gemma3-270m", "minilm-l6"]
    assert table.values("Layers") == [18, 6]  # each at its largest size
    # 0.3 − 0.005 of six layers against 0.3 + 0.1
    assert table.values("Against the first")[1] == pytest.approx(-0.105)
    assert table.values("Against the first")[0] is None
    body = ladder_tables.document(measured, users)
    assert [line["model"] for line in body["across_models"]] == ["gemma3-270m", "minilm-l6"]
    assert "nothing is said about size" in body["models"][1]["sentence"]
    for name in ("minilm-l6", "gemma3-270m"):  # no verdict crosses from one model to the other
        verdicts = [one.verdict for model in measured.models if model.name == name for one in model.sizes]  # fmt: skip
        assert verdicts.count(BEST) == 1


def test_different_data_protocols_samples_and_people_are_refused(rows, users):
    def of(field, **changed):
        spec = rows[0].spec
        inner = dataclasses.replace(getattr(spec, field), **changed)
        return dataclasses.replace(rows[0], spec=dataclasses.replace(spec, **{field: inner}))

    for odd in (
        of("data", name="shop"),
        of("data", content_hash="0123456789"),
        of("protocol", seed=3),
        of("protocol", users=50),
    ):
        with pytest.raises(UsageError, match=r"Not compared: .* was measured on"):
            ladder([*rows[1:], odd], METRIC, PROTOCOL, users)
    figures = tuple(dataclasses.replace(one, protocol="time/full") for one in rows[0].figures)
    with pytest.raises(UsageError, match=r"measured under loo/100-uniform, .* under time/full"):
        ladder([*rows[1:], dataclasses.replace(rows[0], figures=figures)], METRIC, PROTOCOL, users)
    others = users | {rows[0].run_id: of_mapping(dict.fromkeys(range(1, 101), 0.3))}
    assert "who are not the same" in why_not_one(rows, METRIC, PROTOCOL, others)
    with pytest.raises(
        UsageError, match=r"about 100 people and .* about 100, who are not the same"
    ):
        ladder(rows, METRIC, PROTOCOL, others)
    with pytest.raises(UsageError, match="has no auc"):
        ladder(rows, "auc", PROTOCOL, users)
    with pytest.raises(UsageError, match="No size has been measured"):
        ladder([], METRIC, PROTOCOL, users)
    for margin in (-0.1, 1.1, float("nan")):
        with pytest.raises(UsageError, match="expected a number from 0 to 1"):
            ladder(rows, METRIC, PROTOCOL, users, margin=margin)


def test_only_rows_that_differ_in_size_alone_stand_on_one_ladder(rows):
    lora = [size(depth, adaptation="lora") for depth in (2, 4)]
    shop = dataclasses.replace(
        size(2), spec=dataclasses.replace(size(2).spec, data=dataclasses.replace(size(2).spec.data, name="shop"))
    )  # fmt: skip
    cascade = make("cascade", "cascade", "minilm-l6", depth=2)
    found = groups([*rows, *lora, shop, make("ease"), cascade], METRIC, PROTOCOL)
    assert [len(group) for group in found] == [4, 2, 1]
    assert [has_steps(group) for group in found] == [True, True, False]
    assert groups(rows, METRIC, "time/full") == []


def test_sizes_with_the_weights_of_their_own_sizes_stand_on_one_ladder(rows):
    def packed(depth):
        spec = dataclasses.replace(
            size(depth).spec, name=f"int8 {depth}", precision="int8", weights_from=f"minilm-l6 {depth}"
        )  # fmt: skip
        return dataclasses.replace(size(depth), run_id=f"int8 {depth}", spec=spec)

    found = groups([*rows, packed(2), packed(4)], METRIC, PROTOCOL)
    assert [len(group) for group in found] == [4, 2]


def test_seeds_of_a_size_are_one_size_and_the_interval_covers_them(rows):
    def seeded(depth, seed):
        spec = {**size(depth).spec.to_dict(), "seed": seed, "name": f"minilm-l6 {depth}"}
        return dataclasses.replace(
            size(depth), run_id=f"{depth}/{seed}", spec=stored_run(spec), name=f"d{depth}, seed {seed}"
        )  # fmt: skip

    listed = grouped([seeded(depth, seed) for depth in (2, 4) for seed in (0, 1, 2)])
    assert [len(row.run_ids) for row in listed] == [3, 3]
    users = {
        "2/0": dataclasses.replace(around(0, 0), values=np.stack([np.full(100, level) for level in (0.2, 0.3, 0.4)])),
        "4/0": around(0.0, 0.0),
    }  # fmt: skip
    measured = ladder(listed, METRIC, PROTOCOL, users)
    two = model_of(measured).sizes[0]
    step = model_of(measured).sizes[1].step
    assert step.high - step.low > 0.1  # three seeds 0.1 apart; each person alone differs by nothing
    assert len(two.row.run_ids) == 3
    assert not any("one seed" in note for note in ladder_words.notes(measured))


def test_other_files_under_one_name_are_another_model(rows, users):
    spec = rows[0].spec
    chosen = dataclasses.replace(spec.recommender, backbone_hash="abcdef0123")
    odd = dataclasses.replace(rows[0], spec=dataclasses.replace(spec, recommender=chosen))
    measured = ladder([odd, *rows[1:]], METRIC, PROTOCOL, users)
    assert [model.name for model in measured.models] == ["minilm-l6 (abcdef01)", "minilm-l6 ()"]


def test_a_folder_is_called_by_its_own_name(rows, users):
    def names(*backbones):
        listed = [size(2, backbone=name) for name in backbones]
        same = {row.run_id: users["minilm-l6 4"] for row in listed}
        return [model.name for model in ladder(listed, METRIC, PROTOCOL, same).models]

    assert names("/models/tiny", "~/mine", "owner/name") == ["tiny", "mine", "owner/name"]


def test_costs_of_two_machines_make_no_step(rows, users):
    elsewhere = dataclasses.replace(
        rows[2], documents={**rows[2].documents, "device": {"name": "CPU B"}}
    )
    measured = ladder([*rows[:2], elsewhere, rows[3]], METRIC, PROTOCOL, users)
    four, six = model_of(measured).sizes[2:]
    assert (four.more_usd, four.more_p95_s, six.more_usd) == (None, None, None)
    assert four.step is not None
    assert any("several machines" in note for note in ladder_words.notes(measured))


def test_noisy_timing_is_named_and_small_steps_keep_their_digits(rows, users):
    noisy = dataclasses.replace(
        rows[1], documents={**rows[1].documents, "windows": [{"noisy": True}]}
    )
    cheap = size(2, per_s=2e5)
    measured = ladder([noisy, cheap], METRIC, PROTOCOL, users)
    assert any(note.endswith("say little: minilm-l6 1.") for note in ladder_words.notes(measured))
    line = ladder_tables.short_lines(measured)[1]
    # $0.36 an hour, half used: 200 ÷ 200,000 for a million requests, and 200 ÷ 10 before
    assert (line[4], line[5]) == ("$0.001", "-$20.00")


def test_all_layers_are_counted_where_they_are_known(rows, users):
    def layers(row):
        return [one.layers for one in model_of(ladder([row], METRIC, PROTOCOL, {row.run_id: users["minilm-l6 4"]})).sizes]  # fmt: skip

    assert layers(size(0)) == [6]
    assert layers(size(0, backbone="smollm2-135m")) == [30]
    own = size(0, backbone="/models/bert")  # never taken for the catalogue's bert
    assert layers(own) == [None]
    noted = dataclasses.replace(own, documents={**own.documents, "model": {"layers": 5}})
    assert layers(noted) == [5]
    both = {row.run_id: users["minilm-l6 4"] for row in (own, size(3, backbone="/models/bert"))}
    table = ladder_tables.size_table(
        ladder([own, size(3, backbone="/models/bert")], METRIC, PROTOCOL, both)
    )
    assert table.values("Layers") == [3, None]  # unknown comes last


def test_every_way_of_telling_has_the_same_sizes(measured, users):
    table = ladder_tables.size_table(measured)
    lines = ladder_tables.short_lines(measured)
    body = ladder_tables.document(measured, users)
    assert table.values("Layers") == [1, 2, 4, 6]
    assert [line[1] for line in lines] == ["1", "2", "4", "6"]
    assert {len(line) for line in lines} == {len(ladder_tables.SHORT)}
    assert lines[1][-1] == "shown"
    assert lines[2][5] == "+$10.00"
    (model,) = body["models"]
    assert [one["layers"] for one in model["sizes"]] == [1, 2, 4, 6]
    assert (model["best_layers"], model["smallest_layers"]) == (4, 2)
    assert body["margin"] == 0.05
    assert any("one seed" in note for note in body["notes"])


def test_the_command_has_the_same_margin():
    assert inspect.signature(command).parameters["margin"].default == MARGIN
    assert len(USERS) == 100
