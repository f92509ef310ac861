"""One HTML page of figures, tables and films that needs no other file, and no network.

Text, numbers and names come from artifacts that anybody may have written: the templates escape all
of them, figures are data, and the page's own policy lets a browser run nothing but the three
scripts that are written here, and load nothing at all.
"""

import base64
import functools
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import Any, NamedTuple

import jinja2

from nnit.figures.lineage import Drawing

Row = tuple[str, ...]
GENERATOR = "nnit report"  # what a page says it was made by
_FOLDER = resources.files("nnit.figures") / "templates"


class Chart(NamedTuple):
    """A figure that a browser draws."""

    title: str
    summary: str  # what it shows, for who doesn't see it
    spec: Mapping[str, Any]  # Vega-Lite


class Picture(NamedTuple):
    """A figure that is there as pixels."""

    title: str
    png: bytes
    is_paper: bool = True  # on white, to be turned around on a dark page


class WeightImage(NamedTuple):
    """A matrix of weights, a pixel each, and the patches that it was made of."""

    title: str
    png: bytes
    width: int  # pixels: inputs
    height: int
    patch: int  # side of a patch; 0: not known
    bound: float  # value of the strongest colour


class Film(NamedTuple):
    """A film, within the page or beside it."""

    title: str
    mp4: bytes | None
    link: str  # where it lies, from the page


class Table(NamedTuple):
    """Rows under a head."""

    title: str
    rows: Sequence[Row]  # the first is the head


class Standing(NamedTuple):
    """What one method reached on the shapes that the headline is about."""

    method: str
    level: str
    lowest: str


@dataclass(frozen=True)
class Headline:
    """What is to be known of a task first."""

    task: str
    success: str
    interval: str
    of: str  # what the success is that of
    facts: Sequence[str] = ()
    standings: Sequence[Standing] = ()


@dataclass(frozen=True)
class Section:
    """One part of a page: what a reader sees of one thing."""

    title: str
    facts: Mapping[str, object] = field(default_factory=dict)
    details: Mapping[str, object] = field(default_factory=dict)  # facts behind a fold
    tables: Sequence[Table] = ()
    charts: Sequence[Chart] = ()
    pictures: Sequence[Picture] = ()
    weights: Sequence[WeightImage] = ()
    films: Sequence[Film] = ()
    lineage: Drawing | None = None
    note: str = ""


def html_page(
    title: str, headlines: Sequence[Headline], overview: Sequence[Section], parts: Sequence[Section]
) -> str:
    """Return a whole HTML document.

    The same sections give the same text: there is no date, no host and no path but what is given.

    Args:
        title: Of the page.
        headlines: One for each task.
        overview: What is shown first, each section with an anchor of its own, ``#about-0``, ...
        parts: What follows, with the anchors ``#part-0``, ...
    """
    sections = [*overview, *parts]
    has_charts = any(section.charts for section in sections)
    scripts = [*([vega_bundle()] if has_charts else []), _read("report.js")]
    return (
        _environment()
        .get_template("report.html")
        .render(
            title=title,
            generator=GENERATOR,
            headlines=headlines,
            overview=overview,
            parts=parts,
            style=_read("report.css"),
            scripts=scripts,
            policy=_policy(scripts),
            has_charts=has_charts,
        )
    )


@functools.cache
def vega_bundle() -> str:
    """Return Vega-Lite, Vega and Vega-Embed as one script without imports."""
    import vl_convert  # brings the libraries along

    return vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")


def is_page(data: bytes) -> bool:
    """Whether a file that begins so is a page that ``html_page`` wrote."""
    return f'<meta name="generator" content="{GENERATOR}">'.encode() in data[:1000]


def _policy(scripts: Sequence[str]) -> str:
    """Return a content security policy: these scripts, data within the page, no connection."""
    digests = [hashlib.sha256(script.encode()).digest() for script in scripts]
    allowed = " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; "
        "img-src data:; media-src data:; base-uri 'none'; form-action 'none'"
    )


def _data_url(data: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"


def _read(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_read),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["data_url"] = _data_url
    return environment
