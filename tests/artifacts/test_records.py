"""Named tuples as JSON and back."""

import math
from typing import NamedTuple

import pytest
from artifact_examples import audit, replace_file, write
from hypothesis import given
from hypothesis import strategies as st

from nnit.artifacts.alignment import read_alignment
from nnit.artifacts.audit import read_audit
from nnit.artifacts.canonical import MAX_NUMBER, canonical_file, parse_canonical
from nnit.artifacts.records import MAX_KEYS, parse_record, record_to_json
from nnit.errors import DamagedArtifactError


class Inner(NamedTuple):
    """A part."""

    name: str
    sizes: tuple[int, ...]


class Outer(NamedTuple):
    """A whole."""

    share: float
    good: bool
    part: Inner | None
    parts: tuple[Inner, ...]


INNER = st.builds(Inner, st.text(max_size=5), st.lists(st.integers(-9, 9), max_size=3).map(tuple))
FLOATS = st.floats(-MAX_NUMBER, MAX_NUMBER)


@given(
    st.builds(
        Outer, FLOATS, st.booleans(), st.none() | INNER, st.lists(INNER, max_size=2).map(tuple)
    )
)
def test_any_record_comes_back(record):
    """Through the bytes of a file, types and all."""
    data = canonical_file(record_to_json(record))
    assert parse_record(Outer, parse_canonical(data, "x"), "x") == record


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"share": "0.5"}, 'x: share: must be a number (got "0.5")'),
        ({"share": True}, "x: share: must be a number (got true)"),
        ({"share": math.inf}, f"x: share: must be less than or equal to {10**30} (got Infinity)"),
        ({"good": 1}, "x: good: must be true or false (got 1)"),
        ({"part": []}, "x: part: must be a section of keys (got [])"),
        (
            {"parts": [{"name": "a", "sizes": [0.5, ""]}]},
            "x: parts[0]: sizes[0]: must be a whole number (got 0.5)",
        ),
        (
            {"parts": [{"name": "a", "sizes": [2**63]}]},
            f"x: parts[0]: sizes[0]: must be less than or equal to {2**63 - 1} (got {2**63})",
        ),
        ({"parts": {}}, "x: parts: must be a list (got {})"),
        ({"part": {"name": "a"}}, "x: part: sizes: is missing"),
        ({"more": 1, "part": 1}, "x: part: must be a section of keys (got 1)\nx: more: is unknown"),
        ({str(k): k for k in range(MAX_KEYS)}, f"x: must have at most {MAX_KEYS} keys"),
    ],
)
def test_a_field_of_another_type_is_damage(change, named):
    """The message names the field, what it must be, and what was found; lists stop at one fault."""
    value = record_to_json(Outer(0.5, True, None, ()))
    with pytest.raises(DamagedArtifactError) as caught:
        parse_record(Outer, {**value, **change}, "x")
    assert str(caught.value).startswith(named)


@pytest.mark.parametrize(
    "edit",
    [
        lambda v: v["samples"][0].update(loss=0.5),
        lambda v: v["samples"][0].update(sample_index=1),
        lambda v: v["samples"][0].update(alarms=["x"]),
        lambda v: v["shapes"].pop(),
        lambda v: v["groups"].pop(),
        lambda v: v["groups"][0].update(samples=3),
        lambda v: v.pop("states"),
    ],
)
def test_an_audit_that_contradicts_itself_is_damage(edit, tmp_path):
    """Shapes and groups are compared with the samples."""
    write("audit", tmp_path / "audit")
    value = record_to_json(audit().audit)
    edit(value)
    replace_file(tmp_path / "audit", "audit.json", canonical_file(value))
    with pytest.raises(DamagedArtifactError, match=r"audit\.json"):
        read_audit(tmp_path / "audit")


@pytest.mark.parametrize(
    "edit",
    [lambda v: v["zoos"].append(v["zoos"][0]), lambda v: v["alphas"].pop()],
)
def test_a_report_that_contradicts_itself_is_damage(edit, tmp_path):
    """Labels are unique, and there is a loss for each place on the line."""
    write("alignment", tmp_path / "alignment")
    file = tmp_path / "alignment" / "alignment.json"
    value = parse_canonical(file.read_bytes(), "x")
    edit(value)
    replace_file(tmp_path / "alignment", "alignment.json", canonical_file(value))
    with pytest.raises(DamagedArtifactError, match=r"alignment\.json"):
        read_alignment(tmp_path / "alignment")
