"""The official environment gives what the direct path gives."""

import pytest
import torch

from nnit.errors import InterruptedRunError, ResourceError, UsageError
from nnit.progress import SilentProgress
from nnit.rollout.batched import Batch, evaluate_batched, pad_seeds, plan_batches
from nnit.rollout.episodes import evaluate_networks
from nnit.tasks.task import TaskRef

pytestmark = pytest.mark.sim


def test_batched_outcomes_equal_those_of_the_direct_path(cloned, idle, interface):
    """Through ManiSkill's API and torch: the same episodes succeed, of every network."""
    networks = [cloned, idle]
    direct = evaluate_networks(networks, interface, 6, 3)
    batched = evaluate_batched(networks, interface, 6, 3, sim_backend="physx_cpu", num_envs=1)
    for expected, found in zip(direct, batched, strict=True):
        assert found._replace(episodes=()) == expected._replace(episodes=())
        for first, second in zip(expected.episodes, found.episodes, strict=True):
            assert second.success_once == first.success_once
            assert second.success_at_end == first.success_at_end
            assert (second.episode_ix, second.seed) == (first.episode_ix, first.seed)
            assert second.episode_len == first.episode_len


@pytest.mark.parametrize(("networks", "episodes", "envs"), [(7, 10, 32), (3, 10, 4), (2, 5, 5)])
def test_every_network_runs_every_episode_once_beside_the_same_ones(networks, episodes, envs):
    """No batch is too large, and the episodes of all networks are split alike."""
    batches = plan_batches(networks, episodes, envs)
    assert all(len(b.networks) * len(b.episodes) <= envs for b in batches)
    split = [[b.episodes for b in batches if network in b.networks] for network in range(networks)]
    assert [e for part in split[0] for e in part] == list(range(episodes))
    assert all(one == split[0] for one in split)


def test_a_hundred_networks_share_a_simulation():
    """Those that fit; the last round has the rest."""
    batches = plan_batches(25, 100, 2048)
    assert batches == [Batch(range(20), range(100)), Batch(range(20, 25), range(100))]
    assert pad_seeds([4, 5], 4) == [4, 5, 5, 5]


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_a_missing_cuda_device_is_one_line(cloned, interface):
    """Without a GPU the batched path says so before it builds anything."""
    with pytest.raises(ResourceError, match="no CUDA device") as caught:
        evaluate_batched([cloned], interface, 5)
    assert "\n" not in str(caught.value)


def test_the_cpu_has_one_environment(cloned, interface):
    """Many environments on the CPU backend are refused."""
    with pytest.raises(UsageError, match="one environment"):
        evaluate_batched([cloned], interface, 5, sim_backend="physx_cpu")


class Stopping(SilentProgress):
    """Asks to stop after some episodes; counts all."""

    def __init__(self, after):
        """Count from 0."""
        self.after, self.done, self.advanced = after, 0, 0

    def start(self, label, total, done=0):
        """Take note of what was done before."""
        self.done = done

    def advance(self, units=1, *, share=None, **figures):
        """Count."""
        self.advanced += units

    def stop_signal(self):
        """Return SIGTERM once there are enough."""
        return 15 * (self.done + self.advanced >= self.after)


def test_a_request_to_stop_interrupts_and_what_was_run_is_kept(cloned, idle, interface):
    """The signal is heeded between batches; later the others are run, and all is the same."""
    networks, kept = [cloned, idle], {}
    on_cpu = {"sim_backend": "physx_cpu", "num_envs": 1}
    with pytest.raises(InterruptedRunError, match="after 3 of 6 episodes") as caught:
        evaluate_batched(
            networks, interface, 3, progress=Stopping(3), on_unit=kept.__setitem__, **on_cpu
        )
    assert caught.value.exit_code == 143
    rest = Stopping(100)
    resumed = evaluate_batched(networks, interface, 3, progress=rest, done_units=kept, **on_cpu)
    assert (rest.done, rest.advanced) == (3, 3)
    assert resumed == evaluate_batched(networks, interface, 3, **on_cpu)


def test_the_task_that_was_asked_for_is_refused_by_its_name(cloned, interface):
    """Whatever the networks say."""
    task = TaskRef("gym:CartPole-v1")
    with pytest.raises(UsageError, match="gym:CartPole-v1 has no simulation there"):
        evaluate_batched([cloned], interface, 3, sim_backend="physx_cpu", num_envs=1, task=task)
