"""Where the product's own files stand: app, pages and assets.

A wheel carries `app.py`, `pages/`, `assets/` and `.streamlit/` in the folder
`llmrec_core/_product`; in a checkout they stand beside `llmrec_core`.
"""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
_CARRIED = PACKAGE / "_product"
ROOT = _CARRIED if _CARRIED.is_dir() else PACKAGE.parent
"""The folder that holds `app.py`, `pages/`, `assets/` and `.streamlit/`."""
IMPORT_PATH = PACKAGE.parent
"""The folder from which a child process imports `llmrec_core`."""
APP = ROOT / "app.py"
STUDIO = ROOT / "pages" / "shared" / "studio.py"
"""The script that draws the pages; `app.py` serves it."""
ASSETS = ROOT / "assets"
