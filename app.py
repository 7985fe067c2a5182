"""The web app: `streamlit run app.py`, or `llmrec up`, which starts a worker too.

However it is started, it refuses to be reached by others while nobody logs in: when it starts, by
its options, and at every request, by where that came in (pages/shared/web_guard.py). What is drawn
is pages/shared/studio.py.
"""

import importlib
import os
import runpy
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import streamlit as st
from starlette.middleware import Middleware
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.starlette import App

from llmrec_core.access import check_web, read_access, require_login_packages
from llmrec_core.errors import LlmrecError
from llmrec_core.installation import STUDIO
from llmrec_core.settings import load_settings
from pages.shared.sessions import ended_logins
from pages.shared.web_guard import WebGuard

EVERY_PAGE = ("pages.shared.frame", "pages.shared.status", "pages.answer.start_chart")
"""With what they import these are nearly all modules of the pages."""


@asynccontextmanager
async def with_pages_loaded(_app: App) -> AsyncIterator[None]:
    """Import the pages' modules before anybody is let in, so that no first visitor waits for it."""
    for name in EVERY_PAGE:
        importlib.import_module(name)
    yield


os.umask(0o077)  # what the pages store is the reader's own
settings = load_settings()
without_login = os.environ.get("LLMREC_WITHOUT_LOGIN") == "1"
try:
    access = read_access(settings)
    require_login_packages(access)
    check_web(
        access,
        address=st.get_option("server.address"),
        hosts=st.get_option("server.allowedHosts"),
        cors=st.get_option("server.enableCORS"),
        xsrf=st.get_option("server.enableXsrfProtection"),
        without_login=without_login,
    )
except LlmrecError as error:
    sys.exit(f"error: {error}")
guard = Middleware(
    WebGuard, access=access, without_login=without_login, ended=ended_logins(settings.home)
)
login = {} if access.login is None else {"auth": dict(vars(access.login))}
app = App(STUDIO, middleware=[guard], secrets=login, lifespan=with_pages_loaded)

# `streamlit.testing` runs this file as a page's script, without a server to guard.
if get_script_run_ctx(suppress_warning=True) is not None:
    runpy.run_path(str(STUDIO))
