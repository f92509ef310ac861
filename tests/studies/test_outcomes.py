"""Outcomes are those of ``nnit rollout``, and are kept only where methods can be compared."""

import json
from pathlib import Path

import pytest

from nnit.artifacts.rollouts import read_rollouts
from studies.outcomes import collect, evaluate, read_study
from studies.plan import Part
from studies.run import RECIPE, beside


@pytest.mark.slow
def test_success_is_that_of_rollout(nnit, tmp_path, monkeypatch):
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
        done = nnit(*words, *own)
        assert done.returncode == 0, done.stderr
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


def crafted(folder, methods):
    """Return parts whose outcomes, and all else that is kept of them, are there."""
    parts = {}
    for name in ("ghn", "zoo", "generator", "samples/a", "samples/b"):
        inputs = (folder / "zoo",) if "/" in name else ()
        parts[name] = Part(folder / name, ("x",), inputs, 0, Path())
    for name, texts in methods.items():
        networks = [
            {"architecture": "16", "kind": "unseen_combo", "loss": 0.5, "successes": text}
            for text in texts
        ]
        out = folder / "outcomes" / f"{name}.json"
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(networks))
        parts[f"outcomes/{name}"] = Part(
            out, ("evaluate",), (folder / f"samples/{name}",), 0, Path()
        )
    for k, part in enumerate(parts.values()):
        kept = beside(part.out, RECIPE)
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps({"seconds": {"processor": 2**k}}))
    return parts


@pytest.mark.parametrize("other", [["0101"], ["0101", "010"], ["01", "01"]])
def test_methods_that_cannot_be_compared_are_refused(tmp_path, other):
    """Fewer networks of a shape, or other states."""
    with pytest.raises(ValueError, match="differ"):
        collect("t", 0, crafted(tmp_path, {"a": ["0101", "1111"], "b": other}))


def test_what_is_kept_is_read_back(tmp_path, monkeypatch):
    """Each network's successes by state; what networks cost, with all that they need."""
    monkeypatch.setattr("studies.outcomes.artifact_bytes", lambda path: 7)
    kept = collect("t", 3, crafted(tmp_path, {"a": ["0101"], "b": ["1111"]}))
    (tmp_path / "kept.json").write_text(json.dumps(kept))
    study = read_study(tmp_path / "kept.json")
    assert (study.task, study.seed, list(study.methods)) == ("t", 3, ["a", "b"])
    assert study.methods["a"][0].successes.tolist() == [False, True, False, True]
    assert study.costs["samples/a"] == {"before": 2, "own": 8}
    assert study.sizes["zoo"] == 7
