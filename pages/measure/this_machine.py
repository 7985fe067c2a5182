"""This machine: what it is, what it does right now, and whether its meters can be trusted."""

import pandas as pd
import streamlit as st

from llmrec_core.language import t
from llmrec_core.profiling.device import describe, nominal_peak
from llmrec_core.profiling.live_load import load
from llmrec_core.reading import number_format
from llmrec_core.retelling import retold
from pages.shared import frame, records, tables, widgets

widgets.heading(
    t("This machine"),
    t("The device as found, its load right now, and a check of the meters behind every figure."),
)

device = describe()
left, right = st.columns(2)
with left, st.container(border=True, height="stretch"):
    st.header(t("Processor"))
    st.text(device.cpu)
    st.caption(
        t(
            "{cores} cores, {threads} threads · {memory_bytes} memory · {system} · torch {plain}",
            cores=device.cores,
            threads=device.threads,
            memory_bytes=number_format.size(device.memory_bytes),
            system=number_format.plain(device.system),
            plain=number_format.plain(device.torch or t("not installed")),
        )
    )
with right, st.container(border=True, height="stretch"):
    st.header(t("Graphics processor"))
    if device.gpus:
        for gpu in device.gpus:
            st.text(gpu.name)
            memory = (
                number_format.size(gpu.memory_bytes) if gpu.memory_bytes else t("memory not told")
            )
            limit = (
                t("{power_w:.0f} W limit", power_w=gpu.power_limit_w)
                if gpu.power_limit_w
                else t("power limit unknown")
            )
            counter = t("energy counter") if gpu.energy_counter else t("no energy counter")
            driver = t("driver {version}", version=gpu.driver or t("unknown"))
            st.caption(number_format.plain(f"{memory} · {limit} · {driver} · {counter}"))
    else:
        st.text(t("no NVIDIA GPU: {reason}", reason=device.gpu_reason))
        st.caption(t("Runs use the processor. Nothing is missing for that."))
peak = nominal_peak()
sheet = (
    t("{flops}/s in fp32", flops=number_format.flops(peak.flops_per_s))
    if peak.flops_per_s
    else t("unknown")
)
widgets.caption(
    t(
        "Data sheet: at most {sheet}, {how}. Energy: {energy}",
        sheet=sheet,
        how=peak.how,
        energy=device.energy,
    )
)


@st.fragment(run_every=2.0)
def live() -> None:
    """Load of the processor, the memory and each GPU, as of now."""
    now = load()
    columns = st.columns(4)
    columns[0].metric(t("CPU load"), f"{100 * now.cpu:.0f} %", border=True, height="stretch")
    columns[1].metric(
        t("Memory used"),
        number_format.size(now.memory_used_bytes),
        t(
            "{share:.0f} % of {memory}",
            share=100 * now.memory_used_bytes / now.memory_bytes,
            memory=number_format.size(now.memory_bytes),
        ),
        delta_color="off",
        delta_arrow="off",
        border=True,
    )
    columns[2].metric(
        t("Clock"),
        f"{now.clock_hz / 1e9:.2f} GHz" if now.clock_hz else t("not told"),
        border=True,
        height="stretch",
    )
    columns[3].metric(
        t("Temperature"),
        f"{now.temperature_c:.0f} °C" if now.temperature_c else t("not told"),
        border=True,
        height="stretch",
    )
    for gpu in now.gpus:
        st.text(gpu.name)
        cells = st.columns(4)
        cells[0].metric(
            t("GPU load"),
            t("not told") if gpu.utilisation is None else f"{100 * gpu.utilisation:.0f} %",
            border=True,
            height="stretch",
        )
        used = (
            t("not told")
            if gpu.memory_used_bytes is None
            else number_format.size(gpu.memory_used_bytes)
        )
        cells[1].metric(t("GPU memory"), used, border=True, height="stretch")
        cells[2].metric(
            t("Power"),
            t("not told") if gpu.power_w is None else f"{gpu.power_w:.0f} W",
            border=True,
            height="stretch",
        )
        cells[3].metric(
            t("Temperature"),
            t("not told") if gpu.temperature_c is None else f"{gpu.temperature_c:.0f} °C",
            border=True,
            height="stretch",
        )
        if gpu.reason:
            st.caption(number_format.plain(gpu.reason))
    if not now.gpus:
        st.caption(number_format.plain(t("no NVIDIA GPU: {gpu_reason}", gpu_reason=now.gpu_reason)))


st.header(t("Right now"))
live()

st.header(t("Check the meters"))
st.caption(
    t(
        "The worker measures what is known beforehand: peak arithmetic and memory "
        "bandwidth against the data sheet, the timer against a second clock, the "
        "operations of a known product, and one run twice."
    )
)
if st.button(
    t("Check the meters"), key="machine_check", type="primary", icon=":material/fact_check:"
):
    widgets.forget("machine_meters")
    widgets.ask("machine_meters", "meters", {})
answer = widgets.answer("machine_meters", "meters", {})
if answer:
    checks = answer["checks"]
    judged = [check for check in checks if check["ok"] is not None]
    passed = sum(bool(check["ok"]) for check in judged)
    st.badge(
        t("{passed} of {n_judged} checks passed", passed=passed, n_judged=len(judged)),
        color="green" if passed == len(judged) else "orange",
    )
    tables.table(
        pd.DataFrame(
            [
                {
                    t("Meter"): retold(str(check["name"])),
                    t("Seen"): t(
                        "{measured}; expected: {expected}",
                        measured=retold(str(check["measured"])),
                        expected=retold(str(check["expected"])),
                    ),
                    t("Result"): {
                        True: t("passed"),
                        False: t("outside the expected range"),
                        None: t("nothing to compare with"),
                    }[check["ok"]],
                    t("Note"): retold(str(check.get("note") or "")),
                }
                for check in checks
            ]
        ),
        "machine_checks",
        "meters.csv",
    )

st.header(t("Power, when there is no counter"))
st.caption(
    t(
        "Type the watts under load into *Price and power* in the side bar: energy is "
        "then drawn as assumed on every page."
    )
)
watts = frame.pricing().watts
if watts:
    st.badge(t("assumed: {watts:.0f} W under load", watts=watts), color="orange")
study = frame.study()
records_here = widgets.conditions(records.rows(study)) if study is not None else ""
if records_here:
    widgets.caption(
        t("The chosen study was recorded on: {records_here}", records_here=records_here)
    )
