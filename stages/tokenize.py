"""Stage ``tokenize``: cut every network of a zoo, or of one zoo a task, into a token sequence.

Reads:   zoo      kind "zoo",    schema 1
Writes:  tokens   kind "tokens", schema 1; 2 of several tasks
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from nnit.alignment.smoothness import shuffle_units
from nnit.artifacts.manifest import Provenance
from nnit.artifacts.publish import check_output_free
from nnit.artifacts.tokens import write_tokens
from nnit.artifacts.zoo import read_zoo
from nnit.errors import UsageError
from nnit.mlp import PolicyInterface, join_layers, split_layers
from nnit.progress import Progress, silent
from nnit.seeding import numpy_generator
from nnit.tokens.tokenizer import join_tokens, sequence_lengths, tokenize_zoo
from nnit.zoo.members import ModelZoo
from stages.lineage import refuse_leak, trained_on
from stages.params import Params, RunOptions


@dataclass(frozen=True)
class Inputs:
    """The networks: a zoo, and zoos of further tasks."""

    zoo: Path
    further: tuple[Path, ...] = ()
    shuffled: bool = False  # each network's hidden units in an order of its own


@dataclass(frozen=True)
class Outputs:
    """Where the tokens go."""

    tokens: Path


@dataclass(frozen=True)
class Summary:
    """The numbers for the terminal and for ``metrics/tokenize.json``."""

    networks: int
    tokens: int  # of all sequences
    longest_sequence: int  # tokens
    padding_fraction: float  # zeros at the edges, of all entries of patches


def run(
    params: Params,
    inputs: Inputs,
    outputs: Outputs,
    *,
    options: RunOptions,
    progress: Progress = silent,
) -> Summary:
    """Cut the networks into patches and fit each task's statistics on its ``train`` split.

    Raises:
        UsageError: two zoos of one task.
        LeakError: a training network has a held-out architecture, or one may have been trained on
            by what wrote it.
        NnitError: a missing or damaged input, or an output that can't be written.
    """
    check_output_free(outputs.tokens, force=options.force, kind="tokens")
    paths, zoos, artifacts = (inputs.zoo, *inputs.further), [], []
    for path in paths:
        zoo, artifact = read_zoo(path)
        trained = [member.hidden_dims for member in zoo.members if member.split == "train"]
        made_with = artifact.manifest.params
        refuse_leak(path, trained, made_with, params.architectures, "nnit zoo-export")
        zoo = zoo if params.tokenize.branches else of_one_branch(zoo)
        zoos.append(with_shuffled_units(zoo, options.seed) if inputs.shuffled else zoo)
        artifacts.append(artifact)
    refuse_same_task(paths, [zoo.interface for zoo in zoos])

    progress.start("tokenize", sum(map(len, zoos)))
    parts = []
    for zoo in zoos:
        parts.append(tokenize_zoo(zoo, params.tokenize.patch))
        progress.advance(len(zoo))
    tokens = join_tokens(parts)

    trained_with = trained_on(*(one.manifest.params["architectures"] for one in artifacts))
    decides = {**params.tokenize.model_dump(mode="json"), **trained_with}
    if inputs.shuffled:
        decides["shuffled"] = True
    named = ["zoo"] if len(zoos) == 1 else [f"zoo {zoo.interface.task}" for zoo in zoos]
    parents = {name: one.digest for name, one in zip(named, artifacts, strict=True)}
    provenance = Provenance("tokenize", decides, options.seed, parents)
    write_tokens(outputs.tokens, tokens, provenance, force=options.force)
    lengths = sequence_lengths(tokens)
    entries = tokens.weight_patches.size + tokens.bias_patches.size
    return Summary(
        networks=len(tokens),
        tokens=int(lengths.sum()),
        longest_sequence=int(lengths.max()),
        padding_fraction=1 - sum(len(zoo.weights) for zoo in zoos) / entries,
    )


def with_shuffled_units(zoo: ModelZoo, seed: int) -> ModelZoo:
    """Return a zoo whose networks do the same, each with its hidden units in an order of its own.

    Which is what independent trainings give: a control of what alignment is worth.
    """
    chance, shuffled = numpy_generator(seed, "shuffled"), []
    for k in range(len(zoo)):
        layers = split_layers(zoo.spec(k), zoo.network(k).weights)
        shuffled.append(join_layers(shuffle_units(layers, chance)))
    return replace(zoo, weights=np.concatenate(shuffled))


def of_one_branch(zoo: ModelZoo) -> ModelZoo:
    """Return a zoo that does not tell branches apart."""
    return replace(zoo, members=tuple(one._replace(branch=0) for one in zoo.members))


def refuse_same_task(paths: Sequence[Path], interfaces: Sequence[PolicyInterface]) -> None:
    """Make sure that every zoo has a task of its own.

    Networks of one task from two zoos are not aligned with each other, and even where they are,
    their observations may be scaled in two ways.

    Raises:
        UsageError: two have the same; the line names both.
    """
    first: dict[str, Path] = {}
    for path, interface in zip(paths, interfaces, strict=True):
        if interface.task in first:
            raise UsageError(
                f"{path}: is a zoo of {interface.task}, as {first[interface.task]} is; "
                "give one zoo for each task"
            )
        first[interface.task] = path
