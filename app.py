"""The frame of the app: page config, navigation, shared sidebar. Run with `streamlit run app.py`."""

from pathlib import Path

import streamlit as st

from pages.shared import frame

PAGES = Path(__file__).parent / "pages"

# section → (file, title, icon, address)
MAP = {
    "Answer": (
        ("answer/start.py", "Start", "home", "start"),
        ("answer/decide.py", "Decide", "balance", "decide"),
        ("answer/plan.py", "Plan", "calculate", "plan"),
        ("answer/report.py", "Report", "description", "report"),
    ),
    "Recommendations": (
        ("recommendations/side_by_side.py", "Side by side", "view_column", "side-by-side"),
        ("recommendations/why_this_item.py", "Why this item", "help", "why-this-item"),
        ("recommendations/what_drives.py", "What drives the model", "insights", "what-drives-the-model"),
    ),
    "Measure": (
        ("measure/quality.py", "Quality", "grade", "quality"),
        ("measure/profile.py", "Profile", "speed", "profile"),
        ("measure/this_machine.py", "This machine", "memory", "this-machine"),
        ("measure/other_hardware.py", "Other hardware", "dns", "other-hardware"),
    ),
    "Build": (
        ("build/data.py", "Data", "database", "data"),
        ("build/train.py", "Train", "model_training", "train"),
        ("build/runs.py", "Runs", "list_alt", "runs"),
    ),
}

# A file, set before the navigation: a page's material icon as favicon would be fetched from a font server.
st.set_page_config(page_icon=str(PAGES.parent / "assets" / "icon.png"), layout="wide")
sections = {
    section: [
        st.Page(PAGES / file, title=title, icon=f":material/{icon}:", url_path=address, default=address == "start")
        for file, title, icon, address in pages
        if (PAGES / file).exists()
    ]
    for section, pages in MAP.items()
}
page = st.navigation(sections, expanded=True)
st.set_page_config(f"{page.title} – LLMRec Studio")
with frame.sentences():
    frame.draw()
    page.run()
