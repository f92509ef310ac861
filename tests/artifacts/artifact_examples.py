"""Small artifacts of every kind, and ways to harm them.

Run as a script it writes one: ``python artifact_examples.py KIND PATH [--force]``.
"""

import dataclasses
import hashlib
import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

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
from nnit.artifacts.alignment import StoredAlignment, read_alignment, write_alignment
from nnit.artifacts.audit import StoredAudit, read_audit, write_audit
from nnit.artifacts.canonical import canonical_file, canonical_json
from nnit.artifacts.demos import read_demos, write_demos
from nnit.artifacts.frontier import StoredFrontier, read_frontier, write_frontier
from nnit.artifacts.manifest import Provenance
from nnit.artifacts.model import StoredModel, read_model, write_model
from nnit.artifacts.reading import Artifact
from nnit.artifacts.rollouts import Rollouts, read_rollouts, write_rollouts
from nnit.artifacts.samples import Sample, SampleSet, read_samples, write_samples
from nnit.artifacts.tokens import read_tokens, write_tokens
from nnit.artifacts.trajectories import Trajectory
from nnit.artifacts.zoo import read_zoo, write_zoo
from nnit.audit.report import Audit, GroupAudit, SampleAudit, ShapeAudit, SizeRange, Spread
from nnit.demos import Demos
from nnit.frontier.front import Candidate, Frontier
from nnit.frontier.race import RaceRules, Standing
from nnit.intervals import Estimate
from nnit.mlp import Network, PolicyInterface
from nnit.policy_record import Part, Setting, Versions, record_policy
from nnit.rollout.metrics import Episode, Evaluation
from nnit.tokens.token_set import Standardizer, TokenSet
from nnit.tokens.tokenizer import join_tokens
from nnit.zoo.members import ModelZoo, ZooMember, build_zoo

INTERFACE = PolicyInterface(
    task="PushCube-v1",
    control_mode="pd_joint_delta_pos",
    obs_dim=3,
    act_dim=2,
    horizon=50,
    obs_mean=(0.1, -0.2, 1 / 3),
    obs_std=(1.0, 0.5, 0.25),
)
SETTING = Setting(20, (Part("agent/qpos", 0, 2), Part("extra/goal_pos", 2, 1)))
VERSIONS = Versions("1.4.0", "3.0.1", "0.1.0")
OTHER = INTERFACE._replace(task="PickCube-v1", horizon=80, obs_mean=(0.0, 0.5, 1.0))
STANDARDIZER = Standardizer((0.0, 0.1, 0.2), (1.0, 1.1, 1.2), (0.3,) * 3, (0.4,) * 3)
OTHER_STANDARDIZER = STANDARDIZER._replace(weight_std=(2.0, 1.5, 3.0))
ARCHITECTURES = ((4, 5), (2,), (4, 5), (3, 2, 3))
SPLITS = ("train", "wider")
PARENT = "ab" * 32


def provenance(stage: str = "test") -> Provenance:
    """Return where an example came from."""
    return Provenance(stage, {"rate": 0.1, "sizes": (1, 2), "name": None}, 7, {"demos": PARENT})


def noise(seed: int, *shape: int) -> np.ndarray:
    """Return float32 noise of a seed."""
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def demos(episodes: int = 3, seed: int = 0) -> Demos:
    """Return a few short episodes."""
    lengths = np.arange(episodes) % 4 + 2
    steps = int(lengths.sum())
    return Demos(
        observations=noise(seed, steps, INTERFACE.obs_dim),
        actions=np.tanh(noise(seed + 1, steps, INTERFACE.act_dim)),
        episode_ends=np.cumsum(lengths).astype(np.int64),
        success_once=np.arange(episodes) % 2 == 0,
        success_at_end=np.arange(episodes) % 3 == 0,
        seeds=np.arange(episodes, dtype=np.int64) + 100,
        interface=INTERFACE,
    )


def zoo(seed: int = 0) -> ModelZoo:
    """Return four networks, two of one shape."""
    members = [
        ZooMember(
            arch, k % 2, 10 * k, 0.1 + k, float("nan") if k else 0.5, ("train", "wider")[k % 2]
        )
        for k, arch in enumerate(ARCHITECTURES)
    ]
    weights = [
        noise(seed + k, INTERFACE.spec(a).num_parameters) for k, a in enumerate(ARCHITECTURES)
    ]
    return build_zoo(members, weights, INTERFACE)


