"""Stage ``sample``: generate networks of the architectures that are asked for, or of any.

Reads:   generator   kind "generator", schema 1
Writes:  samples     kind "samples",   schema 1
"""

import time
from dataclasses import asdict, dataclass
from pathlib import Path

from nnit.artifacts.manifest import Provenance
from nnit.artifacts.publish import check_output_free
from nnit.artifacts.reading import require_memory
from nnit.artifacts.samples import Sample, SampleSet, write_samples
from nnit.diffusion.architecture import ArchitectureBounds, generate_architecture
from nnit.diffusion.sampler import sample_network
from nnit.errors import InterruptedRunError, UsageError
from nnit.mlp import MlpSpec, format_architecture
from nnit.progress import Progress, silent
from nnit.seeding import torch_generator
from nnit.tokens.patches import count_patches
from nnit.tokens.sequence import PartialArchitecture
from nnit.training import prepare_torch
from stages.generator import Generator, load_generator
from stages.params import Params, RunOptions
from stages.patterns import format_pattern

UNBOUNDED = ArchitectureBounds()


@dataclass(frozen=True)
class Inputs:
    """The generator, and what it is asked for."""

    generator: Path
    architectures: tuple[PartialArchitecture | None, ...]  # None: generated too, like a star
    bounds: ArchitectureBounds = UNBOUNDED  # on what is generated


@dataclass(frozen=True)
class Outputs:
    """Where the networks go."""

    samples: Path


@dataclass(frozen=True)
class Summary:
    """The numbers for the terminal and for ``metrics/sample.json``."""

    networks: int
    architectures: int
    parameters: int  # of all networks
    sampler_s: float  # seconds in the sampler for all networks


def run(
    params: Params,
    inputs: Inputs,
    outputs: Outputs,
    *,
    options: RunOptions,
    progress: Progress = silent,
) -> Summary:
    """Generate ``params.sample.samples`` networks for each architecture or pattern.

    Sample ``k`` of a pattern has random numbers of its own, so that it does not depend on what
    else is sampled beside it.

    Raises:
        UsageError: bounds that nothing meets, or a pattern deeper than what may be generated.
        ResourceError: an architecture whose attention does not fit into memory.
        NnitError: a missing or damaged input, an output that can't be written, or the run was
            stopped.
    """
    check_output_free(outputs.samples, force=options.force, kind="samples")
    generator = load_generator(inputs.generator, options.device)
    prepare_torch()
    count, started = params.sample.samples, time.perf_counter()
    # All architectures first: an impossible request fails before any weight is generated.
    specs = [
        (k, complete(generator, pattern, k, inputs.bounds, options))
        for pattern in inputs.architectures
        for k in range(count)
    ]
    progress.start("sample", len(specs))
    samples = []
    for k, spec in specs:
        raise_if_stopped(progress)
        samples.append(draw(generator, spec, k, params, options))
        progress.advance()
    sampler_s = time.perf_counter() - started

    decides = {
        "architectures": [format_pattern(pattern) for pattern in inputs.architectures],
        "bounds": asdict(inputs.bounds),
        **params.sample.model_dump(mode="json"),
    }
    write_samples(
        outputs.samples,
        SampleSet(tuple(samples), generator.interface),
        Provenance("sample", decides, options.seed, {"generator": generator.digest}),
        force=options.force,
    )
    return Summary(
        networks=len(samples),
        architectures=len({sample.network.hidden_dims for sample in samples}),
        parameters=sum(len(sample.network.weights) for sample in samples),
        sampler_s=sampler_s,
    )


def complete(
    generator: Generator,
    pattern: PartialArchitecture | None,
    k: int,
    bounds: ArchitectureBounds,
    options: RunOptions,
) -> MlpSpec:
    """Generate what a pattern leaves open, within bounds.

    Raises:
        UsageError: the pattern is deeper than what may be generated, or out of bounds.
        ResourceError: too large for the memory.
    """
    deepest = max(generator.model.config.arch_depths)
    if pattern is not None and None in pattern and len(pattern) > deepest:
        raise UsageError(
            f"--arch {format_pattern(pattern)}: {len(pattern)} hidden layers, but widths are "
            f"generated for up to {deepest}; give every width of a deeper network"
        )
    chance = torch_generator(options.seed, "architecture", format_pattern(pattern), k)
    widths = generate_architecture(generator.model, pattern, bounds, generator.interface, chance)
    spec = generator.interface.spec(widths)
    require_attention_memory(spec, generator)
    return spec


def draw(
    generator: Generator, spec: MlpSpec, k: int, params: Params, options: RunOptions
) -> Sample:
    """Generate sample ``k`` of an architecture."""
    noise = torch_generator(options.seed, "sample", format_architecture(spec.hidden_dims), k)
    network = sample_network(
        generator.model,
        spec,
        generator.patch_size,
        generator.standardizer,
        noise,
        num_steps=params.sample.steps,
        device=options.device,
    )
    return Sample(network, options.seed, k)


def require_attention_memory(spec: MlpSpec, generator: Generator) -> None:
    """Refuse a network whose attention logits (float32, a few copies) exceed the memory.

    Raises:
        ResourceError: they do.
    """
    weights, biases = count_patches(spec, generator.patch_size)
    length = weights + biases + spec.depth + 1
    num_bytes = 4 * 4 * generator.model.config.heads * length**2
    require_memory(num_bytes, f"--arch {format_architecture(spec.hidden_dims)}")


def raise_if_stopped(progress: Progress) -> None:
    """Stop between two networks; nothing was written.

    Raises:
        InterruptedRunError: the caller asked to stop.
    """
    signal_number = progress.stop_signal()
    if signal_number:
        raise InterruptedRunError(signal_number, "sample: stopped; nothing was written")
