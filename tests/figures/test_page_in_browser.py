"""The page in a browser: it is drawn without a network, usable by keyboard, and accessible."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from docs.report_pictures import FLAGS
from nnit.figures.charts import (
    Candidate,
    Reached,
    SizedLoss,
    TrainedShapes,
    frontier,
    loss_by_size,
    success_by_architecture,
    success_map,
    training_curves,
)
from nnit.figures.film import mp4_bytes
from nnit.figures.lineage import Node, draw_lineage
from nnit.figures.page import (
    Chart,
    Film,
    Headline,
    Picture,
    Section,
    Standing,
    Table,
    WeightImage,
    html_page,
)
from nnit.figures.weights import weight_bound, weight_png

pytestmark = pytest.mark.slow

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
HOSTILE = '<img src=x onerror=alert(1)> "],x); ${y}\\'
SHAPES = {"64,64": (2, 64, 5000), "320": (1, 320, 9000), "64,66": (2, 66, 5200)}
SERIOUS = ("serious", "critical")


@pytest.fixture(scope="module")
def page_file(tmp_path_factory) -> Path:
    """A page with every kind of chart, and with names that would harm as markup or code."""
    reached = [
        Reached(method, HOSTILE, shape, *sizes, 1, success, success - 0.1, 1.0)
        for method, success in (("sample", 0.95), ("ghn", 0.8), (HOSTILE, 0.3))
        for shape, sizes in SHAPES.items()
    ]
    charts = [
        success_map(reached, TrainedShapes((16, 256), (1, 4))),
        success_by_architecture(reached),
        training_curves({"loss": [(1, 2.0), (2, 1.0)], HOSTILE: [(1, 0.5)]}),
        loss_by_size([SizedLoss(HOSTILE, 100, 0.1), SizedLoss("8", 200, 0.01)]),
        frontier([Candidate(HOSTILE, 10, 0.5, 0.2, 0.8, on_front=True)], 0.9),
    ]
    field = np.linspace(-1, 1, 600).reshape(20, 30)
    rows = [("network", "parameters"), *((f"n{k} {HOSTILE}", f"{k * 500:,}") for k in range(20))]
    film = mp4_bytes([np.full((32, 32, 3), k, np.uint8) for k in (0, 99, 199)], fps=3)
    picture = weight_png(field, weight_bound(field))
    overview = Section(
        "Success",
        charts=[Chart(f"chart {k}", "What it shows.", spec) for k, spec in enumerate(charts)],
        pictures=[Picture("a picture", picture)],
        weights=[WeightImage("weights", picture, 30, 20, 8, 1.0)],
        films=[Film("a film", film, ""), Film("another", None, "videos/film.mp4")],
        tables=[Table("Every network", rows)],
        lineage=draw_lineage([Node(HOSTILE, "demos", ()), Node("zoo", "zoo", (0,), "#part-0")]),
    )
    part = Section("zoo", facts={"kind": HOSTILE}, details={"digest": "0" * 64})
    standings = [Standing(name, "0.9 [0.8, 1.0]", "0.8 64") for name in ("sample", HOSTILE)]
    headline = Headline("Task-v1", "0.95", "[0.9, 1.0]", "What it is of", ["a fact"], standings)
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(html_page(f"{HOSTILE}: report", [headline], [overview], [part]))
    return path


class Visit:
    """A page that is open in a browser, and what the browser had to say."""

    def __init__(self, page) -> None:
        self.page = page
        self.said: list[str] = []
        self.requests: list[str] = []
        page.on("console", lambda message: self.said.append(message.text))
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.on("dialog", lambda dialog: self.said.append(dialog.message))
        page.on("request", lambda request: self.requests.append(request.url))

    def open(self, path: Path) -> None:
        """Open a file and wait until all is drawn."""
        self.page.goto(path.as_uri())
        self.page.wait_for_selector("html[data-drawn]", timeout=60_000)


@pytest.fixture(scope="module", params=["light", "dark"])
def visit(request, page_file, tmp_path_factory) -> Iterator[Visit]:
    """The page on a wide light screen, or on a narrow dark one."""
    if CHROMIUM is None:
        if os.environ.get("CI"):
            pytest.fail("no chromium: .ci/run installs it")
        pytest.skip("no chromium here; Debian's package of that name has it")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            str(tmp_path_factory.mktemp("browser")),
            executable_path=CHROMIUM,
            args=FLAGS,
            color_scheme=request.param,
            viewport={"width": 1200 if request.param == "light" else 400, "height": 900},
            offline=True,
        )
        visit = Visit(context.new_page())
        visit.open(page_file)
        yield visit
        context.close()


def test_everything_is_drawn_without_a_word_or_a_request(visit, page_file):
    """Marks are there, names are text, and nothing but the file is asked for."""
    page = visit.page
    for k, marks in enumerate((3, 9, 3, 2, 1)):
        shown = page.locator("figure.chart").nth(k).locator(".mark-symbol.role-mark path")
        assert shown.count() >= marks, k
    assert page.locator("img[src=x]").count() == 0
    assert page.title() == f"{HOSTILE}: report"
    assert visit.said == []
    assert {url for url in visit.requests if not url.startswith("data:")} == {page_file.as_uri()}


def test_no_serious_fault_of_accessibility(visit):
    """By axe-core, with folds open too."""
    from axe_playwright_python.sync_playwright import Axe

    visit.page.locator("details").evaluate_all("all => all.forEach(one => one.open = true)")
    found = Axe().run(visit.page).response
    assert found["passes"]
    serious = [one for one in found["violations"] if one["impact"] in SERIOUS]
    assert [(one["id"], one["nodes"][0]["html"]) for one in serious] == []


def test_charts_follow_the_page_and_nothing_sticks_out(visit):
    """Words of a chart have the page's colour, and a narrow screen has no sideways scrolling."""
    page = visit.page
    label = page.locator(".role-axis-label text").first
    words, body = (
        one.evaluate("one => getComputedStyle(one)[one.tagName === 'text' ? 'fill' : 'color']")
        for one in (label, page.locator("body"))
    )
    assert words == body
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_hovering_says_what_a_mark_is(visit):
    """Shape, success and interval of the network, as text."""
    points = visit.page.locator("figure.chart").nth(1).locator(".mark-symbol.role-mark path")
    points.nth(8).hover(force=True)
    tip = visit.page.locator("#vg-tooltip-element.visible")
    tip.wait_for(timeout=10_000)
    assert HOSTILE in tip.inner_text()
    assert "0.300 [0.200, 1.000]" in tip.inner_text()


