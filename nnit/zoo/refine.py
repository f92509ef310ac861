"""Train networks that a generator sampled on alone: the zoo of a further round.

Instead of a hypernetwork's branch, a generator writes the networks that are fine-tuned. A generator
that goes on learning from these is the next round's.
"""

from collections.abc import Sequence
from typing import NamedTuple

from nnit.demos import Demos
from nnit.groups.training import CloningSettings, Pupil
from nnit.groups.units import GroupUnit, plan_units
from nnit.mlp import Network
from nnit.seeding import derive_seed


class Draft(NamedTuple):
    """A sample that is to be trained on."""

    network: Network
    branch: int  # of the hypernetwork, that it was asked to be like


def plan_refining(
    drafts: Sequence[Draft], demos: Demos, settings: CloningSettings, seed: int, device: str = "cpu"
) -> list[GroupUnit]:
    """Plan to train every sample on.

    Args:
        drafts: The samples, in the order of the zoo.
        demos: What they learn from.
        settings: How.
        seed: Of the zoo.
        device: Where they are trained.
    """
    pupils = [
        Pupil(draft.network.hidden_dims, derive_seed(seed, "refine", index), draft.network.weights)
        for index, draft in enumerate(drafts)
    ]
    return plan_units(pupils, demos, settings, device)
