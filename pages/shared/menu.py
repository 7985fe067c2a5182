"""The list of pages in the side bar.

Streamlit's own list is not valid HTML for a screen reader (its groups stand between the list and
the list's entries), so the pages are offered by links of ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st
from streamlit.navigation.page import StreamlitPage


def draw(sections: Mapping[str, Sequence[StreamlitPage]]) -> None:
    """Offer every page that this visitor may open, under the name of its section."""
    with st.sidebar, st.container(key="menu", gap="xsmall"):
        st.markdown("**LLMRec Studio**")
        for section, pages in sections.items():
            offered = [page for page in pages if page.visibility == "visible"]
            if offered:
                st.caption(section)
            for page in offered:
                st.page_link(page, width="stretch")
