"""The HTML page: whole, escaped, in need of nothing else."""

import base64
from html.parser import HTMLParser

from nnit.figures.page import Section, html_page

VOID = {"meta", "img", "br", "link"}
MEAN = '<script>alert("&")</script>'
PNG = b"\x89PNG\r\n\x1a\n\x00"


class Reader(HTMLParser):
    """Reads a page and keeps what is in it; open tags must be closed in their order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.cells: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag, attrs):
        """Remember the tag and where it points."""
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        self.links += [value for name, value in attrs if name in ("src", "href")]

    def handle_endtag(self, tag):
        """It has to be the last one that is open."""
        assert self.open.pop() == tag

    def handle_data(self, data):
        """Remember the text of cells."""
        if self.open and self.open[-1] in ("td", "th"):
            self.cells.append(data)


def read(page: str) -> Reader:
    """Parse a whole page."""
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader


def test_everything_shown_is_there_and_nothing_is_markup():
    """Facts, details, tables and figures come back from the page as they were given."""
    rows = [("head", MEAN), ("1", "2 < 3")]
    section = Section(MEAN, {"fact": MEAN}, {"detail": 7}, [rows], {MEAN: PNG})
    found = read(html_page(MEAN, [section]))
    assert found.cells == ["head", MEAN, "1", "2 < 3", "fact", MEAN, "detail", "7"]
    assert "script" not in found.tags
    assert found.links[0] == "#part-0"
    kind, _, data = found.links[1].partition(",")
    assert kind == "data:image/png;base64"
    assert base64.b64decode(data) == PNG
    assert len(found.links) == 2


def test_empty_parts_are_left_out():
    """A section without anything has its title alone, and no table of nothing."""
    tags = read(html_page("empty", [Section("nothing", tables=[[]])])).tags
    assert not {"table", "figure", "details"} & set(tags)
