"""Start: does the language model pay? The answer first, then offers and the price of a hit."""

import streamlit as st

from llmrec_core.checks import few_labels
from llmrec_core.language import t
from llmrec_core.reading import clear_order, number_format, verdict
from llmrec_core.reading.offers import Card
from llmrec_core.reading.pays import Pair
from llmrec_core.reading.turns import new_item_protocols
from pages.answer import first_steps, start_chart
from pages.shared import charts, data_doubts, frame, needs, progress, records, widgets

study = frame.study()
widgets.heading(
    t("Does the language model pay?"),
    t("One sentence for your traffic and limits, and what to do next."),
    study,
)
if study is None:
    first_steps.draw()
    st.stop()

rows = records.compared(study)
protocol = widgets.protocol_picker(rows, "start_protocol", hidden=True)
if protocol is None:
    progress.running(study)
    first_steps.draw()
    widgets.empty(
        t("No run of this study has finished yet. The verdict appears with the first one."),
        page="build/runs.py",
        label=t("Watch the runs"),
    )

ITEM = verdict.noun(rows[0].spec.data.name)
# the answer stands above the fields that it needs, so its place is taken before it is known
answer_place, needs_place = st.container(border=True), st.container(border=True)
with needs_place:
    traffic = needs.traffic()
    untied = data_doubts.switched_off_ties(rows, protocol, "start_untied")
if untied:
    rows = clear_order.without_tied(rows)
finding = verdict.judge(
    rows,
    "ndcg@10",
    protocol,
    records.per_user(study, rows, "ndcg@10", protocol, untied=untied),
    records.per_user(study, rows, "recall@10", protocol, untied=untied),
    traffic,
    frame.pricing(),
    {
        name: records.per_user(study, rows, "ndcg@10", name, untied=untied)
        for name in new_item_protocols(rows)
    },
)


def draw(pair: Pair) -> None:
    """What separates the two that are compared, for somebody who knows no metric."""
    figure = start_chart.figure(pair, ITEM)
    if figure is None:
        return
    st.plotly_chart(figure, key="start_chart", config=charts.CONFIG, alt=start_chart.alt(pair))
    widgets.caption(start_chart.caption(pair))


with answer_place:
    widgets.say(finding.headline, size="large")
    widgets.say(finding.sentence)
    if finding.ahead:
        widgets.say(finding.ahead)
    few = few_labels.sentence(records.label_curves().values(), rows[0].spec.data.name)
    if few:
        widgets.say(few)
    else:
        widgets.caption(
            t("Few labels: not measured here; Labels on the page Quality measures them.")
        )
    widgets.say(finding.tried)
    if finding.pair is not None:
        draw(finding.pair)
    for line in (finding.exact, finding.sure, finding.protocol, finding.silent):
        if line:
            widgets.caption(line)
data_doubts.beside(rows)


def offer(card: Card) -> None:
    """One offer: who is served, how fast, for how much."""
    st.caption(number_format.plain(card.title))
    widgets.say(card.row.name, size="large")
    hits = card.hits
    interval = (
        None
        if hits.low is None
        else t(
            "95 % interval {low:.0f} to {high:.0f}, {n} users",
            low=hits.low,
            high=hits.high,
            n=hits.n,
        )
    )
    st.metric(
        t("Hits"),
        "–" if hits.value is None else t("{value:.0f} of 100 users", value=hits.value),
        help=interval,
    )
    if card.candidates == "full":
        st.caption(t("have their withheld {item} in the top ten of all candidates", item=ITEM))
    else:
        st.caption(
            t(
                "have their withheld {item} in the top ten of {count} candidates",
                item=ITEM,
                count=card.candidates,
            )
        )
    latency, price = st.columns(2)
    for place, label, figure in (
        (latency, t("p95 latency"), card.p95),
        (price, t("$ per month"), card.usd_per_month),
    ):
        measured = figure.value is not None
        place.metric(label, number_format.figure(figure) if measured else "–")
        if not measured:
            widgets.caption(f"{label}: {number_format.figure(figure)}")
    widgets.caption(card.note)


if finding.choice.row is None:
    widgets.say(f"{finding.choice.sentence} {finding.choice.why_not}")
for column, card in zip(st.columns(len(finding.cards) or 1), finding.cards, strict=False):
    with column, st.container(border=True, height="stretch"):
        offer(card)

hit_column, turn_column = st.columns(2)
with hit_column, st.container(border=True, height="stretch"):
    st.header(t("What an extra hit costs"))
    widgets.say(
        finding.extra_hit
        or t("Unknown until a language model and a classical recommender have finished.")
    )
    if finding.break_even:
        widgets.say(finding.break_even)
with turn_column, st.container(border=True, height="stretch"):
    st.header(t("Where the picture turns"))
    for sentence in finding.turns:
        widgets.say(sentence)
    if not finding.turns and untied:
        st.write(t("Slices are measured of everybody; switch the tied people on to read them."))
    elif not finding.turns:
        st.write(t("No slices have been measured yet."))
widgets.caption(
    t(
        "Bills are of whole machines with a spare, at {protocol}. {conditions}",
        protocol=protocol,
        conditions=widgets.conditions(rows),
    )
)
widgets.method_card("quality", "latency", "price")

running, following = st.columns(2)
with running:
    st.header(t("What is running"))
    progress.running(study)
with following:
    st.header(t("What next"))
    widgets.link("answer/decide.py", t("Set limits and see every trade-off"))
    widgets.link("answer/plan.py", t("Turn your traffic into devices and dollars a month"))
    widgets.link("recommendations/side_by_side.py", t("Look at the lists side by side"))
    widgets.link("build/train.py", t("Measure a model of your own"))
    widgets.link("answer/report.py", t("Send the report to somebody"))
first_steps.draw()
