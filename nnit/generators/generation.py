"""Ask a trained generator for networks of any shape: what is wanted in, weights out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from nnit.artifacts.reading import require_memory
from nnit.diffusion.architecture import (
    generate_architecture,
)
from nnit.diffusion.sampler import (
    DataPredictor,
    SampleRequest,
    choose_branch,
    choose_manner,
    sample_networks,
)
from nnit.errors import UsageError, shorten
from nnit.generators.trained import Generator
from nnit.growing import Growth, grow_network, plan_growth
from nnit.mlp import MlpSpec, Network, format_architecture
from nnit.patterns import ArchitectureBounds, PartialArchitecture, format_pattern
from nnit.progress import Progress, raise_if_stopped, silent
from nnit.seeding import torch_generator
from nnit.tokens.patches import count_patches

COPIES = 4  # of weights, and of attention logits, that are in memory at a time
COPIES_OF_ALL = 2  # of the weights of all networks: they are written together


class Wanted(NamedTuple):
    """One network to generate."""

    spec: MlpSpec
    k: int  # index among the samples of its shape


@dataclass(frozen=True)
class Settings:
    """How networks are generated."""

    seed: int = 0
    steps: int = 10  # of the sampler; 0: what is typical of a branch, and of nothing else
    # Ask for no shape beyond the trained widths and depths, but for one within that is grown to it.
    grow: bool = True
    device: str = "cpu"


def generate_networks(
    generator: Generator,
    wanted: Sequence[Wanted],
    settings: Settings,
    progress: Progress = silent,
    label: str = "networks",
) -> list[Network]:
    """Generate networks; each has random numbers of its own, whatever is generated beside it.

    Args:
        generator: Generates them.
        wanted: Of which shapes.
        settings: How.
        progress: Is told of each network.
        label: What they are called there.

    Raises:
        UsageError: no step, of a generator that knows of nothing that is typical.
        ResourceError: a network, or all of them, do not fit into memory.
        InterruptedRunError: the caller asked to stop.
    """
    predict = predictor(generator, settings.steps)
    requests = [request(generator, one, settings) for one in wanted]
    for one, asked in zip(wanted, requests, strict=True):
        require_room(one.spec, asked.spec, generator)
    require_room_for_all([one.spec for one in wanted])
    progress.start(label, len(requests))
    networks: dict[int, Network] = {}
    for position, network in sample_networks(
        predict,
        requests,
        generator.patch_size,
        generator.standardizer,
        num_steps=max(1, settings.steps),
        device=settings.device,
    ):
        raise_if_stopped(progress, "sample: stopped; nothing was written")
        spec = wanted[position].spec
        networks[position] = grow_network(network, spec, growth_of(generator, spec))
        progress.advance()
    return [networks[k] for k in range(len(wanted))]


def predictor(generator: Generator, steps: int) -> DataPredictor:
    """Return what the sampler asks: the transformer, or without a step the mean of the branch.

    Raises:
        UsageError: no step, of a generator that knows of nothing that is typical.
    """
    if steps:
        return generator.model
    if generator.model.config.places is None:
        raise UsageError("--steps 0: this generator keeps no mean of a branch; give at least 1")
    return lambda batch, _t_arch, _t_weight: generator.model.typical(batch)


def request(generator: Generator, wanted: Wanted, settings: Settings) -> SampleRequest:
    """Return what the sampler is asked for, to get a network that is wanted."""
    spec, k = wanted
    text = format_architecture(spec.hidden_dims)
    task, branches = generator.place
    # Generators without a typical content are older, and were never asked for more than a branch.
    choose_one = choose_branch if generator.model.config.places is None else choose_manner
    core = growth_of(generator, spec).core if settings.grow else spec.hidden_dims
    return SampleRequest(
        replace(spec, hidden_dims=core),
        choose_one(branches, torch_generator(settings.seed, "branch", text), k),
        torch_generator(settings.seed, "sample", text, k),
        task,
    )


def growth_of(generator: Generator, spec: MlpSpec) -> Growth:
    """Return how a shape is grown from one that is within the trained widths and depths."""
    values = generator.values
    return plan_growth(spec.hidden_dims, max(values.widths), max(values.depths))


def complete(
    generator: Generator,
    pattern: PartialArchitecture | None,
    k: int,
    bounds: ArchitectureBounds,
    seed: int,
) -> MlpSpec:
    """Generate what a pattern leaves open, within bounds; None leaves all open.

    Raises:
        UsageError: the pattern is deeper than what may be generated, or out of bounds.
    """
    deepest = max(generator.values.depths)
    if pattern is not None and None in pattern and len(pattern) > deepest:
        raise UsageError(
            f"--arch {shorten(format_pattern(pattern))}: {len(pattern)} hidden layers, but widths "
            f"are generated for up to {deepest}; give every width of a deeper network"
        )
    chance = torch_generator(seed, "architecture", format_pattern(pattern), k)
    widths = generate_architecture(
        generator.model,
        pattern,
        bounds,
        generator.interface,
        chance,
        task=generator.place.task,
        values=generator.values,
    )
    return generator.interface.spec(widths)


def require_room(spec: MlpSpec, generated: MlpSpec, generator: Generator) -> None:
    """Refuse a network that does not fit into memory, a few copies (float32) of what it needs.

    Args:
        spec: The network that is wanted.
        generated: What is generated for it: itself, or the smaller one that it is grown out of.
        generator: What is asked.

    Raises:
        ResourceError: its weights, or the attention logits of what is generated, do not fit.
    """
    what = f"--arch {shorten(format_architecture(spec.hidden_dims))}"
    require_memory(COPIES * 4 * spec.num_parameters, what)
    weights, biases = count_patches(generated, generator.patch_size)
    length = weights + biases + generated.depth + 1
    require_memory(COPIES * 4 * generator.model.config.heads * length**2, what)


def require_room_for_all(specs: Sequence[MlpSpec]) -> None:
    """Refuse networks that do not fit into memory together.

    Raises:
        ResourceError: they do not.
    """
    num_bytes = COPIES_OF_ALL * 4 * sum(spec.num_parameters for spec in specs)
    require_memory(num_bytes, f"{len(specs)} networks")
