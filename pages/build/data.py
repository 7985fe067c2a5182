"""Data: the data sets on this machine: look, import, versions, delete."""

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from llmrec_core.experiments import formats
from pages.shared import charts, frame, importing, records, widgets

widgets.heading("Data", "What the recommenders learn from and are tested on: sizes, content hash, how it is split.")

names = records.dataset_names()
if not names:
    st.info(
        "No data set is on this machine yet. The default study fetches MovieLens 100k by itself: "
        "`python -m llmrec_core demo`; or fetch it now: `python -m llmrec_core data inspect ml-100k`."
    )
    widgets.link("build/train.py", "Queue a run, which fetches its data")
    importing.form()
    st.stop()

with st.expander("Import your own data", icon=":material/upload:"):
    importing.form()
study = frame.study()
used = next((row.spec.data.name for row in records.rows(study)), names[0]) if study else names[0]
name = st.selectbox(
    "Data set", names, index=names.index(used) if used in names else 0, key="data_name", bind="query-params"
)
data = records.dataset(str(records.settings().home), name, 0.0)
events = data.interactions

widgets.say(data.title, size="large")
widgets.caption(f"{data.source} · content hash {data.content_hash}")
cells = st.columns(4)
cells[0].metric("Users", f"{data.n_users:,}", border=True)
cells[1].metric("Items", f"{data.n_items:,}", border=True)
cells[2].metric("Interactions", f"{len(events):,}", border=True)
cells[3].metric("Filled cells", formats.share(len(events) / data.n_users / data.n_items), border=True)

left, right = st.columns(2)
lengths = events.groupby("user").size()
popular = events.groupby("item").size()
for place, values, title, key in (
    (left, lengths, "interactions per user", "data_users"),
    (right, popular, "interactions per item", "data_items"),
):
    figure = go.Figure(go.Histogram(x=values, nbinsx=40, marker={"color": "#3b6fd4"}))
    figure.update_layout(
        height=260, margin={"l": 10, "r": 10, "t": 20, "b": 10}, xaxis_title=title, yaxis_title="count"
    )
    place.plotly_chart(figure, key=key, config=charts.CONFIG, alt=f"Histogram of {title}")
times = pd.to_datetime(events["timestamp"].dropna(), unit="s")
if len(times):
    widgets.caption(
        f"From {times.min():%d %b %Y} to {times.max():%d %b %Y}; median history {lengths.median():.0f}, "
        f"{(popular <= 10).sum():,} items with at most 10 interactions."
    )

with st.expander("How it is split", icon=":material/call_split:"):
    st.markdown(
        "**loo** – each user's last item is withheld for the test, the one before it for validation; events at the "
        "same second keep the order of the file.\n\n"
        "**time** – one instant for everybody: what came later is the test. Leave-one-out lets other users' later "
        "ratings into training; the time cut does not, so it is the stricter second protocol.\n\n"
        "**loo-cold-items** – as loo, but a tenth of the items has no training at all, and only they are asked for. "
        "**loo-cold-users** – a fifth of the people is not learned from and asked with their last five items.\n\n"
        "**100-uniform** – the withheld item among 99 the user never touched. **full** – among all items."
    )
st.subheader("Items")
search = st.text_input("Search titles", key="data_search", bind="query-params")
items = data.items.loc[data.find_titles(search, 50)] if search else data.items.head(200)
shown = items[["item_id", "title", "genres", "year"]].assign(
    interactions=popular.reindex(items.index).fillna(0).astype(int)
)
widgets.table(shown.rename(columns=str.capitalize), "data_items_list", f"{name}-items.csv", height=300)
importing.versions(name)
