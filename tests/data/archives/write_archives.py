"""Write a tiny artifact of each kind, in the current schema, below ``schema-N/``.

The folders are kept for ever: what a released nnit wrote, every later one must read. A schema
change adds a folder; nothing here is written a second time.

Usage: python tests/data/archives/write_archives.py [FOLDER]
"""

import sys
from pathlib import Path

import numpy as np

from nnit.alignment.report import (
    Alignment,
    IndexAlignment,
    Interpolation,
    LayerMatching,
    LayerRank,
    Smoothness,
    ZooAlignment,
)
from nnit.artifacts.alignment import StoredAlignment, write_alignment
from nnit.artifacts.audit import StoredAudit, write_audit
from nnit.artifacts.demos import write_demos
from nnit.artifacts.frontier import StoredFrontier, write_frontier
from nnit.artifacts.manifest import KINDS, Provenance
from nnit.artifacts.model import write_model
from nnit.artifacts.rollouts import Rollouts, write_rollouts
from nnit.artifacts.samples import Sample, SampleSet, write_samples
from nnit.artifacts.tokens import write_tokens
from nnit.artifacts.zoo import write_zoo
from nnit.audit.report import Audit, GroupAudit, SampleAudit, ShapeAudit, SizeRange, Spread
from nnit.intervals import Estimate
from nnit.demos import Demos
from nnit.frontier.front import Candidate, Frontier
from nnit.frontier.race import RaceRules, Standing
from nnit.mlp import Network, PolicyInterface
from nnit.policy_record import Part, Setting, Versions, record_policy
from nnit.rollout.metrics import Episode, Evaluation
from nnit.tokens.token_set import Standardizer, TokenSet
from nnit.zoo.members import ZooMember, build_zoo

INTERFACE = PolicyInterface(
    "PushCube-v1", "pd_joint_delta_pos", 3, 2, 50, (0.1, -0.2, 0.3), (1.0, 0.5, 0.25)
)
ARCHITECTURES = ((2, 3), (4,))
SETTING = Setting(20, (Part("agent/qpos", 0, 2), Part("extra/goal_pos", 2, 1)))
VERSIONS = Versions("1.4.0", "3.0.1", "0.1.0")


OTHER = PolicyInterface(
    "PickCube-v1", "pd_joint_delta_pos", 5, 1, 80, (0.5,) * 5, (0.25,) * 5
)
STANDARDIZER = Standardizer((0.0,) * 3, (1.0,) * 3, (0.5,) * 3, (2.0,) * 3)


