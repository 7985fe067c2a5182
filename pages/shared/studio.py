"""What every visit draws: login, page config, navigation, side bar, then the page itself."""

import streamlit as st

from llmrec_core.installation import ROOT
from llmrec_core.language import ask_language_of, t
from pages.shared import access, crowd, frame, languages, menu, status
from pages.shared.navigation import MAP, NEEDS

PAGES = ROOT / "pages"

# A file, set before the navigation: a page's material icon as favicon would be fetched from a font
# server.
st.set_page_config(
    page_icon=str(ROOT / "assets" / "icon.png"),
    layout="wide",
    initial_sidebar_state="collapsed" if st.context.is_embedded else "auto",
)
# Text that the theme draws too faintly: 4.5 : 1 is asked for (WCAG 2.2, 1.4.3).
st.html(ROOT / "assets" / "look.css")
ask_language_of(languages.of_reader)
languages.settle()
with crowd.turn(), frame.sentences():
    person = access.gate()
    if person is not None:
        roles = {
            address: NEEDS.get(file) for pages in MAP.values() for file, _, _, address in pages
        }
        sections = {
            t(section): [
                st.Page(
                    PAGES / file,
                    title=t(title),
                    icon=f":material/{icon}:",
                    url_path=address,
                    default=address == "start",
                    # What may not be opened is not offered; opening it by its address is refused.
                    visibility=access.visibility(person, file),
                )
                for file, title, icon, address in pages
            ]
            for section, pages in MAP.items()
        }
        page = st.navigation(sections, position="hidden")
        menu.draw(sections)
        st.set_page_config(t("{title} – LLMRec Studio", title=page.title))
        frame.draw()
        person.require(
            roles.get(page.url_path) or "viewer", t("the page {title}", title=page.title)
        )
        status.draw()
        page.run()
