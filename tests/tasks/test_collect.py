"""Demonstrations: clean labels, disturbed states, no dependence on workers."""

from dataclasses import replace

import numpy as np
import pytest

from nnit.engine import Engine
from nnit.errors import InterruptedRunError, UsageError
from nnit.progress import SilentProgress
from nnit.seeding import numpy_generator
from nnit.tasks.collect import (
    MIN_OBS_STD,
    DemoRequest,
    collect_demos,
    collect_episode,
    input_dropout_of,
    policy_interface,
)
from nnit.tasks.registry import get_task, process_simulation
from nnit.tasks.task import TaskRef

PUSH_REF = TaskRef("PushCube-v1")
PUSH_CUBE = get_task(PUSH_REF)


@pytest.fixture(scope="module")
def demos():
    """A dozen demonstrations with the default noise."""
    return collect_demos(PUSH_REF, DemoRequest(12))


@pytest.mark.sim
def test_demos_do_not_depend_on_workers(demos):
    """One worker and two give the same bytes."""
    again = collect_demos(PUSH_REF, DemoRequest(12), Engine(2))
    for name in ("observations", "actions", "episode_ends", "success_once", "seeds"):
        assert np.array_equal(getattr(demos, name), getattr(again, name)), name
    assert demos.interface == again.interface


@pytest.mark.sim
def test_demos_are_whole_episodes_with_clean_labels(demos):
    """Every label is the expert's own action for the observation beside it."""
    assert demos.episode_ends.tolist() == [50 * (k + 1) for k in range(12)]
    assert demos.seeds.tolist() == list(range(10_000, 10_012))
    assert demos.observations.dtype == demos.actions.dtype == np.float32
    for observation, action in zip(demos.observations, demos.actions, strict=True):
        assert np.array_equal(PUSH_CUBE.expert(observation), action)


@pytest.mark.sim
def test_noise_disturbs_states_but_not_the_first(demos):
    """An episode begins as without noise and then leaves the expert's path."""
    clean = collect_demos(PUSH_REF, DemoRequest(2, noise=0.0))
    assert np.array_equal(clean.observations[0], demos.observations[0])
    assert np.abs(clean.observations[10] - demos.observations[10]).max() > 1e-3


@pytest.mark.sim
def test_noise_differs_between_episodes():
    """Each episode draws its own scale and noise; the same stream gives the same episode."""
    simulation = process_simulation("PushCube-v1")

    def run(k):
        rng = numpy_generator(0, "demos", k)
        short = replace(PUSH_CUBE, horizon=20)
        return collect_episode(simulation, short.expert, 10_000, 0.1, rng, short).observations

    assert np.array_equal(run(0), run(0))
    assert not np.array_equal(run(0), run(1))


@pytest.mark.sim
def test_noisy_demos_still_succeed(demos):
    """The task's default noise leaves the expert able to solve it."""
    assert demos.success_once.mean() >= 0.9


def test_interface_survives_float32():
    """Statistics are float32 values; an observation that never changes gets the floor."""
    observations = np.random.default_rng(0).normal(size=(500, 35)).astype(np.float32)
    observations[:, 3] = 0.04
    interface = policy_interface(PUSH_CUBE, observations)
    assert interface.obs_std[3] == np.float32(MIN_OBS_STD)
    for values in (interface.obs_mean, interface.obs_std):
        assert tuple(np.asarray(values, np.float32).tolist()) == values
    scaled = interface.standardise(observations)
    assert np.allclose(scaled.mean(0), 0, atol=1e-5)
    assert np.allclose(np.delete(scaled.std(0), 3), 1, atol=1e-3)


@pytest.mark.parametrize("noise", [-0.1, 1.5, float("nan")])
def test_impossible_noise_is_refused(noise):
    """Noise is a share of the action range."""
    with pytest.raises(UsageError, match="--noise"):
        collect_demos(PUSH_REF, DemoRequest(1, noise=noise))


def test_an_impossible_input_dropout_is_refused():
    """Of a flag or of a task; something of an observation is left."""
    with pytest.raises(UsageError, match="--input-dropout: found 1"):
        input_dropout_of(PUSH_CUBE, 1.0)
    with pytest.raises(UsageError, match="PushCube-v1: input_dropout: found nan"):
        input_dropout_of(replace(PUSH_CUBE, input_dropout=float("nan")), None)


def test_no_episode_is_refused():
    """At least one demonstration."""
    with pytest.raises(UsageError, match="--episodes 0"):
        collect_demos(PUSH_REF, DemoRequest(0))


def test_a_request_to_stop_interrupts():
    """Collecting heeds the signal before it has anything."""

    class Stopping(SilentProgress):
        def stop_signal(self):
            return 2

    with pytest.raises(InterruptedRunError):
        collect_demos(PUSH_REF, DemoRequest(20), progress=Stopping())