def ramp(*shape):
    """Return a float32 array of simple, exact numbers."""
    size = int(np.prod(shape))
    return ((np.arange(size, dtype=np.float32) - size // 2) / 8).reshape(shape)


def networks():
    """Return one network of each architecture."""
    return [Network(arch, ramp(INTERFACE.spec(arch).num_parameters)) for arch in ARCHITECTURES]


def values():
    """Return the content of each archive, by kind."""
    origin = Provenance("archive", {"rate": 0.1}, 7, {"parent": "0123456789abcdef" * 4})
    members = [
        ZooMember((2, 3), 0, 10, 0.25, 0.5, "train"),
        ZooMember((4,), 1, 0, 0.125, float("nan"), "wider"),
    ]
    zoo = build_zoo(members, [network.weights for network in networks()], INTERFACE)
    success = np.array([True, False])
    demos = Demos(
        ramp(5, 3), ramp(5, 2), np.array([2, 5]), success, ~success, np.array([8, 9]), INTERFACE
    )
    # Patches of 2 x 2: (2, 3) has layers 2x3, 3x2, 2x3; (4,) has layers 4x3, 2x4.
    tokens = TokenSet(
        2, ARCHITECTURES, ramp(12, 2, 2), np.array([0, 6, 12]), ramp(7, 2), np.array([0, 4, 7]),
        np.array([0, 1], np.int32), abs(ramp(2)), np.array([0, 0], np.int32), (STANDARDIZER,),
        (INTERFACE,),
    )
    records = [record_policy(network, INTERFACE, SETTING, VERSIONS) for network in networks()]
    samples = SampleSet(
        tuple(Sample(network, 7, k, records[k]) for k, network in enumerate(networks())), INTERFACE
    )
    episodes = (Episode(0, 500, True, False, 12.0, 50), Episode(1, 501, False, False, 0.0, 50))
    evaluations = (Evaluation("sample-0000", "sample", (2, 3), "unseen_combo", episodes, 0.125),)
    return origin, demos, zoo, tokens, samples, Rollouts(evaluations, INTERFACE)


def tokens_of_two_tasks():
    """Return a network of each task: (2, 3) as above; (4,) has layers 4x5, 1x4."""
    return TokenSet(
        2, ARCHITECTURES, ramp(14, 2, 2), np.array([0, 6, 14]), ramp(7, 2), np.array([0, 4, 7]),
        np.array([0, 0], np.int32), abs(ramp(2)), np.array([0, 1], np.int32),
        (STANDARDIZER, STANDARDIZER._replace(weight_mean=(0.125,) * 3)), (INTERFACE, OTHER),
    )


def frontier():
    """Return two candidates; the smaller one is as good and alone on the front, and ran again."""
    candidates = (
        Candidate((2, 3), "train", Standing((True, False)), (True, True, False)),
        Candidate((4,), "wider", Standing((True,), 1, "outrun")),
    )
    found = Frontier(candidates, RaceRules(1, 1, 2, floor=0.5), 0.95, INTERFACE)
    return StoredFrontier(found, (Sample(networks()[0], 7, 0),))
def audit():
    """Return the audit of two samples of one shape."""
    some = Estimate(0.5, 0.25, 0.75, 1)
    sample = SampleAudit(0, (2, 3), "train", 0.25, 1.0, 0.5, 2.0, None, None, False, True, ())
    other = sample._replace(sample_index=1, success=None, performs=None, alarms=("too small",))
    shape = ShapeAudit(
        hidden_dims=(2, 3), kind="train", samples=2, zoo_networks=2, weight_median=0.25,
        action_median=None, weight_spread=Spread(0.5, 0.25, 2.0), action_spread=None,
        own_reference=True, failure_iou=None, loss_mean=0.25, loss_best=0.25, loss_ensemble=0.125,
        zoo_loss_mean=0.5, zoo_loss_worst=0.75, ghn_loss=None,
    )  # fmt: skip
    group = GroupAudit("train", 1, 2, 1, *([some] * 11), None, None, None, None)._replace(loss=some)
    groups = (group, group._replace(group="all"))
    ranges = (SizeRange("first weight", 0.5, 1.5),)
    return StoredAudit(Audit((sample, other), (shape,), groups, ranges, 100, 0.5, None), INTERFACE)


def alignment():
    """Return the report on one zoo."""
    some = Estimate(0.5, 0.25, 0.75, 2)
    layers = (LayerMatching(1, 0.5, 0.25, 0.125, 3), LayerMatching(2, 0.5, None, 0.125, 1))
    line = Interpolation((0.5, 0.75, 0.5), some, some)
    smooth = (Smoothness("middle", "input units", 4, 1, some, some),)
    ranks = (
        LayerRank((2, 3), 2, 4, 1.5, 2.0, 1.25, 3.0),
        LayerRank((2, 3), 3, 2, 1.5, 2.0, None, None),
    )
    zoo = ZooAlignment(
        "cnn", ((2, 3), (4,)), 3, IndexAlignment(some, some, 0.25, layers),
        IndexAlignment(None, None, None, ()), some, some, line, line, smooth, ranks,
    )  # fmt: skip
    return StoredAlignment(Alignment((zoo,), 100, (0.0, 0.5, 1.0)), INTERFACE)


def main(folder):
    """Write all archives below ``folder``."""
    origin, demos, zoo, tokens, samples, rollouts = values()
    tensors = {"layer.weight": ramp(4, 3), "layer.bias": ramp(4)}
    paths = {kind: folder / f"schema-{KINDS[kind].schema}" / kind for kind in KINDS}
    write_demos(paths["demos"], demos, origin, env_kwargs={"obs_mode": "state"})
    write_zoo(paths["zoo"], zoo, origin, attributes={"ghn_step": 100})
    write_tokens(paths["tokens"], tokens, origin)
    write_samples(paths["samples"], samples, origin)
    write_rollouts(paths["rollouts"], rollouts, origin)
    write_frontier(paths["frontier"], frontier(), b"figure", origin)
    write_audit(paths["audit"], audit(), origin)
    write_alignment(paths["alignment"], alignment(), {"weights.png": b"PNG"}, origin)
    config = {"width": 64, "branches": [1, 2]}
    for kind in ("ghn", "generator", "flat"):
        write_model(paths[kind], kind, config, tensors, [INTERFACE], {"note": "tiny"}, origin)
    write_model(
        folder / f"schema-{KINDS['generator'].half}" / "generator",
        "generator",
        config,
        tensors,
        [INTERFACE, OTHER],
        {"note": "halves"},
        origin,
        half=True,
    )
    two = {kind: folder / f"schema-{KINDS[kind].several}" / kind for kind in ("tokens", "generator")}
    write_tokens(two["tokens"], tokens_of_two_tasks(), origin)
    write_model(
        two["generator"], "generator", config, tensors, [INTERFACE, OTHER], {"note": "two"}, origin
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
