"""Stage ``sample``: generate networks of the architectures that are asked for.

Reads:   generator   kind "generator", schema 1
Writes:  samples     kind "samples",   schema 1
"""

import time
from dataclasses import dataclass
from pathlib import Path

from nnit.artifacts.manifest import Provenance
from nnit.artifacts.publish import check_output_free
from nnit.artifacts.reading import require_memory
from nnit.artifacts.samples import Sample, SampleSet, write_samples
from nnit.diffusion.sampler import sample_network
from nnit.errors import InterruptedRunError
from nnit.mlp import Architecture, MlpSpec, format_architecture
from nnit.progress import Progress, silent
from nnit.seeding import torch_generator
from nnit.tokens.patches import count_patches
from nnit.training import prepare_torch
from stages.generator import Generator, load_generator
from stages.params import Params, RunOptions


@dataclass(frozen=True)
class Inputs:
    """The generator, and what it is asked for."""

    generator: Path
    architectures: tuple[Architecture, ...]


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
    """Generate ``params.sample.samples`` networks of each architecture.

    Sample ``k`` of an architecture has noise of its own, so that it does not depend on what else
    is sampled beside it.

    Raises:
        ResourceError: an architecture whose attention does not fit into memory.
        NnitError: a missing or damaged input, an output that can't be written, or the run was
            stopped.
    """
    check_output_free(outputs.samples, force=options.force, kind="samples")
    generator = load_generator(inputs.generator, options.device)
    specs = [generator.interface.spec(widths) for widths in inputs.architectures]
    for spec in specs:
        require_attention_memory(spec, generator)

    prepare_torch()
    section = params.sample
    progress.start("sample", len(specs) * section.samples)
    samples, started = [], time.perf_counter()
    for spec in specs:
        for k in range(section.samples):
            raise_if_stopped(progress)
            samples.append(draw(generator, spec, k, params, options))
            progress.advance()
    sampler_s = time.perf_counter() - started

    decides = {
        "architectures": [format_architecture(widths) for widths in inputs.architectures],
        **section.model_dump(mode="json"),
    }
    write_samples(
        outputs.samples,
        SampleSet(tuple(samples), generator.interface),
        Provenance("sample", decides, options.seed, {"generator": generator.digest}),
        force=options.force,
    )
    return Summary(
        networks=len(samples),
        architectures=len(set(inputs.architectures)),
        parameters=sum(len(sample.network.weights) for sample in samples),
        sampler_s=sampler_s,
    )


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
