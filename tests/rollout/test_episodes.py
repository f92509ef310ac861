"""Evaluation: the same for any number of workers, resumable, whole episodes."""

import numpy as np
import pytest

from nnit.engine import ONE_WORKER, Engine
from nnit.errors import InterruptedRunError, UsageError
from nnit.policy import NumpyPolicy
from nnit.progress import SilentProgress
from nnit.rollout.episodes import (
    EpisodeRange,
    UnitKey,
    evaluate_expert,
    evaluate_networks,
    open_evaluator,
    run_episode,
    run_trajectory,
)
from nnit.tasks.registry import process_simulation
from nnit.tasks.task import TaskRef

pytestmark = pytest.mark.sim

EPISODES = 27  # more than one unit, not a multiple of one


class _Counter(SilentProgress):
    """Counts episodes, and asks to stop after so many."""

    def __init__(self, stop_after=None):
        self.total = self.done = 0
        self.stop_after = stop_after

    def start(self, label, total, done=0):
        self.total, self.done = total, done

    def advance(self, units=1, *, share=None, **figures):
        self.done += units

    def stop_signal(self):
        return 2 if self.stop_after is not None and self.done >= self.stop_after else 0


@pytest.fixture(scope="module")
def saved_units():
    """What ``on_unit`` was given."""
    return {}


@pytest.fixture(scope="module")
def evaluations(cloned, idle, interface, saved_units):
    """Both networks, evaluated by one worker."""
    return evaluate_networks([cloned, idle], interface, EPISODES, on_unit=saved_units.__setitem__)


def test_result_does_not_depend_on_workers(evaluations, cloned, idle, interface):
    """One worker and two report the same of every episode."""
    assert evaluate_networks([cloned, idle], interface, EPISODES, engine=Engine(2)) == evaluations


def test_result_does_not_depend_on_company(evaluations, cloned, interface):
    """A network alone, on some of the episodes, gets what it got among others."""
    (alone,) = evaluate_networks([cloned], interface, 3, first_seed=24)
    expected = [e._replace(episode_ix=e.episode_ix - 24) for e in evaluations[0].episodes[24:]]
    assert list(alone.episodes) == expected


def test_evaluations_tell_networks_apart(evaluations):
    """A cloned policy succeeds where a network of zeros never does."""
    clone, idle = evaluations
    assert clone.success_at_end > 0.9
    assert idle.success_once == 0
    assert [episode.seed for episode in clone.episodes] == list(range(EPISODES))
    assert [episode.episode_ix for episode in clone.episodes] == list(range(EPISODES))
    assert {episode.episode_len for episode in clone.episodes} == {50}
    assert (idle.name, idle.source, idle.hidden_dims) == ("idle", "sample", (8, 8))


def test_saved_units_are_not_run_again(evaluations, cloned, idle, interface, saved_units):
    """Resuming with some units saved runs the others alone and ends in the same result."""
    missing = UnitKey("clone", 25)
    done_units = {key: unit for key, unit in saved_units.items() if key != missing}
    ran, progress = {}, _Counter()
    resumed = evaluate_networks(
        [cloned, idle],
        interface,
        EPISODES,
        progress=progress,
        on_unit=ran.__setitem__,
        done_units=done_units,
    )
    assert resumed == evaluations
    assert list(ran) == [missing]
    assert progress.done == progress.total == 2 * EPISODES


def test_units_of_other_seeds_are_run_again(cloned, interface, saved_units):
    """A saved unit of the same name but other initial states is not taken for done."""
    ran = {}
    evaluate_networks([cloned], interface, 3, 500, on_unit=ran.__setitem__, done_units=saved_units)
    assert list(ran) == [UnitKey("clone", 0)]


def test_an_interrupted_evaluation_has_handed_out_its_units(cloned, interface):
    """Units finished before the signal went to ``on_unit``."""
    ran = {}
    with pytest.raises(InterruptedRunError):
        evaluate_networks(
            [cloned], interface, 50, progress=_Counter(stop_after=25), on_unit=ran.__setitem__
        )
    assert list(ran) == [UnitKey("clone", 0)]


