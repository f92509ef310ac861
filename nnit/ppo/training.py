"""Train a graph hypernetwork by proximal policy optimisation, over many architectures at once.

In each iteration a few architectures are drawn; the hypernetwork writes a policy of each, and each
acts in episodes of its own. The update then goes over these transitions several times in
minibatches. A minibatch holds transitions of every architecture, and those of an architecture are
always looked at with the policy of that architecture: the probability of an action under another
architecture's policy says nothing.

Source: Hegde et al. 2023, "HyperPPO" (arXiv:2309.16663); Schulman et al. 2017, "Proximal policy
optimization algorithms" (arXiv:1707.06347).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from nnit.cloning import LayerTensors, flat_from_layers, run_mlp
from nnit.distributed import descend, gathered, touching, wrap
from nnit.ghn.model import GraphHyperNetwork
from nnit.mlp import Architecture, MlpSpec, PolicyInterface
from nnit.ppo.advantages import Fragment, advantages, discounted_sums
from nnit.ppo.collect import FragmentUnit
from nnit.ppo.distributions import clipped_objective, entropy, log_probability
from nnit.ppo.statistics import Statistics, no_statistics, updated
from nnit.ranks import ALONE, Ranks, Share
from nnit.seeding import numpy_generator
from nnit.tasks.task import TaskRef
from nnit.training import take_step

CRITIC_WIDTH = 64
INITIAL_LOG_STD = -0.5
MIN_STD = 1e-3  # below this an observation is as good as constant

ArchitectureSampler = Callable[[np.random.Generator], Architecture]
Explorer = Callable[[Sequence[FragmentUnit]], Sequence[Fragment]]


@dataclass(frozen=True)
class PpoSettings:
    """How the hypernetwork is trained."""

    iterations: int
    architectures: int  # drawn for each iteration
    steps: int  # of each of them
    epochs: int  # over the transitions of an iteration
    minibatches: int  # of an epoch
    learning_rate: float  # of the policies, at the start; falls linearly
    critic_learning_rate: float  # of the critic and of how far policies explore; likewise
    discount: float
    decay: float  # of the advantage estimates
    clip: float
    entropy_share: float  # weight of the entropy beside the objective
    seed: int


class Scaling(NamedTuple):
    """What is known of observations, and of discounted returns."""

    observations: Statistics
    returns: Statistics


class PpoStep(NamedTuple):
    """What one iteration tells its caller."""

    step: int  # iterations done, 1 after the first
    mean_return: float  # of its policies, exploring, before it learnt: see ``mean_of_policies``
    scaling: Scaling  # what the next iteration begins with
    acting: PolicyInterface  # the scaling that the policies of now belong to
    learning_rate: float = 0.0  # of the hypernetwork
    transitions: int = 0  # that all policies saw

    @property
    def loss(self) -> float:
        """What a curve shows."""
        return self.mean_return


class Learner(nn.Module):
    """The hypernetwork, and what only its training needs."""

    def __init__(self, ghn: GraphHyperNetwork, obs_dim: int, act_dim: int) -> None:
        super().__init__()
        self.ghn = ghn
        self.log_std = nn.Parameter(torch.full((act_dim,), INITIAL_LOG_STD))
        self.critic = nn.Sequential(
            nn.Linear(obs_dim, CRITIC_WIDTH),
            nn.Tanh(),
            nn.Linear(CRITIC_WIDTH, CRITIC_WIDTH),
            nn.Tanh(),
            nn.Linear(CRITIC_WIDTH, 1),
        )

    def value(self, observations: Tensor) -> Tensor:
        """Estimate the return from standardised observations ``(..., obs_dim)``: ``(...,)``."""
        return self.critic(observations).squeeze(-1)


def build_learner(ghn: GraphHyperNetwork, obs_dim: int, act_dim: int, seed: int) -> Learner:
    """Make a learner around a hypernetwork; torch's global generator is untouched."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Learner(ghn, obs_dim, act_dim)


def build_ppo_optimizer(learner: Learner) -> torch.optim.AdamW:
    """AdamW with a learning rate for the hypernetwork, and one for all else; set at each step.

    A weight of the hypernetwork changes all policies at once, so that it has to move less than the
    critic's; and as gradients of the two are clipped apart, an error of the critic does not take
    away what the policies may move.
    """
    own = list(learner.ghn.parameters())
    others = [learner.log_std, *learner.critic.parameters()]
    groups = [{"params": own}, {"params": others}]
    return torch.optim.AdamW(groups, lr=0.0, weight_decay=0.0, fused=True)


