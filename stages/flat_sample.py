"""Stage ``flat-sample``: generate networks with the flat-vector baseline.

Reads:   flat      kind "flat",    schema 1
Writes:  samples   kind "samples", schema 2
"""

import time
from dataclasses import dataclass
from pathlib import Path

from nnit.artifacts.manifest import Provenance
from nnit.artifacts.publish import check_output_free
from nnit.artifacts.samples import Sample, SampleSet, write_samples
from nnit.errors import UsageError, shorten
from nnit.flat.layout import has_room
from nnit.flat.model import FlatConfig
from nnit.flat.sampler import sample_flat
from nnit.generators.generation import require_room_for_all
from nnit.mlp import Architecture, format_architecture
from nnit.progress import Progress, raise_if_stopped, silent
from nnit.seeding import torch_generator
from nnit.training import prepare_torch
from stages.flat import load_flat
from stages.params import Params, RunOptions
from stages.sample import refuse_too_many


@dataclass(frozen=True)
class Inputs:
    """The model, and what it is asked for."""

    flat: Path
    architectures: tuple[Architecture, ...]  # each has to be possible
    where_possible: tuple[Architecture, ...] = ()  # what has no room is left out


@dataclass(frozen=True)
class Outputs:
    """Where the networks go."""

    samples: Path


@dataclass(frozen=True)
class Summary:
    """The numbers for the terminal and for ``metrics/flat_sample.json``."""

    networks: int
    architectures: int
    parameters: int  # of all networks
    cannot: list[str]  # architectures that the padded vector has no room for
    sampler_s: float  # seconds in the sampler for all networks


def run(
    params: Params,
    inputs: Inputs,
    outputs: Outputs,
    *,
    options: RunOptions,
    progress: Progress = silent,
) -> Summary:
    """Generate ``params.flat_sample.samples`` networks for each architecture.

    Sample ``k`` of an architecture has random numbers of its own.

    Raises:
        UsageError: an architecture wider or deeper than the padded vector has room for, none, or
            more networks than samples hold.
        ResourceError: the networks do not fit into memory.
        NnitError: a missing or damaged input, an output that can't be written, or the run was
            stopped.
    """
    check_output_free(outputs.samples, force=options.force, kind="samples")
    asked = len(inputs.architectures) + len(inputs.where_possible)
    refuse_too_many(asked * params.flat_sample.samples)
    generator = load_flat(inputs.flat, options.device)
    config = generator.model.config
    refuse_without_room(inputs.architectures, config)
    possible, cannot = sort_out(inputs.where_possible, config)
    wanted = (*inputs.architectures, *possible)
    if not wanted:
        raise UsageError(f"--arch: nothing that has room; {describe_room(config)}")
    if cannot:
        named = "; ".join(map(format_architecture, cannot))
        progress.note(f"flat-sample: cannot write {named}: {describe_room(config)}")

    prepare_torch()
    specs = [
        (k, generator.interface.spec(widths))
        for widths in wanted
        for k in range(params.flat_sample.samples)
    ]
    require_room_for_all([spec for _, spec in specs])
    progress.start("flat-sample", len(specs))
    samples, started = [], time.perf_counter()
    for k, spec in specs:
        raise_if_stopped(progress, "flat-sample: stopped; nothing was written")
        noise = torch_generator(options.seed, "flat", format_architecture(spec.hidden_dims), k)
        network = sample_flat(
            generator.model,
            spec,
            generator.standardizer,
            noise,
            num_steps=params.flat_sample.steps,
            device=options.device,
        )
        samples.append(Sample(network, options.seed, k))
        progress.advance()
    sampler_s = time.perf_counter() - started

    decides = {
        "architectures": [format_architecture(widths) for widths in wanted],
        "cannot": [format_architecture(widths) for widths in cannot],
        **params.flat_sample.model_dump(mode="json"),
    }
    write_samples(
        outputs.samples,
        SampleSet(tuple(samples), generator.interface),
        Provenance("flat-sample", decides, options.seed, {"flat": generator.digest}),
        versions=generator.versions,
        force=options.force,
    )
    return Summary(
        networks=len(samples),
        architectures=len(set(wanted)),
        parameters=sum(len(sample.network.weights) for sample in samples),
        cannot=decides["cannot"],
        sampler_s=sampler_s,
    )


def refuse_without_room(architectures: tuple[Architecture, ...], config: FlatConfig) -> None:
    """Make sure that the padded vector has room for every architecture.

    Raises:
        UsageError: a line for each that it has no room for.
    """
    _, cannot = sort_out(architectures, config)
    if cannot:
        room = describe_room(config)
        named = [shorten(format_architecture(widths)) for widths in cannot]
        raise UsageError(*(f"--arch {name}: {room}" for name in named))


def sort_out(
    architectures: tuple[Architecture, ...], config: FlatConfig
) -> tuple[list[Architecture], list[Architecture]]:
    """Return what the padded vector has room for, and the rest."""
    possible = [widths for widths in architectures if has_room(config.largest, widths)]
    return possible, [widths for widths in architectures if widths not in possible]


def describe_room(config: FlatConfig) -> str:
    """Say what the padded vector has room for."""
    return (
        f"the flat vector has room for {config.deepest} hidden layers of width up to "
        f"{config.widest}, the largest that were trained; use `nnit sample` for larger ones"
    )
