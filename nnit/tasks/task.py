"""What a task is: the one interface through which the rest of nnit knows it.

A task says how large observations and outputs are, how an episode runs, what success is, and where
demonstrations come from: a scripted expert, or labelled examples. ``docs/tasks.md`` shows how to
add one. Imports no simulator.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from nnit.mlp import ACTION, Output
from nnit.policy_record import Setting
from nnit.tasks.layouts import UNKNOWN
from nnit.tasks.seeds import DEMOS_FIRST_SEED, MAX_SEED

HAS_NO_SIMULATOR = "was recorded on a robot, and has no simulator"


class Observed(NamedTuple):
    """What one control step shows."""

    observation: np.ndarray  # (obs_dim,) float32, raw
    success: bool  # now, after this step
    reward: float | None = None  # None: 1 in success, else 0
    done: bool = False  # the episode ends here, before the horizon


class Simulation(Protocol):
    """Episodes of a task, one at a time; an episode follows from its seed and actions alone."""

    def reset(self, seed: int) -> np.ndarray:
        """Begin the episode of a reset seed; return the observation ``(obs_dim,)`` float32."""
        ...

    def step(self, action: np.ndarray) -> Observed:
        """Go on by one step with an output ``(act_dim,)`` float32.

        Actions are within [-1, 1]; of classes the one that is chosen is 1 and the others are 0.
        """
        ...


class FilmedSimulation(Simulation, Protocol):
    """Episodes that can be seen, the same ones to the bit."""

    fps: int  # steps in a second

    def picture(self) -> np.ndarray:
        """Return what it looks like now: ``(height, width, 3)`` uint8."""
        ...


class Examples(NamedTuple):
    """Labelled inputs; the place of an example is its reset seed."""

    inputs: np.ndarray  # (N, obs_dim) float32, raw
    labels: np.ndarray  # (N,) int64, within 0 to act_dim - 1


Expert = Callable[[np.ndarray], np.ndarray]  # raw observation (obs_dim,) -> output (act_dim,)


@dataclass(frozen=True)
class Task:
    """A task.

    Reset seeds of demonstrations and of evaluation must not overlap. The seeds of a task with a
    limited number of episodes, as of labelled examples, end at ``max_seed``.
    """

    task_id: str  # letters, digits and _ . -
    obs_dim: int
    act_dim: int  # numbers of an action, or classes
    horizon: int  # most steps of an episode
    simulate: Callable[["Task"], Simulation]  # called once in a process
    expert: Expert | None = None
    examples: Callable[[], Examples] | None = None  # instead of an expert
    output: Output = ACTION
    control_mode: str = "none"  # of a robot's controller
    demo_noise: float = 0.0  # of the actions, while demonstrations are collected
    demo_episodes: int = 300  # that are collected where nobody says how many
    demo_first_seed: int = DEMOS_FIRST_SEED
    evaluation_episodes: int = 100  # of each network, where nobody says how many
    max_seed: int = MAX_SEED
    input_dropout: float = 0.0  # share of an observation hidden at random while networks learn
    shared_scaling: bool = False  # one mean and deviation for all inputs, as of pixels
    shaped: Callable[["Task"], Simulation] | None = None  # the same with rewards to learn by
    filmed: Callable[["Task"], FilmedSimulation] | None = None  # the same with pictures
    on_gpu: bool = False  # ManiSkill steps many environments of it at once on a GPU
    simulator: str | None = None  # the package whose version decides what an episode is
    setting: Setting = UNKNOWN  # control frequency and parts of the observation


class TaskRef(NamedTuple):
    """How a task is found again, in this and in other processes."""

    name: str  # an id such as PushCube-v1 or gym:CartPole-v1, or a file such as ./reach.py
    data: str | None = None  # a file of labelled examples, for tasks that need one
    typed: bool = False  # by the user: only then a name may be a file or a module