def no_scaling(obs_dim: int) -> Scaling:
    """Return what is believed before anything was seen."""
    return Scaling(no_statistics(obs_dim), no_statistics(1))


def with_scaling(interface: PolicyInterface, known: Statistics) -> PolicyInterface:
    """Return an interface that scales observations by their mean and deviation."""
    mean = known.mean.astype(np.float32)
    std = known.deviation.clip(MIN_STD).astype(np.float32)
    return interface._replace(obs_mean=tuple(mean.tolist()), obs_std=tuple(std.tolist()))


class Batch(NamedTuple):
    """The transitions of one architecture, ready to learn from."""

    observations: Tensor  # (T, obs_dim), standardised
    actions: Tensor  # (T, act_dim)
    log_probs: Tensor  # (T,) under the policy that acted
    advantages: Tensor  # (T,), of mean 0 and deviation 1
    targets: Tensor  # (T,) of the value


def train_ppo(
    learner: Learner,
    optimizer: torch.optim.Optimizer,
    task: TaskRef,
    interface: PolicyInterface,
    scaling: Scaling,
    sample_architecture: ArchitectureSampler,
    explore_all: Explorer,
    settings: PpoSettings,
    *,
    ranks: Ranks = ALONE,
    start: int = 0,
) -> Iterator[PpoStep]:
    """Train in place, one yield for each iteration; resumed at ``start`` it goes on exactly.

    Every iteration begins its episodes anew, so that it follows from the weights, the scaling and
    its number alone.

    Args:
        learner: The hypernetwork with its critic.
        optimizer: Over the learner's parameters.
        task: What the policies act in.
        interface: Sizes and kind of output; its scaling is not used.
        scaling: What is known of observations and returns so far.
        sample_architecture: Draws hidden widths; must refuse held-out architectures.
        explore_all: Runs units, in any processes, and returns their fragments in order.
        settings: The numbers.
        ranks: Which of the processes that train together this one is; each runs its share of the
            units.
        start: Iterations that were done before.
    """
    step_loss = wrap(ranks, StepLoss(learner, interface, settings, ranks))
    for iteration in range(start, settings.iterations):
        generator = numpy_generator(settings.seed, "architectures", iteration)
        shapes = [sample_architecture(generator) for _ in range(settings.architectures)]
        acting = with_scaling(interface, scaling.observations)
        specs = [acting.spec(shape) for shape in shapes]
        with torch.no_grad():
            networks = learner.ghn(specs)
        log_std = learner.log_std.detach().cpu().numpy()
        units = [
            FragmentUnit(
                task,
                acting,
                spec.hidden_dims,
                flat_from_layers(layers).cpu().numpy(),
                log_std,
                settings.steps,
                settings.seed,
                (iteration, k),
            )
            for k, (spec, layers) in enumerate(zip(specs, networks, strict=True))
        ]
        fragments = of_all(gathered(ranks, explore_all(units[ranks.rank :: ranks.size])))
        scaling = Scaling(
            updated(scaling.observations, np.concatenate([f.observations for f in fragments])),
            updated(scaling.returns, _discounted(fragments, settings.discount)),
        )
        reward_scale = 1 / max(scaling.returns.deviation[0], 1e-8)
        batches = [
            prepare(learner, fragment, layers, acting, reward_scale, settings)
            for fragment, layers in zip(fragments, networks, strict=True)
        ]
        left = 1 - iteration / settings.iterations
        rates = (settings.learning_rate * left, settings.critic_learning_rate * left)
        orders = numpy_generator(settings.seed, "minibatches", iteration)
        for _ in range(settings.epochs):
            for rows in minibatches(orders, batches, settings.minibatches):
                optimizer.zero_grad(set_to_none=True)
                descend(ranks, step_loss, len(specs), specs, batches, rows)
                take_step(optimizer, *rates)
        mean_return = mean_of_policies(fragments)
        transitions = sum(len(fragment.rewards) for fragment in fragments)
        yield PpoStep(iteration + 1, mean_return, scaling, acting, rates[0], transitions)


def of_all(parts: Sequence[Sequence[Fragment]]) -> list[Fragment]:
    """Put the fragments of every rank's share in the order of the units."""
    fragments: list[Any] = [None] * sum(map(len, parts))
    for k, part in enumerate(parts):
        fragments[k :: len(parts)] = part
    return fragments


