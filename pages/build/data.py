"""Data: the data sets on this machine: look, import, versions, delete."""

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from llmrec_core.language import t
from llmrec_core.reading import number_format
from llmrec_core.reading.chart_symbols import SERIES
from llmrec_core.reading.table import from_frame
from pages.build import data_versions, fetch_form, import_form
from pages.shared import address, charts, data_doubts, frame, records, tables, widgets

MOST_ITEMS, MOST_FOUND = 200, 50
widgets.heading(
    t("Data"),
    t("What the recommenders learn from and are tested on: sizes, content hash, how it is split."),
)

names = records.dataset_names()
if not names:
    fetch_form.show()
    widgets.link("build/train.py", t("Queue a run, which fetches its data"))
    import_form.form()
    st.stop()

with st.expander(
    t("Import your own data"), icon=":material/upload:", expanded=import_form.is_open()
):
    import_form.form()
study = frame.study()
used = next((row.spec.data.name for row in records.rows(study)), names[0]) if study else names[0]
name = address.choose(
    st.selectbox,
    t("Data set"),
    {name: name for name in names},
    "data_name",
    default=used if used in names else names[0],
)
data = records.dataset(name)
events = data.interactions

widgets.say(data.title, size="large")
widgets.caption(
    t("{source} · content hash {content_hash}", source=data.source, content_hash=data.content_hash)
)
cells = st.columns(4)
cells[0].metric(t("Users"), f"{data.n_users:,}", border=True)
cells[1].metric(t("Items"), f"{data.n_items:,}", border=True)
cells[2].metric(t("Interactions"), f"{len(events):,}", border=True)
cells[3].metric(
    t("Filled cells"), number_format.share(len(events) / data.n_users / data.n_items), border=True
)

left, right = st.columns(2)
lengths = events.groupby("user").size()
popular = events.groupby("item").size()
for place, values, title, key in (
    (left, lengths, t("interactions per user"), "data_users"),
    (right, popular, t("interactions per item"), "data_items"),
):
    figure = go.Figure(go.Histogram(x=values, nbinsx=40, marker={"color": SERIES[0]}))
    figure.update_layout(
        height=260,
        margin={"l": 10, "r": 10, "t": 20, "b": 10},
        xaxis_title=title,
        yaxis_title=t("count"),
    )
    place.plotly_chart(
        figure, key=key, config=charts.CONFIG, alt=t("Histogram of {title}", title=title)
    )
times = pd.to_datetime(events["timestamp"].dropna(), unit="s")
if len(times):
    widgets.caption(
        t(
            "From {min:%d %b %Y} to {max:%d %b %Y}; median history {median:.0f}, {value:,} "
            "items with at most 10 interactions.",
            min=times.min(),
            max=times.max(),
            median=lengths.median(),
            value=(popular <= 10).sum(),
        )
    )

with st.expander(t("How it is split"), icon=":material/call_split:"):
    st.markdown(
        t(
            "**loo** – each user's last item is withheld for the test, the one before it "
            "for validation; events at the same second keep the order of the file.\n\n"
            "**time** – one instant for everybody: what came later is the test. "
            "Leave-one-out lets other users' later ratings into training; the time cut "
            "does not, so it is the stricter second protocol.\n\n**loo-cold-items** – as "
            "loo, but a tenth of the items has no training at all, and only they are asked "
            "for. **loo-cold-users** – a fifth of the people is not learned from and asked "
            "with their last five items.\n\n**100-uniform** – the withheld item among 99 the "
            "user never touched. **full** – among all items."
        )
    )
data_doubts.section(data)
st.header(t("Items"))
search = st.text_input(t("Search titles"), key="data_search", bind="query-params")
found = data.items.loc[data.find_titles(search, data.n_items)] if search else data.items
items = found.head(MOST_FOUND if search else MOST_ITEMS)
shown = pd.DataFrame(
    {
        t("Item"): items["item_id"],
        t("Title"): items["title"],
        t("Category"): items["genres"],
        t("Year"): ["" if pd.isna(year) else f"{year:.0f}" for year in items["year"]],
        t("Interactions"): popular.reindex(items.index).fillna(0).astype(int),
    }
)
shows = {t("Year"): number_format.year}
tables.table(from_frame(shown, shows), "data_items_list", f"{name}-items.csv", height=300)
widgets.caption_part(len(items), len(found))
data_versions.show(name)
