"""What was made from what as a drawing: boxes in rows, parents above what was made from them."""

from collections.abc import Sequence
from typing import NamedTuple

BOX_WIDTH, BOX_HEIGHT = 168, 46
LANE_WIDTH = 14  # of a line that passes a row
GAP, ROW_GAP, MARGIN = 18, 40, 8


class Node(NamedTuple):
    """An artifact."""

    label: str
    kind: str
    parents: tuple[int, ...]  # places in the list of nodes, all before this one
    link: str = ""  # to its section; empty: it is not on the page


class Box(NamedTuple):
    """A node and the upper left corner of its box."""

    node: Node
    x: float
    y: float


class Drawing(NamedTuple):
    """Boxes, and lines as the ``d`` of SVG paths."""

    boxes: list[Box]
    lines: list[str]
    width: float
    height: float


class _Slot(NamedTuple):
    """A place in a row: of a node, or of a line that passes."""

    of: tuple[int, int]  # (node, node), or (parent, child) of a line
    width: int


def draw_lineage(nodes: Sequence[Node]) -> Drawing:
    """Place each node below all of its parents, and lead lines around the boxes between.

    Source: Sugiyama, Tagawa and Toda 1981, "Methods for visual understanding of hierarchical system
    structures": rows by longest path, a slot for a line in each row that it passes, and slots in
    the order of what is above them.
    """
    rows = [0] * len(nodes)
    for k, node in enumerate(nodes):
        rows[k] = 1 + max((rows[parent] for parent in node.parents), default=-1)
    edges = [(parent, k) for k, node in enumerate(nodes) for parent in node.parents]
    slots: list[list[_Slot]] = [[] for _ in range(max(rows, default=-1) + 1)]
    for k in range(len(nodes)):
        slots[rows[k]].append(_Slot((k, k), BOX_WIDTH))
    for parent, child in edges:
        for row in range(rows[parent] + 1, rows[child]):
            slots[row].append(_Slot((parent, child), LANE_WIDTH))
    widths = [sum(slot.width + GAP for slot in row) - GAP for row in slots]
    width = max(widths, default=0)
    centres: dict[tuple[int, tuple[int, int]], float] = {}
    for row, members in enumerate(slots):
        above = {slot: _mean_above(slot, row, rows, nodes, centres, width / 2) for slot in members}
        x = (width - widths[row]) / 2
        for slot in sorted(members, key=above.__getitem__):
            centres[row, slot.of] = x + slot.width / 2
            x += slot.width + GAP
    boxes = [
        Box(node, MARGIN + centres[rows[k], (k, k)] - BOX_WIDTH / 2, MARGIN + _top(rows[k]))
        for k, node in enumerate(nodes)
    ]
    lines = [_line(edge, rows, centres) for edge in edges]
    height = _top(len(slots)) - ROW_GAP
    return Drawing(boxes, lines, width + 2 * MARGIN, max(0, height) + 2 * MARGIN)


def _mean_above(
    slot: _Slot,
    row: int,
    rows: Sequence[int],
    nodes: Sequence[Node],
    centres: dict[tuple[int, tuple[int, int]], float],
    middle: float,
) -> float:
    """Return the mean place of what a slot's lines come from in the row above."""
    parent, child = slot.of
    parents = nodes[child].parents if parent == child else (parent,)
    found = [
        centres[row - 1, (one, one) if rows[one] == row - 1 else (one, child)] for one in parents
    ]
    return sum(found) / len(found) if found else middle


def _top(row: int) -> float:
    return row * (BOX_HEIGHT + ROW_GAP)


def _line(
    edge: tuple[int, int],
    rows: Sequence[int],
    centres: dict[tuple[int, tuple[int, int]], float],
) -> str:
    """Return a path from the bottom of a parent to the top of what was made from it."""
    parent, child = edge
    x, y = centres[rows[parent], (parent, parent)], _top(rows[parent]) + BOX_HEIGHT
    path = [f"M{x + MARGIN:g} {y + MARGIN:g}"]
    for row in range(rows[parent] + 1, rows[child] + 1):
        of = edge if row < rows[child] else (child, child)
        next_x, next_y = centres[row, of], _top(row)
        half = (next_y - y) / 2
        ends = (x, y + half, next_x, next_y - half, next_x, next_y)
        path.append("C" + " ".join(f"{value + MARGIN:g}" for value in ends))
        if row < rows[child]:
            path.append(f"v{BOX_HEIGHT}")
        x, y = next_x, next_y + BOX_HEIGHT
    return "".join(path)
