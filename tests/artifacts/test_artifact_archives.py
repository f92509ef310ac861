"""Artifacts that released versions of nnit wrote are still read."""

import runpy
from pathlib import Path

import pytest
from artifact_examples import READERS, assert_same

from nnit.artifacts.manifest import KINDS
from nnit.artifacts.reading import verify

ARCHIVES = Path(__file__).parents[1] / "data" / "archives"
STORED = sorted(path.parent for path in ARCHIVES.glob("schema-*/*/manifest.json"))


def test_every_readable_schema_of_every_kind_has_an_archive():
    """No schema can be dropped, nor a new one released, without a stored example."""
    expected = {(f"schema-{n}", kind) for kind, about in KINDS.items() for n in about.readable}
    assert {(path.parent.name, path.name) for path in STORED} >= expected


@pytest.mark.parametrize("path", STORED, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_an_archive_is_whole_and_read(path):
    """Each stored artifact passes ``verify`` and its reader."""
    assert verify(path) == []
    _, artifact = READERS[path.name](path)
    assert f"schema-{artifact.manifest.schema}" == path.parent.name


def test_the_script_still_writes_what_the_current_archives_hold(tmp_path):
    """The writers of today give the stored content again: values, attributes and provenance."""
    script = runpy.run_path(str(ARCHIVES / "write_archives.py"))
    script["main"](tmp_path)
    places = {path.relative_to(tmp_path) for path in tmp_path.glob("schema-*/*")}
    assert places >= {Path(f"schema-{about.schema}", kind) for kind, about in KINDS.items()}
    for place in sorted(places):
        kind = place.name
        new, new_artifact = READERS[kind](tmp_path / place)
        old, old_artifact = READERS[kind](ARCHIVES / place)
        if kind in ("ghn", "generator", "flat"):
            assert new.tensors.keys() == old.tensors.keys()
            assert_same(list(new.tensors.values()), list(old.tensors.values()))
        else:
            assert_same(new, old)
        for name in ("stage", "params", "seed", "parents", "attributes", "arrays"):
            mine, theirs = (getattr(a.manifest, name) for a in (new_artifact, old_artifact))
            assert mine == theirs, f"{kind}: {name}"
