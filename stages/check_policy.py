"""Stage ``check-policy``: do networks still answer what was recorded when they were made?

Reads:   samples   kind "samples", schema 1 (which has nothing to check) or 2
Writes:  nothing
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nnit.artifacts.samples import network_folder, read_samples
from nnit.errors import DamagedArtifactError
from nnit.policy_record import answers

TOLERANCE = 1e-4  # times the largest number of the recorded action, or 1: rounding of a port


@dataclass(frozen=True)
class Checked:
    """What was compared."""

    networks: int
    pairs: int  # of all networks
    largest_difference: float | None  # of an action, absolute; None without pairs


def run(path: Path) -> Checked:
    """Run networks on their recorded observations and compare the actions.

    Raises:
        DamagedArtifactError: an action differs by more than rounding; the line names the pair.
        NnitError: missing, of another kind, damaged.
    """
    samples, _ = read_samples(path)
    differences, pairs = [], 0
    for k, sample in enumerate(samples.samples):
        if sample.record is None:
            continue
        recorded = sample.record.actions.astype(np.float64)
        found = answers(sample.network, samples.interface, sample.record.observations)
        by_pair = abs(found - recorded).max(axis=1)
        over = by_pair / np.maximum(1, abs(recorded).max(axis=1))
        worst = int(over.argmax())
        if over[worst] > TOLERANCE:
            raise DamagedArtifactError(
                f"{path / network_folder(k)}: pair {worst}: the network's action differs by "
                f"{by_pair[worst]:.2g} from the recorded one; weights or pairs were changed: get "
                "it again from where it came from"
            )
        differences.append(float(by_pair.max()))
        pairs += len(by_pair)
    return Checked(len(samples), pairs, max(differences, default=None))
