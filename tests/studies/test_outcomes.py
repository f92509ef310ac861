"""Outcomes are those of ``nnit rollout``, and are kept only where methods can be compared."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from nnit.artifacts.rollouts import read_rollouts
from studies.__main__ import write
from studies.outcomes import evaluate, file_of, read_kept, read_study, wanted
from studies.plan import Job, Part
from studies.run import keep

PARAMS = Path("small.yaml")


@pytest.mark.slow
def test_success_is_that_of_rollout(server, tmp_path, monkeypatch):
    """Image for image, though an episode ends at its first success; losses too."""
    small = {"task": "digits", "rollout": {"episodes": 30}}
    (tmp_path / "small.yaml").write_text(json.dumps(small))
    own = ("--params", "small.yaml")
    for words in (
        ("demos", "-n", "200", "-o", "demos"),
        ("demos", "-n", "60", "--first-seed", "400", "-o", "fresh"),
        (
            "baseline",
            "cloned",
            "demos",
            "--arch",
            "16",
            "--arch",
            "40,72",
            "--clone-steps",
            "30",
            "-n",
            "2",
            "-o",
            "nets",
        ),
        ("rollout", "nets", "--loss-demos", "fresh", "-o", "rollouts"),
    ):
        ended = server.run([*words, *own], cwd=tmp_path)
        assert ended.code == 0, ended.err
    monkeypatch.chdir(tmp_path)
    evaluate(Path("nets"), Path("fresh"), Path("o.json"), Path("small.yaml"), episodes=30)
    kept, found = json.loads(Path("o.json").read_text()), read_rollouts(Path("rollouts"))[0]
    assert [one["successes"] for one in kept] == [
        "".join("01"[e.success_once] for e in one.episodes) for one in found.evaluations
    ]
    assert [one["kind"] for one in kept] == [one.kind for one in found.evaluations]
    assert [one["loss"] for one in kept] == pytest.approx(
        [one.loss for one in found.evaluations], rel=1e-3
    )


def crafted(folder, texts):
    """Return parts of two methods, all there, and the job."""
    parts = {}
    for name in ("ghn", "zoo", "generator", "samples/a", "samples/b"):
        inputs = (folder / "zoo",) if "/" in name else ()
        parts[name] = Part(folder / name, ("sample",), inputs, 0, PARAMS)
        (folder / name).mkdir(parents=True)
        manifest = {"format": "nnit", "files": {}}
        (folder / name / "manifest.json").write_text(json.dumps(manifest))
    for name in texts:
        out = folder / "outcomes" / f"{name}.json"
        parts[f"outcomes/{name}"] = Part(
            out, ("evaluate",), (folder / f"samples/{name}",), 0, PARAMS
        )
        out.parent.mkdir(exist_ok=True)
        out.write_text(json.dumps(networks(texts[name])))
    for k, part in enumerate(parts.values()):
        keep(part, {"wall": 0.0, "processor": 2.0**k})
    return Job("t", 3, {}), parts


def networks(texts):
    """Return networks of one shape with these successes, as ``evaluate`` keeps them."""
    fixed = {"architecture": "16", "kind": "unseen_combo", "loss": 0.5}
    return [{**fixed, "successes": text} for text in texts]


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """Keep what methods did; return the job, its parts and the file."""
    monkeypatch.chdir(tmp_path)
    seven = SimpleNamespace(manifest=SimpleNamespace(num_bytes=7))
    monkeypatch.setattr("studies.outcomes.open_artifact", lambda path: seven)
    PARAMS.write_text("{}")

    def keep_them(texts):
        job, parts = crafted(tmp_path / "made", texts)
        write(job, parts)
        return job, parts, file_of(job)

    return keep_them


@pytest.mark.parametrize("other", [["0101"], ["0101", "010"], ["01", "01"]])
def test_methods_that_cannot_be_compared_are_refused(kept, other):
    """Fewer networks of a shape, or other states."""
    _, _, path = kept({"a": ["0101", "1111"], "b": other})
    with pytest.raises(ValueError, match="differ"):
        read_study(path)


def test_what_is_kept_is_read_back(kept):
    """Each network's successes by state; what networks cost, with all that they need."""
    _, _, path = kept({"a": ["0101"], "b": ["1111"]})
    study = read_study(path)
    assert (study.task, study.seed, list(study.methods)) == ("t", 3, ["a", "b"])
    assert study.methods["a"][0].successes.tolist() == [False, True, False, True]
    assert study.costs["samples/a"] == {"before": 2, "own": 8}
    assert study.sizes["zoo"] == 7


def test_what_is_kept_is_enough_to_go_on_from(kept):
    """Without its artifacts nothing is made again; what a method lacks needs its own alone."""
    job, parts, path = kept({"a": ["0101"], "b": ["1111"]})
    shutil.rmtree("made")
    assert wanted(parts, read_kept(job, parts)) == []
    found = json.loads(path.read_text())
    del found["parts"]["outcomes/b"]
    path.write_text(json.dumps(found, indent=1) + "\n")
    need = ["zoo", "samples/b", "outcomes/b"]
    assert wanted(parts, read_kept(job, parts)) == [parts[name] for name in need]
    before = path.read_text()
    write(job, parts)
    assert path.read_text() == before


def test_what_was_not_timed_is_made_again(kept):
    """Seconds may be null where they were measured wrongly."""
    job, parts, path = kept({"a": ["0101"]})
    found = json.loads(path.read_text())
    found["parts"]["outcomes/a"]["seconds"] = None
    path.write_text(json.dumps(found))
    assert set(found["parts"]) - set(read_kept(job, parts)) == {"outcomes/a"}
    found["parts"]["samples/a"]["seconds"] = None  # what was made of it, is
    path.write_text(json.dumps(found))
    costs = read_study(path).costs["samples/a"]
    assert (costs["before"] is None, costs["own"]) == (False, None)
    del found["parts"]["zoo"]
    path.write_text(json.dumps(found))
    assert read_study(path).costs["samples/a"]["before"] is None
    assert [part.out.name for part in wanted(parts, read_kept(job, parts))] == [
        "zoo",
        "a",
        "a.json",
    ]


@pytest.mark.parametrize(("field", "other"), [("precision", "float16"), ("task", "b/t.py")])
def test_results_of_two_kinds_are_not_mixed(kept, field, other):
    """Of machines that multiply in another precision, or of tasks whose files have one name."""
    job, parts, path = kept({"a": ["0101"]})
    found = json.loads(path.read_text())
    path.write_text(json.dumps({**found, field: other}))
    with pytest.raises(ValueError, match=f"{field}: {other}, where it would be "):
        read_kept(job, parts)


def test_what_is_kept_of_another_recipe_counts_no_more(kept):
    """Other words, and all that is made of it."""
    job, parts, _ = kept({"a": ["0101"], "b": ["1111"]})
    parts["samples/a"] = parts["samples/a"]._replace(words=("sample", "--steps", "1"))
    gone = {"samples/a", "outcomes/a"}
    assert set(parts) - set(read_kept(job, parts)) == gone
