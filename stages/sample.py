"""Stage ``sample``: generate networks of the architectures that are asked for, or of any.

Reads:   generator   kind "generator", schema 1 or 2
         demos       kind "demos",     schema 1 (to choose the best candidates by)
Writes:  samples     kind "samples",   schema 2
"""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nnit.artifacts.demos import read_demos
from nnit.artifacts.manifest import Provenance
from nnit.artifacts.publish import check_output_free
from nnit.artifacts.reading import require_memory
from nnit.artifacts.samples import MAX_NETWORKS, Sample, SampleSet, write_samples
from nnit.cloning import CloningData, cloning_data, network_loss
from nnit.diffusion.architecture import (
    ArchitectureBounds,
    format_pattern,
    generate_architecture,
)
from nnit.diffusion.sampler import SampleRequest, choose_branch, choose_manner, sample_networks
from nnit.errors import InterruptedRunError, UsageError, shorten
from nnit.growing import Growth, grow_network, plan_growth
from nnit.mlp import (
    MlpSpec,
    Network,
    PolicyInterface,
    format_architecture,
)
from nnit.progress import Progress, silent
from nnit.seeding import torch_generator
from nnit.tokens.patches import count_patches
from nnit.tokens.sequence import PartialArchitecture
from nnit.training import prepare_torch
from stages.generator import Generator, choose_interface, load_generator
from stages.lineage import on_other_demonstrations
from stages.params import Params, RunOptions, SampleParams

UNBOUNDED = ArchitectureBounds()
COPIES = 4  # of weights, and of attention logits, that are in memory at a time
COPIES_OF_ALL = 2  # of the weights of all networks: they are written together


@dataclass(frozen=True)
class Inputs:
    """The generator, and what it is asked for."""

    generator: Path
    architectures: tuple[PartialArchitecture | None, ...]  # None: generated too, like a star
    bounds: ArchitectureBounds = UNBOUNDED  # on what is generated
    demos: Path | None = None  # what the best of several candidates is chosen by
    task: str | None = None  # the id of one that the generator knows


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
    sampler_s: float  # seconds in the sampler for all networks, choosing included


class Wanted(NamedTuple):
    """One network to write."""

    spec: MlpSpec
    k: int  # index among the samples of its pattern


class Judge(NamedTuple):
    """Demonstrations that candidates are compared on."""

    data: CloningData
    digest: str  # of the artifact


def run(
    params: Params,
    inputs: Inputs,
    outputs: Outputs,
    *,
    options: RunOptions,
    progress: Progress = silent,
) -> Summary:
    """Generate ``params.sample.samples`` networks for each architecture or pattern.

    Shapes beyond the trained widths and depths are grown or generated as a whole, as
    ``params.sample.beyond`` says.
    Sample ``k`` of a pattern has random numbers of its own, so that it does not depend on what
    else is sampled beside it. With ``params.sample.best_of`` above 1 each is the best of so many
    candidates by cloning loss on demonstrations.

    Raises:
        UsageError: bounds that nothing meets, a pattern deeper than what may be generated,
            candidates without demonstrations to choose by, a task that the generator does not
            know or that is not said where it knows several, or more networks than samples hold.
        WrongKindError: demonstrations of another task.
        ResourceError: a network, or all of them, do not fit into memory.
        NnitError: a missing or damaged input, an output that can't be written, or the run was
            stopped.
    """
    check_output_free(outputs.samples, force=options.force, kind="samples")
    section = params.sample
    refuse_too_many(len(inputs.architectures) * section.samples * section.best_of)
    generator = load_generator(inputs.generator, options.device, inputs.task)
    judge, parents = read_judge(inputs, generator, section), {"generator": generator.digest}
    if judge is not None:
        parents["demos"] = judge.digest
    prepare_torch()
    started = time.perf_counter()
    # All architectures first: an impossible request fails before any weight is generated.
    wanted = [
        Wanted(complete(generator, pattern, k, inputs.bounds, options), k)
        for pattern in inputs.architectures
        for k in range(section.samples)
    ]
    candidates = generate(generator, wanted, params, options, progress)
    samples = [choose(those, judge, generator.interface) for those in candidates]
    sampler_s = time.perf_counter() - started

    decides = {
        "architectures": [format_pattern(pattern) for pattern in inputs.architectures],
        "bounds": asdict(inputs.bounds),
        **generator.choice,
        **section.model_dump(mode="json"),
    }
    write_samples(
        outputs.samples,
        SampleSet(tuple(samples), generator.interface),
        Provenance("sample", decides, options.seed, parents),
        versions=generator.versions,
        force=options.force,
    )
    return Summary(
        networks=len(samples),
        architectures=len({sample.network.hidden_dims for sample in samples}),
        parameters=sum(len(sample.network.weights) for sample in samples),
        sampler_s=sampler_s,
    )


def check_task(params: Params, inputs: Inputs) -> None:
    """Make sure of the task before anything is read; errors are those of ``run``."""
    del params
    choose_interface(inputs.generator, inputs.task)


