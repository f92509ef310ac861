"""What ``import nnit`` offers: trained generators, and the policies that they write."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch

from nnit.errors import UsageError
from nnit.generators.choice import choose_task
from nnit.generators.generation import Settings, Wanted, generate_networks
from nnit.generators.names import choose_model
from nnit.generators.policy import MlpPolicy
from nnit.generators.trained import (
    TrainedGenerator,
    generator_of,
    read_generator,
)


class LoadedGenerator:
    """A trained generator, in memory.

    Args:
        trained: What was read.
        path: Where from, for messages.
    """

    def __init__(self, trained: TrainedGenerator, path: Path) -> None:
        self._trained = trained
        self.path = path

    @property
    def tasks(self) -> tuple[str, ...]:
        """The ids of the tasks that it was trained on."""
        return tuple(one.interface.task for one in self._trained.tasks)

    def sample(
        self,
        architecture: Sequence[int],
        *,
        task: str | None = None,
        samples: int = 1,
        seed: int = 0,
        steps: int = 10,
        device: str = "cpu",
    ) -> list[MlpPolicy]:
        """Generate policies of one shape; the weights are those of ``nnit sample`` at this seed.

        Shapes beyond the trained widths and depths are grown out of one within.

        Args:
            architecture: Hidden widths from the input to the output.
            task: One of ``tasks``; needed where there are several.
            samples: How many.
            seed: What all random numbers come from.
            steps: Of the sampler; 0 gives the mean of a branch.
            device: Where to generate, and where the policies are.

        Returns:
            ``samples`` modules in evaluation mode.

        Raises:
            UsageError: no such task, no shape of a network, or nothing wanted.
            ResourceError: they do not fit into memory.
        """
        if samples < 1 or steps < 0:
            raise UsageError(f"samples {samples}, steps {steps}: at least 1 and 0")
        index = choose_task(self.path, self.tasks, task)
        generator = generator_of(self._trained, index, device)
        spec = generator.interface.spec(tuple(architecture))
        settings = Settings(seed, steps, device=device)
        with one_thread():
            wanted = [Wanted(spec, k) for k in range(samples)]
            networks = generate_networks(generator, wanted, settings)
        return [MlpPolicy(one, generator.interface).to(device).eval() for one in networks]


def load_generator(model: str | Path | None = None) -> LoadedGenerator:
    """Read a trained generator.

    Args:
        model: A folder, or the name of a model that is installed, as ``nnit models`` lists them;
            by default as for ``nnit sample``.

    Raises:
        NnitError: an unknown name; missing, of another kind, damaged.
    """
    path = choose_model(None if model is None else str(model)).path
    return LoadedGenerator(read_generator(path), path)


def generate(
    task: str,
    architecture: Sequence[int],
    *,
    model: str | Path | None = None,
    seed: int = 0,
    device: str = "cpu",
) -> MlpPolicy:
    """Generate one policy of any shape for a task that a generator was trained on.

    Args:
        task: The task's id, such as ``PickCube-v1``.
        architecture: Hidden widths from the input to the output.
        model: As for ``load_generator``, which reads it once for many policies.
        seed: What all random numbers come from.
        device: Where to generate, and where the policy is.

    Raises:
        NnitError: as ``load_generator`` and ``LoadedGenerator.sample``.
    """
    (policy,) = load_generator(model).sample(architecture, task=task, seed=seed, device=device)
    return policy


@contextmanager
def one_thread() -> Iterator[None]:
    """Sum in one order, so that the last bits don't depend on how many cores a machine has."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
