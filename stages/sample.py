"""Stage ``sample``: generate networks of the architectures that are asked for, or of any.

Reads:   generator   kind "generator", schema 1, 2 or 3
         demos       kind "demos",     schema 1 (to choose the best candidates by)
Writes:  samples     kind "samples",   schema 2
"""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nnit.artifacts.demos import read_demos
from nnit.artifacts.manifest import Provenance
from nnit.artifacts.publish import check_output_free
from nnit.artifacts.reading import open_artifact
from nnit.artifacts.samples import MAX_NETWORKS, Sample, SampleSet, write_samples
from nnit.cloning import CloningData, cloning_data, network_loss
from nnit.errors import UsageError
from nnit.generators.choice import choose_interface
from nnit.generators.generation import Settings, Wanted, complete, generate_networks
from nnit.generators.trained import Generator, load_generator
from nnit.growing import plan_growth
from nnit.mlp import Architecture, PolicyInterface, format_architecture
from nnit.patterns import ArchitectureBounds, PartialArchitecture, format_pattern
from nnit.progress import Progress, silent
from nnit.training import prepare_torch
from stages.lineage import on_other_demonstrations, refuse_trained_on_held_out
from stages.params import Params, RunOptions, SampleParams

SHOWN_NOTES = 5  # of shapes outside the trained range
UNBOUNDED = ArchitectureBounds()


@dataclass(frozen=True)
class Inputs:
    """The generator, and what it is asked for."""

    generator: Path
    architectures: tuple[PartialArchitecture | None, ...]  # None: generated too, like a star
    bounds: ArchitectureBounds = UNBOUNDED  # on what is generated
    demos: Path | None = None  # what the best of several candidates is chosen by
    task: str | None = None  # the id of one that the generator knows
    held_out: bool = False  # asked for as shapes that no training saw


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
        LeakError: held-out shapes are asked for, and the generator may have been trained on some.
        WrongKindError: demonstrations of another task.
        ResourceError: a network, or all of them, do not fit into memory.
        NnitError: a missing or damaged input, an output that can't be written, or the run was
            stopped.
    """
    check_output_free(outputs.samples, force=options.force, kind="samples")
    section = params.sample
    refuse_too_many(len(inputs.architectures) * section.samples * section.best_of)
    generator = load_generator(inputs.generator, options.device, inputs.task)
    if inputs.held_out:
        trained = open_artifact(inputs.generator, "generator").manifest.params
        command = "nnit diffuse-train"
        refuse_trained_on_held_out(inputs.generator, trained, params.architectures, command)
    judge, parents = read_judge(inputs, generator, section), {"generator": generator.digest}
    if judge is not None:
        parents["demos"] = judge.digest
    prepare_torch()
    started = time.perf_counter()
    # All architectures first: an impossible request fails before any weight is generated.
    wanted = [
        Wanted(complete(generator, pattern, k, inputs.bounds, options.seed), k)
        for pattern in inputs.architectures
        for k in range(section.samples)
    ]
    for line in untrained_notes(generator, [one.spec.hidden_dims for one in wanted], section):
        progress.note(line)
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


def untrained_notes(
    generator: Generator, shapes: Sequence[Architecture], section: SampleParams
) -> list[str]:
    """Say which shapes are outside the trained widths and depths, and what that means."""
    widths, depths = generator.values.widths, generator.values.depths
    trained = (
        f"trained are widths of {min(widths)} to {max(widths)} and {min(depths)} to {max(depths)} "
        "hidden layers"
    )
    notes = []
    for shape in dict.fromkeys(shapes):
        text = format_architecture(shape)
        core = plan_growth(shape, max(widths), max(depths)).core
        if min(shape) < min(widths) or len(shape) < min(depths):
            notes.append(f"sample: {text}: is below what was trained; {trained}")
        elif core != shape and section.beyond == "grow":
            grown = format_architecture(core)
            notes.append(
                f"sample: {text}: is grown out of {grown}, whose function stays; {trained}"
            )
        elif core != shape:
            notes.append(f"sample: {text}: is beyond what was trained; {trained}")
    more = len(notes) - SHOWN_NOTES
    return notes[:SHOWN_NOTES] + [f"sample: and {more} more shapes"] * (more > 0)


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
        NnitError: as ``generate_networks``.
    """
    section = params.sample
    best_of, grow = section.best_of, section.beyond == "grow"
    candidates = [Wanted(spec, k * best_of + j) for spec, k in wanted for j in range(best_of)]
    settings = Settings(options.seed, section.steps, grow, options.device)
    label = "candidates" if best_of > 1 else "networks"
    networks = generate_networks(generator, candidates, settings, progress, label)
    samples = [
        Sample(network, options.seed, k)
        for network, (_, k) in zip(networks, candidates, strict=True)
    ]
    return [samples[start : start + best_of] for start in range(0, len(samples), best_of)]


def choose(candidates: list[Sample], judge: Judge | None, interface: PolicyInterface) -> Sample:
    """Return the candidate with the lowest cloning loss; the only one where there is no judge."""
    if judge is None:
        return candidates[0]
    losses = [network_loss(sample.network, interface, judge.data) for sample in candidates]
    return candidates[int(np.argmin(losses))]


def refuse_too_many(networks: int) -> None:
    """Refuse more networks than samples may hold.

    Raises:
        UsageError: it is more.
    """
    if networks > MAX_NETWORKS:
        raise UsageError(
            f"--samples: {networks} networks in all, at most {MAX_NETWORKS}; ask for fewer at once"
        )
