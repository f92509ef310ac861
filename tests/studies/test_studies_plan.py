"""The plan: what is compared is compared on equal terms, and nothing held out decides anything."""

import itertools
import json

import pytest

from nnit.architectures import held_out_kind
from nnit.mlp import parse_architecture
from stages.algorithms import VERSIONS
from stages.params_file import load_params
from studies.outcomes import file_of
from studies.plan import OF_STUDIES, drawn_shapes, jobs_of, methods_of, parts_of, read_plan
from studies.run import ALGORITHMS, planned

PLAN = read_plan()
JOBS = jobs_of(PLAN, [])
KEPT = [job for job in JOBS if file_of(job).exists()]  # a task of one's own is none of the plan's


def asked_for(words):
    """Return the words that say which shapes, and how many networks of each."""
    pairs = itertools.pairwise(words)
    wanted = [pair for pair in pairs if pair[0] in ("--arch", "--samples")]
    return wanted, "--held-out" in words


@pytest.mark.parametrize("job", JOBS, ids=lambda job: f"{job.task}-{job.seed}")
def test_every_method_is_asked_for_the_same_networks(job):
    """The same shapes, and the same number of networks of each."""
    parts = parts_of(PLAN, job)
    asked = [asked_for(parts[f"samples/{name}"].words) for name in methods_of(PLAN, job)]
    assert asked == asked[:1] * len(asked)


@pytest.mark.parametrize("job", JOBS, ids=lambda job: f"{job.task}-{job.seed}")
def test_parts_come_after_what_they_are_made_of(job):
    """In order, by commands that are known, each with an output of its own."""
    parts = parts_of(PLAN, job)
    made = set()
    for part in parts.values():
        assert [path for path in part.inputs if path not in made and path.parts[0] != "nnit"] == []
        assert part.words[0] in {*VERSIONS, *OF_STUDIES, *ALGORITHMS}
        assert part.out not in made
        made.add(part.out)


def test_training_seeds_share_demonstrations_and_nothing_else():
    """Of a task with several seeds: one set of demonstrations, and a generator for each."""
    of_task = [parts_of(PLAN, job) for job in JOBS if job.task == "PickCube-v1"]
    assert len({parts["demos"] for parts in of_task}) == 1
    assert len({parts["generator"].out for parts in of_task}) == len(of_task) == 3
    assert {parts["generator"].seed for parts in of_task} == {0, 1, 2}


def test_many_shapes_are_the_same_for_every_training_seed():
    """Of further seeds with the hypernetwork and the generator that the seed has."""
    of_task = [parts_of(PLAN, job) for job in JOBS if job.task == "StackCube-v1"]
    for method in ("generated", "asked"):
        parts = [parts[f"breadth/of-{method}"] for parts in of_task]
        asked = [asked_for(part.words) for part in parts]
        assert asked == asked[:1] * 3
        assert len({part.inputs for part in parts}) == 3
    assert "breadth/packaged" in of_task[0]
    assert "breadth/packaged" not in of_task[1]


def test_only_outcomes_are_of_held_out_shapes():
    """Outcomes of many shapes too. Audits and timings are of shapes that may be trained on."""
    job = next(job for job in JOBS if job.task == "PickCube-v1" and job.is_first)
    within = load_params(job.params).architectures.training_range()
    for name, part in parts_of(PLAN, job).items():
        if name.startswith(("audits/of-", "breadth/of-", "many/")):
            wanted, held_out = asked_for(part.words)
            shapes = [parse_architecture(value) for flag, value in wanted if flag == "--arch"]
            assert shapes
            assert not held_out
            kinds = {held_out_kind(dims, within) for dims in shapes}
            assert kinds == ({"unseen_width"} if name.startswith("breadth") else {None})
            assert set(map(len, shapes)) <= set(range(within.depth_min, within.depth_max + 1))


def test_drawn_shapes_are_different_and_begin_alike():
    """More of them are the same ones and others."""
    few, many = drawn_shapes(JOBS[0], 3), drawn_shapes(JOBS[0], 30)
    assert many[:3] == few
    assert len(set(many)) == 30


def test_a_task_of_ones_own_has_every_method_that_all_tasks_have():
    """Also one that the plan does not know: but for the packaged generator, which can't know it."""
    (job,) = jobs_of(PLAN, ["./my_task.py"])
    assert set(methods_of(PLAN, job)) == {
        name for name, about in PLAN["methods"].items() if about["on"] in ("every", "first")
    } - {"packaged"}
    assert parts_of(PLAN, job)["demos"].words == ("demos", "--task", "./my_task.py")


@pytest.mark.seconds
@pytest.mark.parametrize("job", KEPT, ids=lambda job: f"{job.task}-{job.seed}")
def test_what_is_committed_would_be_made_in_the_same_way_today(job):
    """Words, parameters, seeds and versions of algorithms are those of this code."""
    found = json.loads(file_of(job).read_text())
    assert (found["task"], found["seed"]) == (job.task, job.seed)
    recipes = planned(parts_of(PLAN, job))
    assert {name: one["recipe"] for name, one in found["parts"].items()} == {
        name: recipes[name] for name in found["parts"]
    }