def test_trajectories_are_recorded_on_request(cloned, interface, saved_units):
    """A recorded trajectory is the episode: success per step, one observation more than actions."""
    ran = {}
    evaluate_networks([cloned], interface, 3, on_unit=ran.__setitem__, record=True)
    unit = ran[UnitKey("clone", 0)]
    policy = NumpyPolicy(interface, cloned.hidden_dims, cloned.weights)
    assert len(unit.trajectories) == 3
    for index, trajectory in enumerate(unit.trajectories):
        assert trajectory.observations.shape == (51, 35)
        assert trajectory.actions.shape == (50, 4)
        assert trajectory.episode(index) == unit.episodes[index]
        for observation, action in zip(trajectory.observations, trajectory.actions, strict=False):
            assert np.array_equal(policy(observation), action)
    assert all(not saved.trajectories for saved in saved_units.values())


def test_an_episode_is_the_summary_of_its_trajectory(cloned, interface):
    """``run_episode`` reports what ``run_trajectory`` records, in this process too."""
    simulation = process_simulation("PushCube-v1")
    policy = NumpyPolicy(interface, cloned.hidden_dims, cloned.weights)
    trajectory = run_trajectory(simulation, policy, 3, 50)
    assert run_episode(simulation, policy, 3, 50, 9) == trajectory.episode(9)


def test_absurd_weights_fail_without_noise(cloned, interface, capfd):
    """A network of NaN or huge weights never succeeds, and says nothing on stderr."""
    broken = [
        cloned._replace(name=str(scale), weights=cloned.weights * np.float32(scale))
        for scale in (np.nan, 1e30)
    ]
    for evaluation in evaluate_networks(broken, interface, 2):
        assert evaluation.success_once == 0
    assert capfd.readouterr().err == ""


def test_expert_is_evaluated_like_a_network():
    """The scripted expert solves the task on evaluation seeds."""
    evaluation = evaluate_expert(TaskRef("PushCube-v1"), 26)
    assert evaluation.success_at_end == 1
    assert (evaluation.name, evaluation.source, evaluation.hidden_dims) == ("expert", "expert", ())
    assert [episode.seed for episode in evaluation.episodes] == list(range(26))


def test_bad_requests_are_refused(cloned, interface):
    """Twice the same name, no episode, an unknown task: usage errors before any work."""
    with pytest.raises(UsageError, match="same name"):
        evaluate_networks([cloned, cloned], interface, 5)
    with pytest.raises(UsageError, match="--episodes 0"):
        evaluate_networks([cloned], interface, 0)
    with pytest.raises(UsageError, match="PushCube-v1"):
        evaluate_networks([cloned], interface._replace(task="PushCube-v2"), 5)


def test_stopping_at_success_changes_no_success_once(evaluations, cloned, idle, interface):
    """Episode by episode; one that succeeds is shorter, one that fails goes to the horizon."""
    stopped = evaluate_networks([cloned, idle], interface, EPISODES, stop_on_success=True)
    for whole, short in zip(evaluations, stopped, strict=True):
        for one, other in zip(whole.episodes, short.episodes, strict=True):
            assert (one.seed, one.success_once) == (other.seed, other.success_once)
            assert (other.episode_len < one.episode_len) == one.success_once


def test_rounds_of_episodes_give_the_same_success(evaluations, cloned, idle, interface):
    """Some episodes now, some later, by workers that stay: each as in the whole evaluation."""
    with open_evaluator(interface, 0, ONE_WORKER) as evaluator:
        rounds = [
            evaluator.run([EpisodeRange(cloned, 0, 2), EpisodeRange(idle, 1, 1)]),
            evaluator.run([EpisodeRange(cloned, 2, 3)]),
        ]
    clone, still = ([e.success_once for e in one.episodes] for one in evaluations)
    assert rounds == [[tuple(clone[:2]), tuple(still[1:2])], [tuple(clone[2:5])]]
