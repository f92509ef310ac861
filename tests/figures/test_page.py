"""The HTML page: whole, escaped, in need of nothing else."""

import base64
import json
from html.parser import HTMLParser

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
    is_page,
)

VOID = {"meta", "img", "br", "link", "image", "path", "rect"}
MEAN = '<script>alert("&")</script>'
PNG = b"\x89PNG\r\n\x1a\n\x00"


class Reader(HTMLParser):
    """Reads a page and keeps what is in it; open tags must be closed in their order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.data: list[str] = []  # of scripts that are no scripts
        self.scripts = 0
        self.links: list[str] = []
        self._is_data = False

    def handle_starttag(self, tag, attrs):
        """Remember the tag and where it points."""
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        found = dict(attrs)
        self.links += [value for name, value in attrs if name in ("src", "href")]
        self.texts += [found[name] for name in ("aria-label", "alt") if name in found]
        self._is_data = found.get("type") == "application/json"
        self.scripts += tag == "script" and not self._is_data

    def handle_startendtag(self, tag, attrs):
        """It is opened and closed."""
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag):
        """It has to be the last one that is open."""
        assert self.open.pop() == tag

    def handle_data(self, data):
        """Remember the text."""
        if self.open and self.open[-1] == "script":
            self.data += [data] if self._is_data else []
        else:
            self.texts.append(data.strip())


def read(page: str) -> Reader:
    """Parse a whole page."""
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader


def test_everything_shown_is_there_and_nothing_is_markup():
    """Facts, tables, figures and films come back from the page as they were given."""
    spec = {"title": MEAN}
    section = Section(
        MEAN,
        {MEAN: MEAN},
        {"detail": 7},
        [Table(MEAN, [("head", MEAN), ("1", MEAN * 9)])],
        [Chart(MEAN, MEAN, spec)],
        [Picture(MEAN, PNG)],
        [WeightImage(MEAN, PNG, 8, 8, 4, 1.0)],
        [Film(MEAN, PNG, ""), Film(MEAN, None, "beside%3Cthis.mp4")],
        draw_lineage([Node(MEAN, MEAN, (), "#part-0")]),
        MEAN,
    )
    headline = Headline(MEAN, MEAN, MEAN, MEAN, [MEAN], [Standing(MEAN, MEAN, MEAN)] * 2)
    page = html_page(MEAN, [headline], [section], [section])
    found = read(page)
    assert found.scripts == 2  # the library and ours
    assert page.count("<script>") == 0
    assert [json.loads(data) for data in found.data] == [spec, spec]
    assert found.texts.count(MEAN) > 30
    assert found.texts.count(MEAN * 9) == 2
    assert is_page(page.encode())
    shown = [base64.b64decode(link.partition(",")[2]) for link in found.links if "base64" in link]
    assert shown == [PNG] * 6
    others = {link for link in found.links if "base64" not in link}
    assert others == {"#main", "#about-0", "#part-0", "beside%3Cthis.mp4"}


def test_empty_parts_are_left_out():
    """A section without anything has its title alone; without charts there is no library."""
    found = read(html_page("empty", [], [], [Section("nothing")]))
    assert not {"table", "figure", "svg", "video"} & set(found.tags)
    assert found.scripts == 1
