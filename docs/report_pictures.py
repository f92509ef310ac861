"""Take the pictures of docs/report.md: a page of ``nnit report`` in Debian's chromium.

python -m docs.report_pictures build/report.html docs/figures
"""

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Literal, NamedTuple

from playwright.sync_api import Playwright, sync_playwright

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


class View(NamedTuple):
    """A part of the page, as somebody sees it."""

    name: str  # of the picture's file
    scheme: Literal["light", "dark"]
    width: int  # pixels
    height: int
    top: str = "body"  # CSS selector of what is at the top


VIEWS = (
    View("report-light.png", "light", 1200, 1100),
    View("report-dark.jpg", "dark", 1200, 1500, "#about-1"),
    View("report-narrow.png", "dark", 400, 1000),
)


def take_picture(playwright: Playwright, page_file: Path, view: View, out: Path) -> None:
    """Open a page as a reader has it, and write what is seen."""
    with tempfile.TemporaryDirectory() as profile:
        context = playwright.chromium.launch_persistent_context(
            profile,
            executable_path=shutil.which("chromium"),
            args=FLAGS,
            color_scheme=view.scheme,
            viewport={"width": view.width, "height": view.height},
            offline=True,
        )
        page = context.new_page()
        page.goto(page_file.resolve().as_uri())
        page.wait_for_selector("html[data-drawn]")
        page.locator(view.top).evaluate("one => one.scrollIntoView()")
        # Of weights, which look like noise, a PNG is large.
        page.screenshot(path=out / view.name, quality=70 if view.name.endswith(".jpg") else None)
        context.close()


def main() -> None:
    """Take all pictures of the page named on the command line, into the folder named there."""
    page_file, out = map(Path, sys.argv[1:])
    with sync_playwright() as playwright:
        for view in VIEWS:
            take_picture(playwright, page_file, view, out)


if __name__ == "__main__":
    main()