def mean_of_policies(fragments: Sequence[Fragment]) -> float:
    """Return the mean, over policies, of the mean return of a policy's finished episodes.

    All policies act for as many steps, so that one that fails early finishes more episodes than the
    others; it counts no more than they do. NaN where none finished an episode.
    """
    means = [np.mean(fragment.returns) for fragment in fragments if fragment.returns]
    return float(np.mean(means)) if means else float("nan")


def _discounted(fragments: Sequence[Fragment], discount: float) -> np.ndarray:
    sums = [discounted_sums(one.rewards, one.cut, discount) for one in fragments]
    return np.concatenate(sums)[:, None]


@torch.no_grad()
def prepare(
    learner: Learner,
    fragment: Fragment,
    layers: list[LayerTensors],
    acting: PolicyInterface,
    reward_scale: float,
    settings: PpoSettings,
) -> Batch:
    """Judge what one policy did: advantages, value targets, and its own log-probabilities."""
    device = learner.log_std.device
    observations = torch.from_numpy(acting.standardise(fragment.observations)).to(device)
    following = torch.from_numpy(acting.standardise(fragment.next_observations)).to(device)
    actions = torch.from_numpy(fragment.actions).to(device)
    values = learner.value(observations).double().cpu().numpy()
    found = advantages(
        fragment.rewards * reward_scale,
        values,
        learner.value(following).double().cpu().numpy(),
        fragment.ended,
        fragment.cut,
        discount=settings.discount,
        decay=settings.decay,
    )
    outputs = run_mlp(layers, observations)
    normal = (found - found.mean()) / (found.std() + 1e-8)
    return Batch(
        observations,
        actions,
        log_probability(outputs, actions, learner.log_std, acting.output),
        torch.from_numpy(normal).float().to(device),
        torch.from_numpy(found + values).float().to(device),
    )


def minibatches(
    generator: np.random.Generator, batches: Sequence[Batch], count: int
) -> Iterator[list[Tensor]]:
    """Yield, ``count`` times, rows of every architecture; all its rows come once.

    Yields:
        For each architecture, indices of its own transitions.
    """
    orders = [np.array_split(generator.permutation(len(b.actions)), count) for b in batches]
    for k in range(count):
        yield [torch.from_numpy(order[k]) for order in orders]


class StepLoss(nn.Module):
    """The loss of some policies of a minibatch; called by ``nnit.distributed.descend``."""

    def __init__(
        self,
        learner: Learner,
        interface: PolicyInterface,
        settings: PpoSettings,
        ranks: Ranks = ALONE,
    ) -> None:
        super().__init__()
        self.learner = learner
        self._interface, self._settings, self._ranks = interface, settings, ranks

    def forward(
        self,
        share: Share,
        specs: list[MlpSpec],
        batches: Sequence[Batch],
        rows: Sequence[Tensor],
    ) -> tuple[Tensor, Tensor]:
        """Return a share's part of the mean loss: times the ranks, and once."""
        mine, size = specs[share.rows], self._ranks.size
        if not mine:
            nothing = touching(self.learner)
            return nothing, nothing.detach()
        loss = ppo_loss(
            self.learner,
            mine,
            batches[share.rows],
            rows[share.rows],
            self._interface,
            self._settings,
        ) * (len(mine) / len(specs))
        figure = loss.detach()
        return (size * loss + touching(self.learner) if size > 1 else loss), figure


def ppo_loss(
    learner: Learner,
    specs: list[MlpSpec],
    batches: Sequence[Batch],
    rows: Sequence[Tensor],
    interface: PolicyInterface,
    settings: PpoSettings,
) -> Tensor:
    """Return the loss of a minibatch: every architecture's policy on its own transitions."""
    losses = []
    for layers, batch, chosen in zip(learner.ghn(specs), batches, rows, strict=True):
        outputs = run_mlp(layers, batch.observations[chosen])
        log_probs = log_probability(
            outputs, batch.actions[chosen], learner.log_std, interface.output
        )
        objective = clipped_objective(
            log_probs, batch.log_probs[chosen], batch.advantages[chosen], settings.clip
        )
        spread = entropy(outputs, learner.log_std, interface.output).mean()
        error = (learner.value(batch.observations[chosen]) - batch.targets[chosen]).square()
        losses.append(-objective - settings.entropy_share * spread + 0.5 * error.mean())
    return torch.stack(losses).mean()
