"""Demonstrations of networks: a teacher that is copied, actors that are corrected."""

from dataclasses import replace

import numpy as np
import pytest
from tiny_pipeline import Recorder, names, tree

from nnit.artifacts.demos import read_demos, write_demos
from nnit.artifacts.manifest import Provenance
from nnit.artifacts.samples import Sample, SampleSet, read_samples, write_samples
from nnit.errors import InterruptedRunError, UsageError, WrongKindError
from nnit.groups.units import plan_clones, train_unit
from nnit.mlp import Network
from nnit.policy import NumpyPolicy
from nnit.progress import silent
from nnit.tasks.registry import get_task
from stages import demos, demos_from
from stages.params import Params, RunOptions

TASK = "gym:Pendulum-v1"
PARAMS = Params.model_validate({"task": TASK, "demos": {"episodes": 4}})
CPU = RunOptions(device="cpu", workers=1)

pytestmark = pytest.mark.seconds


def cloned(found, steps):
    """Clone a small network."""
    (unit,) = plan_clones([(16,)], found, steps=steps, seed=0)
    (network,) = train_unit(unit)
    return Network((16,), network.weights)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Demonstrations of the expert, and two networks cloned from them, one badly."""
    folder = tmp_path_factory.mktemp("teachers")
    demos.run(PARAMS, demos.Inputs(), demos.Outputs(folder / "demos"), options=CPU)
    found, _ = read_demos(folder / "demos")
    networks = [cloned(found, steps) for steps in (300, 1)]
    samples = tuple(Sample(network, 0, k) for k, network in enumerate(networks))
    write_samples(folder / "samples", SampleSet(samples, found.interface), Provenance("x", {}, 0))
    return folder


def collected(folder, name, **inputs):
    """Collect with other teachers; returns the demonstrations."""
    outputs = demos.Outputs(folder / name)
    demos_from.run(PARAMS, demos_from.Inputs(**inputs), outputs, options=CPU)
    return read_demos(folder / name)[0]


def policies(folder):
    """Return the two networks as policies."""
    samples, _ = read_samples(folder / "samples")
    return [NumpyPolicy(samples.interface, *one.network) for one in samples.samples]


def test_a_teacher_is_copied(folder):
    """Every label is what the first network says."""
    found = collected(folder, "taught", teacher=folder / "samples")
    teacher = policies(folder)[0]
    for observation, action in zip(found.observations[::7], found.actions[::7], strict=True):
        np.testing.assert_array_equal(teacher(observation), action)


def test_actors_are_corrected_by_the_expert(folder):
    """States are those that the networks visit, in turn; labels are the expert's."""
    found = collected(folder, "dagger", dagger_from=folder / "samples")
    task = get_task(TASK)
    for observation, action in zip(found.observations[::7], found.actions[::7], strict=True):
        np.testing.assert_array_equal(task.expert(observation), action)
    for k, actor in enumerate(policies(folder)):
        simulation = task.simulate(task)
        observation = simulation.reset(task.demo_first_seed + k)
        for step in range(20):
            np.testing.assert_array_equal(observation, found.observations[200 * k + step])
            observation = simulation.step(actor(observation)).observation


def test_new_episodes_come_behind_and_scaling_is_fitted_to_all(folder):
    """The first rows are the old ones; seeds go on; mean and deviation are of all rows."""
    before, _ = read_demos(folder / "demos")
    found = collected(folder, "more", dagger_from=folder / "samples", add_to=folder / "demos")
    assert np.array_equal(found.observations[: len(before.observations)], before.observations)
    assert found.seeds.tolist() == list(range(10_000, 10_008))
    assert len(found.episode_ends) == 8
    assert found.episode_ends[-1] == len(found.observations) == 8 * 200
    np.testing.assert_allclose(found.interface.obs_mean, found.observations.mean(0), atol=1e-5)


def test_what_learning_hides_is_that_of_the_old_episodes_or_what_is_said(folder):
    """Nothing by this task's own; a half in what was added to."""
    before, _ = read_demos(folder / "demos")
    assert before.input_dropout == 0
    write_demos(folder / "half", replace(before, input_dropout=0.5), Provenance("x", {}, 0))
    inputs = demos_from.Inputs(teacher=folder / "samples", add_to=folder / "half")
    for said, expected in ((None, 0.5), (0.1, 0.1)):
        section = PARAMS.demos.model_copy(update={"input_dropout": said})
        params = PARAMS.model_copy(update={"demos": section})
        outputs = demos.Outputs(folder / f"hidden-{said}")
        demos_from.run(params, inputs, outputs, options=CPU)
        assert read_demos(outputs.demos)[0].input_dropout == expected


def test_networks_of_another_task_are_refused(folder):
    """One line with both tasks."""
    params = Params.model_validate({"task": "gym:Acrobot-v1"})
    inputs = demos_from.Inputs(teacher=folder / "samples")
    with pytest.raises(WrongKindError, match="found task gym:Pendulum-v1, expected gym:Acrobot"):
        demos_from.run(params, inputs, demos.Outputs(folder / "none"), options=CPU)
    assert not (folder / "none").exists()


def test_adding_needs_somebody_new(folder):
    """Otherwise nothing would be added."""
    with pytest.raises(UsageError, match="--add-to"):
        demos_from.check_inputs(demos_from.Inputs(add_to=folder / "demos"))


def test_demonstrations_go_on_where_they_were_stopped(tmp_path):
    """To the same bytes; without being asked they are not begun anew."""
    params = PARAMS.model_copy(update={"demos": PARAMS.demos.model_copy(update={"episodes": 25})})

    def collect(name, progress=silent, **flags):
        options = RunOptions(device="cpu", workers=1, **flags)
        outputs = demos.Outputs(tmp_path / name)
        demos.run(params, demos.Inputs(), outputs, options=options, progress=progress)

    collect("one")
    with pytest.raises(
        InterruptedRunError, match=r"out: .*go on with the same command and --resume"
    ):
        collect("out", Recorder(1))
    with pytest.raises(UsageError, match=r"finished units? .*go on with --resume"):
        collect("out")
    resumed = Recorder()
    collect("out", resumed, resume=True)
    assert resumed.parts[0][2] >= 10  # episodes that were kept
    assert tree(tmp_path / "out") == tree(tmp_path / "one")
    assert names(tmp_path) == ["one", "out"]