def tokens(patch_size: int = 2) -> TokenSet:
    """Return patches of the shapes that the architectures ask for."""
    weight_counts, bias_counts = [], []
    for architecture in ARCHITECTURES:
        layers = INTERFACE.spec(architecture).layers
        rows = [-(-layer.fan_out // patch_size) for layer in layers]
        columns = [-(-layer.fan_in // patch_size) for layer in layers]
        weight_counts.append(sum(r * c for r, c in zip(rows, columns, strict=True)))
        bias_counts.append(sum(rows))
    count = len(ARCHITECTURES)
    return TokenSet(
        patch_size=patch_size,
        architectures=ARCHITECTURES,
        weight_patches=noise(1, sum(weight_counts), patch_size, patch_size),
        weight_offsets=np.cumsum([0, *weight_counts], dtype=np.int64),
        bias_patches=noise(2, sum(bias_counts), patch_size),
        bias_offsets=np.cumsum([0, *bias_counts], dtype=np.int64),
        branches=np.arange(count, dtype=np.int32),
        losses=abs(noise(3, count)),
        tasks=np.zeros(count, np.int32),
        standardizers=(STANDARDIZER,),
        interfaces=(INTERFACE,),
    )


def tokens_of_two_tasks() -> TokenSet:
    """Return the same twice, for another task too."""
    one = tokens()
    other = dataclasses.replace(one, interfaces=(OTHER,), standardizers=(OTHER_STANDARDIZER,))
    return join_tokens([one, other])


def samples(count: int = 2) -> SampleSet:
    """Return generated networks that say where they belong."""
    shapes = [ARCHITECTURES[k % len(ARCHITECTURES)] for k in range(count)]
    networks = [
        Network(arch, noise(k, INTERFACE.spec(arch).num_parameters))
        for k, arch in enumerate(shapes)
    ]
    return SampleSet(
        tuple(
            Sample(network, 7, k, record_policy(network, INTERFACE, SETTING, VERSIONS))
            for k, network in enumerate(networks)
        ),
        INTERFACE,
    )


def evaluations() -> tuple[Evaluation, ...]:
    """Return evaluations of three sources."""

    def episodes(successes: int) -> tuple[Episode, ...]:
        return tuple(Episode(k, 500 + k, k < successes, k < 1, 1.5 * k, 50) for k in range(4))

    return (
        Evaluation("sample-0000", "sample", (4, 5), "unseen_combo", episodes(4), 0.125),
        Evaluation("sample-0001", "sample", (2,), "unseen_combo", episodes(2), 0.25),
        Evaluation("ghn-4x5", "ghn", (4, 5), "", episodes(0)),
        Evaluation("expert", "expert", (), "", episodes(3)),
    )


def trajectories() -> tuple[Trajectory, ...]:
    """Return two episodes step by step."""
    return tuple(
        Trajectory(
            network="sample-0000",
            seed=500 + k,
            observations=noise(k, 6, INTERFACE.obs_dim),
            actions=noise(k, 5, INTERFACE.act_dim),
            success=np.arange(5) > 2,
            env_states={"actors/cube": noise(k, 6, 13), "articulations/panda": noise(k, 6, 31)},
        )
        for k in range(2)
    )


def frontier() -> StoredFrontier:
    """Return three candidates, two of them on the front."""
    candidates = (
        Candidate((2,), "train", Standing((True, False, True, True))),
        Candidate((4, 5), "unseen_combo", Standing((True,) * 4)),
        Candidate((3, 2, 3, 8), "train", Standing((False, False), 1, "dominated")),
    )
    networks = [
        Network(one.hidden_dims, noise(k, INTERFACE.spec(one.hidden_dims).num_parameters))
        for k, one in enumerate(candidates[:2])
    ]
    return StoredFrontier(
        Frontier(candidates, RaceRules(2, 2, 4, floor=0.5), 0.4, INTERFACE),
        tuple(Sample(network, 7, 0) for network in networks),
    )


def audit() -> StoredAudit:
    """Return the audit of two samples of one shape."""
    some = Estimate(0.5, 0.25, 0.75, 1)
    sample = SampleAudit(0, (4, 5), "train", 0.25, 1.0, 0.5, 2.0, None, None, False, True, ())
    other = sample._replace(sample_index=1, success=None, performs=None, alarms=("too small",))
    shape = ShapeAudit(
        hidden_dims=(4, 5), kind="train", samples=2, zoo_networks=2, weight_median=0.25,
        action_median=None, weight_spread=Spread(0.5, 0.25, 2.0), action_spread=None,
        own_reference=True, failure_iou=None, loss_mean=0.25, loss_best=0.25, loss_ensemble=0.125,
        zoo_loss_mean=0.5, zoo_loss_worst=0.75, ghn_loss=None,
    )  # fmt: skip
    group = GroupAudit("train", 1, 2, 1, *([some] * 11), None, None, None, None)._replace(loss=some)
    groups = (group, group._replace(group="all"))
    ranges = (SizeRange("first weight", 0.5, 1.5),)
    return StoredAudit(Audit((sample, other), (shape,), groups, ranges, 100, 0.5, None), INTERFACE)


def alignment() -> StoredAlignment:
    """Return the report on one zoo."""
    some = Estimate(0.5, 0.25, 0.75, 2)
    layers = (LayerMatching(1, 0.5, 0.25, 0.125, 3), LayerMatching(2, 0.5, None, 0.125, 1))
    line = Interpolation((0.5, 0.75, 0.5), some, some)
    smooth = (Smoothness("middle", "input units", 4, 1, some, some),)
    ranks = (
        LayerRank((4, 5), 2, 4, 1.5, 2.0, 1.25, 3.0),
        LayerRank((4, 5), 3, 2, 1.5, 2.0, None, None),
    )
    zoo = ZooAlignment(
        "cnn", ((4, 5), (2,)), 3, IndexAlignment(some, some, 0.25, layers),
        IndexAlignment(None, None, None, ()), some, some, line, line, smooth, ranks,
    )  # fmt: skip
    return StoredAlignment(Alignment((zoo,), 100, (0.0, 0.5, 1.0)), INTERFACE)


TENSORS = {"layer.weight": noise(1, 4, 3), "layer.bias": noise(2, 4), "scale": noise(3, 1)[0]}
TENSORS["scale"] = np.asarray(TENSORS["scale"])
CONFIG = {"width": 64, "branches": [1, 2], "dropout": 0.1}


class Example(NamedTuple):
    """The small artifact of a kind."""

    value: Callable[[], Any]
    write: Callable[..., None]  # of a path, the value, where it came from, and force
    read: Callable[[Path], tuple[Any, Artifact]]


def of_a_model(kind: str) -> Example:
    """Return the example of a kind that ``write_model`` writes."""

    def write_it(path: Path, value: StoredModel, origin: Provenance, *, force: bool) -> None:
        parts = (value.config, value.tensors, value.interfaces, value.attributes)
        write_model(path, kind, *parts, origin, force=force)

    return Example(
        lambda: StoredModel(CONFIG, TENSORS, (INTERFACE,), {"note": "x"}),
        write_it,
        partial(read_model, kind=kind),
    )


EXAMPLES = {
    "demos": Example(demos, partial(write_demos, env_kwargs={"obs_mode": "state"}), read_demos),
    "ghn": of_a_model("ghn"),
    "zoo": Example(zoo, partial(write_zoo, attributes={"ghn_step": 100}), read_zoo),
    "tokens": Example(tokens, write_tokens, read_tokens),
    "generator": of_a_model("generator"),
    "flat": of_a_model("flat"),
    "samples": Example(samples, write_samples, read_samples),
    "rollouts": Example(
        lambda: Rollouts(evaluations(), INTERFACE),
        partial(write_rollouts, trajectories=trajectories()),
        read_rollouts,
    ),
    "frontier": Example(
        frontier,
        lambda path, value, origin, **more: write_frontier(path, value, b"PNG", origin, **more),
        read_frontier,
    ),
    "audit": Example(audit, write_audit, read_audit),
    "alignment": Example(
        alignment,
        lambda path, value, origin, **more: write_alignment(
            path, value, {"weights.png": b"PNG"}, origin, **more
        ),
        read_alignment,
    ),
}
READERS = {kind: example.read for kind, example in EXAMPLES.items()}


def write(kind: str, path: Path, *, force: bool = False) -> None:
    """Write the small artifact of a kind."""
    example = EXAMPLES[kind]
    example.write(path, example.value(), provenance(), force=force)


def edit_manifest(path: Path, edit: Callable[[dict], None]) -> None:
    """Change a manifest and seal it again, as a clever attacker or another nnit would."""
    file = path / "manifest.json"
    fields = json.loads(file.read_bytes())
    del fields["manifest_sha256"]
    edit(fields)
    seal = hashlib.sha256(canonical_json(fields).encode()).hexdigest()
    file.write_bytes(canonical_file({**fields, "manifest_sha256": seal}))


def replace_file(path: Path, name: str, data: bytes) -> None:
    """Change one file of an artifact and make the manifest agree with it."""
    (path / name).write_bytes(data)
    entry = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    edit_manifest(path, lambda fields: fields["files"].update({name: entry}))


def tree(path: Path) -> dict[str, bytes]:
    """Return every file below a folder with its content."""
    files = sorted(file for file in path.rglob("*") if not file.is_dir())
    return {file.relative_to(path).as_posix(): file.read_bytes() for file in files}


def assert_same(one, other):
    """Fail unless two values are equal, arrays bit by bit."""
    if isinstance(one, np.ndarray):
        assert one.dtype == other.dtype
        assert one.shape == other.shape
        assert one.tobytes() == other.tobytes()
    elif dataclasses.is_dataclass(one):
        for part in dataclasses.fields(one):
            assert_same(getattr(one, part.name), getattr(other, part.name))
    elif isinstance(one, dict):
        assert_same(sorted(one.items()), sorted(other.items()))
    elif isinstance(one, tuple | list):
        assert len(one) == len(other)
        for mine, theirs in zip(one, other, strict=True):
            assert_same(mine, theirs)
    else:
        assert one == other or (one != one and other != other)


if __name__ == "__main__":
    write(sys.argv[1], Path(sys.argv[2]), force="--force" in sys.argv)
