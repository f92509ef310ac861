"""One HTML page of facts, tables and figures that needs no other file, and no network."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

Row = tuple[str, ...]

STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 68rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.2rem; margin-top: 2.5rem; }
h2 { border-bottom: 1px solid var(--line); padding-bottom: .3rem; }
.wide { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .85rem; }
th, td { text-align: left; vertical-align: top; padding: .2rem .8rem .2rem 0; }
tr + tr > * { border-top: 1px solid var(--line); }
table.facts th { font-weight: normal; opacity: .7; white-space: nowrap; }
table.facts td { overflow-wrap: anywhere; }
img { max-width: 100%; background: white; border-radius: 4px; }
figure { margin: 1rem 0; } figcaption { font-size: .85rem; opacity: .7; }
summary { cursor: pointer; }
nav li { margin: .1rem 0; }
"""


@dataclass(frozen=True)
class Section:
    """One part of a page: what a reader sees of one thing."""

    title: str
    facts: Mapping[str, object] = field(default_factory=dict)
    details: Mapping[str, object] = field(default_factory=dict)  # facts behind a fold
    tables: Sequence[Sequence[Row]] = ()  # the first row of each is its head
    figures: Mapping[str, bytes] = field(default_factory=dict)  # caption -> PNG


def html_page(title: str, sections: Sequence[Section]) -> str:
    """Return a whole HTML document; all text is escaped, and figures lie within it.

    The same sections give the same text: there is no date, no host and no path but what is given.
    """
    entries = "".join(
        f'<li><a href="#part-{k}">{escape(section.title)}</a></li>\n'
        for k, section in enumerate(sections)
    )
    parts = "".join(_section(k, section) for k, section in enumerate(sections))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{escape(title)}</h1>\n<nav><ul>\n{entries}</ul></nav>\n"
        f"{parts}</body>\n</html>\n"
    )


def _section(place: int, section: Section) -> str:
    parts = [f'<section id="part-{place}">\n<h2>{escape(section.title)}</h2>\n']
    parts += [_figure(caption, png) for caption, png in section.figures.items()]
    parts += [_table(rows) for rows in section.tables if rows]
    if section.facts:
        parts.append(_facts(section.facts))
    if section.details:
        inner = _facts(section.details)
        parts.append(f"<details><summary>how it was made</summary>\n{inner}</details>\n")
    return "".join([*parts, "</section>\n"])


def _figure(caption: str, png: bytes) -> str:
    data = base64.b64encode(png).decode("ascii")
    words = escape(caption)
    return (
        f'<figure><img alt="{words}" src="data:image/png;base64,{data}">'
        f"<figcaption>{words}</figcaption></figure>\n"
    )


def _table(rows: Sequence[Row]) -> str:
    head, *body = (
        "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in row)
        for row, tag in zip(rows, ["th", *["td"] * (len(rows) - 1)], strict=True)
    )
    lines = "".join(f"<tr>{cells}</tr>\n" for cells in body)
    return (
        f'<div class="wide"><table>\n<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{lines}</tbody></table></div>\n"
    )


def _facts(facts: Mapping[str, object]) -> str:
    lines = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(str(value))}</td></tr>\n'
        for name, value in facts.items()
    )
    return f'<div class="wide"><table class="facts">\n{lines}</table></div>\n'
