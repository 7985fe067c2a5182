"""This machine: what it is, what it does right now, and whether its meters can be trusted."""

import pandas as pd
import streamlit as st

from llmrec_core.experiments import formats
from llmrec_core.profiling.device import describe, load, nominal_peak
from pages.shared import frame, records, widgets

widgets.heading(
    "This machine", "The device as found, its load right now, and a check of the meters behind every figure."
)

device = describe()
left, right = st.columns(2)
with left, st.container(border=True, height="stretch"):
    st.subheader("Processor")
    st.text(device.cpu)
    st.caption(
        f"{device.cores} cores, {device.threads} threads · {formats.size(device.memory_bytes)} memory · "
        f"{formats.plain(device.system)} · torch {formats.plain(device.torch or 'not installed')}"
    )
with right, st.container(border=True, height="stretch"):
    st.subheader("Graphics processor")
    if device.gpus:
        for gpu in device.gpus:
            st.text(gpu.name)
            memory = formats.size(gpu.memory_bytes) if gpu.memory_bytes else "memory not told"
            limit = f"{gpu.power_limit_w:.0f} W limit" if gpu.power_limit_w else "power limit not told"
            counter = "energy counter" if gpu.energy_counter else "no energy counter"
            st.caption(f"{memory} · {limit} · driver {formats.plain(gpu.driver or 'not told')} · {counter}")
    else:
        st.text(f"no NVIDIA GPU: {device.gpu_reason}")
        st.caption("Runs use the processor. Nothing is missing for that.")
peak = nominal_peak()
sheet = f"{formats.flops(peak.flops_per_s)}/s in fp32" if peak.flops_per_s else "unknown"
widgets.caption(f"Data sheet: at most {sheet}, {peak.how}. Energy: {device.energy}")


@st.fragment(run_every=2.0)
def live() -> None:
    """Load of the processor, the memory and each GPU, as of now."""
    now = load()
    columns = st.columns(4)
    columns[0].metric("CPU load", f"{100 * now.cpu:.0f} %", border=True, height="stretch")
    columns[1].metric(
        "Memory used",
        formats.size(now.memory_used_bytes),
        f"{100 * now.memory_used_bytes / now.memory_bytes:.0f} % of {formats.size(now.memory_bytes)}",
        delta_color="off",
        delta_arrow="off",
        border=True,
    )
    columns[2].metric(
        "Clock", f"{now.clock_hz / 1e9:.2f} GHz" if now.clock_hz else "not told", border=True, height="stretch"
    )
    columns[3].metric(
        "Temperature", f"{now.temperature_c:.0f} °C" if now.temperature_c else "not told", border=True, height="stretch"
    )
    for gpu in now.gpus:
        st.text(gpu.name)
        cells = st.columns(4)
        cells[0].metric(
            "GPU load",
            "not told" if gpu.utilisation is None else f"{100 * gpu.utilisation:.0f} %",
            border=True,
            height="stretch",
        )
        used = "not told" if gpu.memory_used_bytes is None else formats.size(gpu.memory_used_bytes)
        cells[1].metric("GPU memory", used, border=True, height="stretch")
        cells[2].metric(
            "Power", "not told" if gpu.power_w is None else f"{gpu.power_w:.0f} W", border=True, height="stretch"
        )
        cells[3].metric(
            "Temperature",
            "not told" if gpu.temperature_c is None else f"{gpu.temperature_c:.0f} °C",
            border=True,
            height="stretch",
        )
        if gpu.reason:
            st.caption(formats.plain(gpu.reason))
    if not now.gpus:
        st.caption(formats.plain(f"no NVIDIA GPU: {now.gpu_reason}"))


st.subheader("Right now")
live()

st.subheader("Check the meters")
st.caption(
    "The worker measures what is known beforehand: peak arithmetic and memory bandwidth against the data sheet, the "
    "timer against a second clock, the operations of a known product, and one run twice."
)
if st.button("Check the meters", key="machine_check", type="primary", icon=":material/fact_check:"):
    widgets.forget("machine_meters")
    widgets.ask("machine_meters", "meters", {})
answer = widgets.answer("machine_meters", "meters", {})
if answer:
    checks = answer["checks"]
    judged = [check for check in checks if check["ok"] is not None]
    passed = sum(bool(check["ok"]) for check in judged)
    st.badge(f"{passed} of {len(judged)} checks passed", color="green" if passed == len(judged) else "orange")
    widgets.table(
        pd.DataFrame(
            [
                {
                    "Meter": str(check["name"]),
                    "Measured": str(check["measured"]),
                    "Expected": str(check["expected"]),
                    "Result": {True: "passed", False: "outside", None: "nothing to compare with"}[check["ok"]],
                    "Note": str(check.get("note") or ""),
                }
                for check in checks
            ]
        ),
        "machine_checks",
        "meters.csv",
    )

st.subheader("Power, when there is no counter")
st.caption(
    "Type the watts under load into *Price and power* in the side bar: energy is then drawn as assumed on every page."
)
watts = frame.pricing().watts
if watts:
    st.badge(f"assumed: {watts:.0f} W under load", color="orange")
records_here = widgets.conditions(records.rows(frame.study())) if frame.study() else ""
if records_here:
    widgets.caption(f"The chosen study was recorded on: {records_here}")
