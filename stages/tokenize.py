"""Stage ``tokenize``: cut every network of a zoo into a token sequence.

Reads:   zoo      kind "zoo",    schema 1
Writes:  tokens   kind "tokens", schema 1
"""

from dataclasses import dataclass
from pathlib import Path

from nnit.architectures import refuse_held_out
from nnit.artifacts.manifest import Provenance
from nnit.artifacts.publish import check_output_free
from nnit.artifacts.tokens import write_tokens
from nnit.artifacts.zoo import read_zoo
from nnit.progress import Progress, silent
from nnit.tokens.tokenizer import sequence_lengths, tokenize_zoo
from stages.params import Params, RunOptions


@dataclass(frozen=True)
class Inputs:
    """The networks."""

    zoo: Path


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
    """Cut the networks into patches and fit the statistics on the ``train`` split.

    Raises:
        LeakError: a training network has a held-out architecture.
        NnitError: a missing or damaged input, or an output that can't be written.
    """
    check_output_free(outputs.tokens, force=options.force, kind="tokens")
    zoo, parent = read_zoo(inputs.zoo)
    trained = [member.hidden_dims for member in zoo.members if member.split == "train"]
    refuse_held_out(trained, params.architectures.training_range(), str(inputs.zoo))

    progress.start("tokenize", len(zoo))
    tokens = tokenize_zoo(zoo, params.tokenize.patch)
    progress.advance(len(zoo))

    decides = params.tokenize.model_dump(mode="json")
    provenance = Provenance("tokenize", decides, options.seed, {"zoo": parent.digest})
    write_tokens(outputs.tokens, tokens, provenance, force=options.force)
    lengths = sequence_lengths(tokens)
    entries = tokens.weight_patches.size + tokens.bias_patches.size
    return Summary(
        networks=len(tokens),
        tokens=int(lengths.sum()),
        longest_sequence=int(lengths.max()),
        padding_fraction=1 - len(zoo.weights) / entries,
    )