def test_another_method_is_chosen_by_keyboard(visit):
    """In the map of success."""
    chart = visit.page.locator("figure.chart").nth(0)
    first = chart.locator(".mark-symbol.role-mark path").first
    before = first.get_attribute("fill")
    chart.locator("select").focus()
    visit.page.keyboard.press("ArrowDown")
    visit.page.wait_for_function(
        "before => document.querySelector('figure.chart .mark-symbol.role-mark path')"
        ".getAttribute('fill') !== before",
        arg=before,
    )
    assert chart.locator("select").input_value() == "ghn"


def test_tables_are_sorted_and_filtered_by_keyboard(visit):
    """Numbers as numbers, the order said to screen readers, and the number of rows too."""
    page, table = visit.page, visit.page.locator("table.rows")
    head = table.locator("th").nth(1)
    head.locator("button").focus()
    for key, order, first in (("Enter", "ascending", "0"), ("Space", "descending", "9,500")):
        page.keyboard.press(key)
        assert head.get_attribute("aria-sort") == order
        assert table.locator("tbody tr").first.locator("td").nth(1).inner_text() == first
    page.get_by_label("Rows with this text: Every network").focus()
    page.keyboard.type("N19 ")
    assert table.locator("tbody tr:visible").count() == 1
    assert page.locator(".filter output").inner_text() == "1 of 20"
