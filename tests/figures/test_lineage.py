"""The drawing of what was made from what."""

from nnit.figures.lineage import BOX_HEIGHT, BOX_WIDTH, Node, draw_lineage


def test_boxes_lie_below_their_parents_and_apart():
    """Also where a line passes rows, and where nothing is made from anything."""
    above = [(), (0,), (0, 1), (2,), (0, 3), (4,), (4,), (1, 5), ()]
    drawn = draw_lineage([Node(str(k), "kind", parents) for k, parents in enumerate(above)])
    for k, box in enumerate(drawn.boxes):
        assert all(drawn.boxes[parent].y + BOX_HEIGHT < box.y for parent in above[k])
        assert 0 <= box.x <= drawn.width - BOX_WIDTH
        assert 0 <= box.y <= drawn.height - BOX_HEIGHT
        for other in drawn.boxes[:k]:
            assert abs(box.x - other.x) >= BOX_WIDTH or abs(box.y - other.y) >= BOX_HEIGHT
    assert len(drawn.lines) == sum(map(len, above))
    assert draw_lineage([]).boxes == []