def read_judge(inputs: Inputs, generator: Generator, section: SampleParams) -> Judge | None:
    """Read the demonstrations that the best candidates are chosen by.

    Raises:
        UsageError: candidates without demonstrations, or the other way round.
        WrongKindError: demonstrations of another task.
        NnitError: missing, of another kind, damaged.
    """
    if section.best_of == 1 and inputs.demos is None:
        return None
    if inputs.demos is None:
        raise UsageError(
            f"--best-of {section.best_of}: needs --demos, a few demonstrations to choose by"
        )
    if section.best_of == 1:
        raise UsageError("--demos: nothing to choose; give --best-of, as in --best-of 8")
    demos, artifact = read_demos(inputs.demos)
    demos = on_other_demonstrations(inputs.generator, generator.interface, inputs.demos, demos)
    return Judge(cloning_data(demos), artifact.digest)


def generate(
    generator: Generator,
    wanted: Sequence[Wanted],
    params: Params,
    options: RunOptions,
    progress: Progress,
) -> list[list[Sample]]:
    """Generate ``best_of`` candidates for each network that is wanted.

    Candidate ``j`` of sample ``k`` is what sample ``k * best_of + j`` would be without choosing.

    Raises:
        ResourceError: a network, or all of them, do not fit into memory.
    """
    best_of = params.sample.best_of
    within = params.sample.beyond == "grow"
    indices = [one.k * best_of + j for one in wanted for j in range(best_of)]
    specs = [one.spec for one in wanted for _ in range(best_of)]
    requests = [
        request(generator, spec, index, options.seed, within=within)
        for spec, index in zip(specs, indices, strict=True)
    ]
    for spec, asked in zip(specs, requests, strict=True):
        require_room(spec, asked.spec, generator)
    require_room_for_all(specs)
    progress.start("sample", len(requests))
    networks: dict[int, Network] = {}
    for position, network in sample_networks(
        generator.model,
        requests,
        generator.patch_size,
        generator.standardizer,
        num_steps=params.sample.steps,
        device=options.device,
    ):
        raise_if_stopped(progress)
        spec = specs[position]
        networks[position] = grow_network(network, spec, growth_of(generator, spec))
        progress.advance()
    samples = [Sample(networks[k], options.seed, index) for k, index in enumerate(indices)]
    return [samples[start : start + best_of] for start in range(0, len(samples), best_of)]


def request(
    generator: Generator, spec: MlpSpec, k: int, seed: int, *, within: bool
) -> SampleRequest:
    """Return the request for sample ``k`` of an architecture.

    Args:
        generator: What is asked.
        spec: The shape that is wanted.
        k: Index of the sample among those of its shape.
        seed: Of the command.
        within: Ask for no shape beyond the trained widths and depths, but for one that the
            wanted one is grown out of.
    """
    text = format_architecture(spec.hidden_dims)
    task, branches = generator.place
    # Generators without a typical content are older, and were never asked for more than a branch.
    choose_one = choose_branch if generator.model.config.places is None else choose_manner
    return SampleRequest(
        replace(spec, hidden_dims=growth_of(generator, spec).core) if within else spec,
        choose_one(branches, torch_generator(seed, "branch", text), k),
        torch_generator(seed, "sample", text, k),
        task,
    )


def growth_of(generator: Generator, spec: MlpSpec) -> Growth:
    """Return how a shape is grown from one that is within the trained widths and depths."""
    values = generator.values
    return plan_growth(spec.hidden_dims, max(values.widths), max(values.depths))


def choose(candidates: list[Sample], judge: Judge | None, interface: PolicyInterface) -> Sample:
    """Return the candidate with the lowest cloning loss; the only one where there is no judge."""
    if judge is None:
        return candidates[0]
    losses = [network_loss(sample.network, interface, judge.data) for sample in candidates]
    return candidates[int(np.argmin(losses))]


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
    """
    deepest = max(generator.values.depths)
    if pattern is not None and None in pattern and len(pattern) > deepest:
        raise UsageError(
            f"--arch {shorten(format_pattern(pattern))}: {len(pattern)} hidden layers, but widths "
            f"are generated for up to {deepest}; give every width of a deeper network"
        )
    chance = torch_generator(options.seed, "architecture", format_pattern(pattern), k)
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


def refuse_too_many(networks: int) -> None:
    """Refuse more networks than samples may hold.

    Raises:
        UsageError: it is more.
    """
    if networks > MAX_NETWORKS:
        raise UsageError(
            f"--samples: {networks} networks in all, at most {MAX_NETWORKS}; ask for fewer at once"
        )


def require_room_for_all(specs: Sequence[MlpSpec]) -> None:
    """Refuse networks that do not fit into memory together.

    Raises:
        ResourceError: they do not.
    """
    num_bytes = COPIES_OF_ALL * 4 * sum(spec.num_parameters for spec in specs)
    require_memory(num_bytes, f"{len(specs)} networks")


def raise_if_stopped(progress: Progress) -> None:
    """Stop between two networks; nothing was written.

    Raises:
        InterruptedRunError: the caller asked to stop.
    """
    signal_number = progress.stop_signal()
    if signal_number:
        raise InterruptedRunError(signal_number, "sample: stopped; nothing was written")
