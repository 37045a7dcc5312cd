"""ULD Explorer's page: python app.py"""

from __future__ import annotations

from uld_explorer.ui.page import build_page, launch

demo = build_page()

if __name__ == "__main__":
    launch(demo)
