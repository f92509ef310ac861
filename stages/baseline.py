"""Stage ``baseline``: networks of the shapes asked for, taken from a zoo without a generator.

Reads:   zoo       kind "zoo",     schema 1
Writes:  samples   kind "samples", schema 2
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnit.artifacts.manifest import Provenance
from nnit.artifacts.publish import check_output_free
from nnit.artifacts.samples import Sample, SampleSet, write_samples
from nnit.artifacts.zoo import read_zoo
from nnit.errors import UsageError
from nnit.generators.generation import require_room_for_all
from nnit.mlp import Architecture, Network, format_architecture
from nnit.progress import Progress, silent
from nnit.seeding import numpy_generator
from nnit.zoo.members import ModelZoo
from nnit.zoo.neighbours import add_noise, average, nearest_networks, nearest_of_branches
from stages.lineage import refuse_leak
from stages.params import BaselineParams, Params, RunOptions
from stages.sample import refuse_too_many


@dataclass(frozen=True)
class Inputs:
    """The zoo, what is made of it, and for which architectures."""

    zoo: Path
    method: str
    architectures: tuple[Architecture, ...]


@dataclass(frozen=True)
class Outputs:
    """Where the networks go."""

    samples: Path


@dataclass(frozen=True)
class Summary:
    """The numbers for the terminal and for ``metrics/baseline.json``."""

    networks: int
    architectures: int
    distance_mean: float  # from the architecture asked for to the nearest in the zoo, in octaves
    distance_max: float
    making_s: float  # seconds for all networks


def run(
    params: Params,
    inputs: Inputs,
    outputs: Outputs,
    *,
    options: RunOptions,
    progress: Progress = silent,
) -> Summary:
    """Make networks of each architecture out of the nearest in the zoo.

    Raises:
        UsageError: an unknown method, no architecture, or more networks than samples hold.
        ResourceError: the networks do not fit into memory.
        LeakError: a network of the zoo has a held-out architecture, or one may have been trained on
            by what wrote it.
        NnitError: a missing or damaged input, or an output that can't be written.
    """
    check_output_free(outputs.samples, force=options.force, kind="samples")
    section, make = params.baseline, method_of(inputs)
    copies = section.samples
    refuse_too_many(len(inputs.architectures) * copies)
    zoo, parent = read_zoo(inputs.zoo)
    trained = [member.hidden_dims for member in zoo.members]
    made_with = parent.manifest.params
    refuse_leak(inputs.zoo, trained, made_with, params.architectures, "nnit zoo-export")

    specs = [zoo.interface.spec(widths) for widths in inputs.architectures]
    require_room_for_all(specs * copies)
    for spec in specs if make is take_average else []:
        require_room_for_all([spec] * min(section.averaged * copies, len(zoo)))

    progress.start(inputs.method, len(inputs.architectures))
    started = time.perf_counter()
    samples, distances = [], []
    for wanted in inputs.architectures:
        distances.append(nearest_networks(zoo, wanted, 1).distances[0])
        networks = make(zoo, wanted, section, options.seed)
        samples += [Sample(network, options.seed, k) for k, network in enumerate(networks)]
        progress.advance()
    making_s = time.perf_counter() - started

    write_samples(
        outputs.samples,
        SampleSet(tuple(samples), zoo.interface),
        Provenance("baseline", decides(inputs, params), options.seed, {"zoo": parent.digest}),
        versions=parent.manifest.versions,
        force=options.force,
    )
    return Summary(
        networks=len(samples),
        architectures=len(set(inputs.architectures)),
        distance_mean=sum(distances) / len(distances),
        distance_max=max(distances),
        making_s=making_s,
    )


def decides(inputs: Inputs, params: Params) -> dict[str, Any]:
    """Return the parameters that decide the networks."""
    return {
        "method": inputs.method,
        "architectures": [format_architecture(dims) for dims in inputs.architectures],
        **params.baseline.model_dump(mode="json"),
    }


Method = Callable[[ModelZoo, Architecture, BaselineParams, int], list[Network]]


def take_nearest(
    zoo: ModelZoo, wanted: Architecture, section: BaselineParams, _seed: int
) -> list[Network]:
    """Return the nearest network of the zoo, then those of other branches, cropped and padded."""
    return list(nearest_of_branches(zoo, wanted, section.samples).networks)


def take_average(
    zoo: ModelZoo, wanted: Architecture, section: BaselineParams, _seed: int
) -> list[Network]:
    """Return the mean of the nearest networks, each cropped and padded first; then of the next."""
    nearest = nearest_networks(zoo, wanted, section.averaged * section.samples).networks
    starts = range(0, len(nearest), section.averaged)
    return [average(nearest[start : start + section.averaged]) for start in starts]


def take_noisy(
    zoo: ModelZoo, wanted: Architecture, section: BaselineParams, seed: int
) -> list[Network]:
    """Return the nearest network with noise, once for each sample."""
    (network,) = nearest_networks(zoo, wanted, 1).networks
    text = format_architecture(wanted)
    return [
        add_noise(network, zoo, section.noise, numpy_generator(seed, "noise", text, k))
        for k in range(section.samples)
    ]


METHODS: dict[str, Method] = {
    "nearest": take_nearest,
    "average": take_average,
    "noise": take_noisy,
}


def method_of(inputs: Inputs) -> Method:
    """Return the method, and make sure that there is something to make.

    Raises:
        UsageError: an unknown method, or no architecture.
    """
    if inputs.method not in METHODS:
        raise UsageError(f"METHOD {inputs.method}: is none of {', '.join(METHODS)}")
    if not inputs.architectures:
        raise UsageError("--arch: nothing asked for; give an architecture, or --held-out")
    return METHODS[inputs.method]
