"""Inputs of every parser that nobody ever wrote: mutations of valid ones, and hypothesis's own."""

import gzip
import io
import json
import os
import random
import re
import shutil
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from functools import lru_cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import artifact_examples as examples
import h5py
import numpy as np
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from nnit.artifacts import state
from nnit.artifacts.canonical import canonical_file, parse_canonical, parse_json
from nnit.artifacts.manifest import parse_manifest
from nnit.artifacts.state import UnitStore, load_state, save_state, state_folder
from nnit.artifacts.weights import read_tensors, tensor_bytes
from nnit.errors import UsageError
from nnit.mlp import parse_architecture
from nnit.tasks import maniskill_any, trajectories
from nnit.tasks.classification import read_mnist
from nnit.tasks.registry import TASKS, check_name
from nnit.tasks.task import TaskRef
from nnit.tasks.trajectories import read_trajectories
from stages.params import Params
from stages.params_file import load_params
from stages.patterns import parse_pattern

from .corpus import read, write_all
from .mutations import BITS, VALUES, json_bytes, mutated, spoiled
from .trials import REPOSITORY, Attack, Fault

IDX = (
    ("train-images-idx3-ubyte", 0x0803, (20, 28, 28)),
    ("train-labels-idx1-ubyte", 0x0801, (20,)),
    ("t10k-images-idx3-ubyte", 0x0803, (5, 28, 28)),
    ("t10k-labels-idx1-ubyte", 0x0801, (5,)),
)
TRIALS = 1200  # of each target; every fourth is hypothesis's
BY_HYPOTHESIS = 100  # made at once
ZEROS = bytes(64 * 2**20)
PUSH = TASKS["PushCube-v1"]
RUNS = 5000  # of atheris, of each of
COVERED = ("JSON", "manifest, sealed", "safetensors", "architecture", "pattern", "task name",
           "params.yaml")  # fmt: skip
KEYS = ", ".join(f'"{k}": 0' for k in range(30_000))
BAD_JSON = tuple(text.encode() for text in (f'{{{KEYS}, "29999": 0}}', "[" * 10**6, "1" * 10**6))
BAD_SHAPES = tuple(
    text.encode()
    for text in (
        "8," * 1024 + "8",
        "8," * 10**5 + "8",
        "9" * 5000,
        "65537",
        "8,99999999999",
        "²",
        "٣",
    )
)
BAD_YAML = tuple(
    text.encode()
    for text in (
        "a0: &a0 [x]\n" + "".join(f"a{k}: &a{k} [{f'*a{k - 1} , ' * 9}]\n" for k in range(1, 9))
        + "seed: *a8\n",
        "a: &a {b: *a}\n", "seed: &a [*a]\n", "[" * 5000, "- " * 5000, "? " * 3000, "a" * 10**6,
        "{" + ", ".join(f"k{k}: 0" for k in range(20_000)) + ", k0: 0}", "seed: " + "9" * 5000,
    )
)  # fmt: skip
JSON_FILES = {
    "samples": "network-0000/config.json",
    "rollouts": "eval.json",
    "frontier": "frontier.json",
    "audit": "audit.json",
    "alignment": "alignment.json",
    "demos": "arrays.zarr/observations/zarr.json",
    "zoo": "arrays.zarr/zarr.json",
}


class Target(NamedTuple):
    """A parser."""

    name: str
    seeds: tuple[bytes, ...]  # valid
    call: Callable[[bytes, Path], object]
    style: str = "json"  # canonical, json, text or bytes
    hostile: tuple[bytes, ...] = ()  # what must be refused, and soon


def attacks(base: Path) -> list[Attack]:
    """Return an attack on every parser."""
    write_all(base)
    _stand_in_for_the_simulator()
    _write_bombs(base)
    targets = _targets(base)
    found = [Attack(f"parser: {one.name}", TRIALS, partial(_trial, one)) for one in targets]
    found += [Attack(f"file: {name}", TRIALS, partial(make, base)) for name, make in FILES.items()]
    if find_spec("atheris"):
        found += [
            Attack(f"atheris: {one.name}", 1, partial(_by_coverage, one), RUNS, 600)
            for one in targets
            if one.name in COVERED
        ]
    return found


def _by_coverage(target: Target, k: int, chance: random.Random, folder: Path) -> Fault | None:
    """Run atheris on a parser, in a process where all of nnit is instrumented."""
    for number, data in enumerate(target.seeds):
        (folder / f"seed{number}").write_bytes(data[:5000])
    limits = (f"-runs={RUNS}", f"-seed={chance.randrange(2**30)}", "-max_len=5000", "-timeout=5")
    done = subprocess.run(
        [sys.executable, "-m", "tests.campaign.coverage", target.name, str(folder), *limits],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(REPOSITORY), *sys.path])},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    lines = done.stdout.decode(errors="replace").splitlines()
    errors = [line for line in lines if re.match(r"\w*(Error|Exception|ERROR)", line)]
    return Fault("crashed", " ".join(errors[-1:] or lines[-1:])) if done.returncode else None


def targets_by_name(base: Path) -> dict[str, Target]:
    """Return all parsers; the artifacts lie in ``base`` afterwards."""
    write_all(base)
    return {target.name: target for target in _targets(base)}


def _trial(target: Target, k: int, chance: random.Random, folder: Path) -> Fault | None:
    if k < len(target.hostile):
        target.call(target.hostile[k], folder)
        return Fault("accepted", f"{target.hostile[k][:40]!r}")
    target.call(_input(target, k, chance), folder)
    return None


def _input(target: Target, k: int, chance: random.Random) -> bytes:
    if k % 4 == 3:
        batch, place = divmod(k // 4, BY_HYPOTHESIS)
        made = _by_hypothesis(target.style, target.seeds, batch)
        return made[place % len(made)]
    data = chance.choice(target.seeds)
    if target.style in ("text", "bytes") or chance.random() < 0.2:
        return spoiled(data, chance)
    value = mutated(json.loads(data), chance)
    if target.style == "canonical" and chance.random() < 0.9:
        try:
            return canonical_file(value)
        except (ValueError, RecursionError):  # NaN, or too deep to be written
            pass
    return json_bytes(value, chance)


@lru_cache(maxsize=4)
def _by_hypothesis(style: str, seeds: tuple[bytes, ...], batch: int) -> list[bytes]:
    made: list[bytes] = []

    @seed(zlib.crc32(seeds[0]) + batch)
    @settings(
        max_examples=BY_HYPOTHESIS,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(_strategy(style, seeds))
    def collect(data: bytes) -> None:
        made.append(data)

    collect()
    return made


def _strategy(style: str, seeds: tuple[bytes, ...]) -> st.SearchStrategy[bytes]:
    raw = st.binary(max_size=300)
    cut = st.builds(
        lambda data, at, new, skip: data[: at % (len(data) + 1)] + new + data[at + skip :],
        st.sampled_from(seeds), st.integers(0, 5000), raw | st.sampled_from(BITS),
        st.integers(0, 50),
    )  # fmt: skip
    if style == "text":
        few = st.text("0123456789,* -+@.:/abcdPushCube_v", max_size=60)
        return (few | st.text(max_size=60)).map(lambda t: t.encode("utf-8", "surrogatepass"))
    if style == "bytes":
        return cut | raw
    leaf = st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(allow_subnormal=False),
        st.text(max_size=20), st.sampled_from(VALUES),
    )  # fmt: skip
    names = sorted(set(json.loads(seeds[0]))) if seeds[0].startswith(b"{") else ["a", "b"]
    keys = st.sampled_from(names) | st.text(max_size=10)
    anything = st.recursive(leaf, lambda x: st.lists(x) | st.dictionaries(keys, x), max_leaves=25)
    objects = st.fixed_dictionaries(dict.fromkeys(names, anything)) | anything
    return objects.map(lambda value: (json.dumps(value, indent=1) + "\n").encode()) | cut


def _targets(base: Path) -> list[Target]:
    manifests = tuple(path.read_bytes() for path in sorted(base.glob("*/manifest.json")))
    plain = (b'{"a": [1, 2.5, null, true, "x"], "b": {"c": "d"}}', *manifests[:2])
    tensors = ((base / "ghn/model.safetensors").read_bytes(),)
    shapes = (b"128,256,128", b"64", b"128,*,128", b"*,*", b" 8 , 8 ")
    tasks = (b"PushCube-v1", b"gym:CartPole-v1", b"LiftPegUpright-v1@pd_joint_delta_pos",
             b"./task.py", b"mnist", b"digits")  # fmt: skip
    sections = Params().model_dump(mode="json")
    yaml = tuple(json.dumps({name: sections[name]}, indent=1).encode() for name in sections)
    yaml += (b"seed: 3\ntask: PushCube-v1\ntokenize: {patch: 8}\n", b"a: &a [1]\nb: *a\n")
    saved = _saved_state(base)
    return [
        Target("JSON", plain, lambda data, _: parse_json(data, "file"), hostile=BAD_JSON),
        Target("canonical JSON", plain, lambda data, _: parse_canonical(data, "file"), "canonical"),
        Target("manifest", manifests, lambda data, _: parse_manifest(data, "file"), "canonical"),
        Target("manifest, sealed", manifests, _parse_sealed, "canonical"),
        Target("safetensors", tensors, _read_tensors, "bytes"),
        Target("safetensors' header", (header_of(tensors[0]),), partial(_with_header, tensors[0])),
        *(
            Target(
                Path(name).name if "zarr" not in name else f"{name.split('/')[-2]}/zarr.json",
                ((base / kind / name).read_bytes(),),
                partial(_read_resealed, base, kind, name),
                "json" if "zarr" in name else "canonical",
            )
            for kind, name in JSON_FILES.items()
        ),
        Target(
            "architecture", shapes, lambda d, _: parse_architecture(_text(d)), "text", BAD_SHAPES
        ),
        Target("pattern", shapes, lambda d, _: parse_pattern(_text(d)), "text", BAD_SHAPES),
        Target("task name", tasks, lambda d, _: check_name(TaskRef(_text(d), typed=True)), "text"),
        Target("params.yaml", yaml, _load_params, "bytes", BAD_YAML),
        Target("params.yaml as JSON", yaml[:-2], _load_params),
        Target("state", (saved,), _load_state, "bytes"),
        Target("state's account", (b'{"key": "k", "step": 3, "counters": {"a": 1}}',), _load_about),
    ]


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _parse_sealed(data: bytes, folder: Path) -> None:
    (folder / "manifest.json").write_bytes(data)
    try:
        examples.edit_manifest(folder, lambda fields: None)
        data = (folder / "manifest.json").read_bytes()
    except (ValueError, TypeError, KeyError, RecursionError):  # nothing that could be sealed
        pass
    parse_manifest(data, "file")


def header_of(data: bytes) -> bytes:
    """Return the header of a safetensors file."""
    return data[8 : 8 + int.from_bytes(data[:8], "little")]


def with_header(data: bytes, header: bytes) -> bytes:
    """Return a safetensors file with another header."""
    body = data[8 + int.from_bytes(data[:8], "little") :]
    return len(header).to_bytes(8, "little") + header + body


def _with_header(data: bytes, header: bytes, folder: Path) -> None:
    _read_tensors(with_header(data, header), folder)


def _read_tensors(data: bytes, folder: Path) -> None:
    (folder / "x.safetensors").write_bytes(data)
    read_tensors(folder / "x.safetensors")


def _read_resealed(base: Path, kind: str, name: str, data: bytes, folder: Path) -> None:
    path = folder / kind
    shutil.copytree(base / kind, path)
    examples.replace_file(path, name, data)
    read(kind, path)


def _load_params(data: bytes, folder: Path) -> None:
    (folder / "params.yaml").write_bytes(data)
    load_params(folder / "params.yaml")


def _saved_state(base: Path) -> bytes:
    save_state(base / "out", "k", 3, {"w": np.arange(9.0)}, {"a": 1})
    return (state_folder(base / "out") / state.STATE_NAME).read_bytes()


def _load_state(data: bytes, folder: Path) -> None:
    for file in (state.STATE_NAME, f"{state.UNITS_FOLDER}/a.safetensors"):
        (state_folder(folder / "out") / file).parent.mkdir(exist_ok=True)
        (state_folder(folder / "out") / file).write_bytes(data)
    UnitStore(folder / "out", "k").load("a")
    load_state(folder / "out", "k")


def _load_about(data: bytes, folder: Path) -> None:
    """Load a state whose account of itself is hostile and whose hashes are right."""
    tensors = {"w": np.arange(9.0)}
    try:
        about = json.loads(data)
        metadata = {"about": about, "sha256": state._fingerprint(about, tensors)}
        hostile = tensor_bytes(tensors, metadata, finite=False)
    except (ValueError, TypeError, RecursionError):  # nothing that could be written
        return
    _load_state(hostile, folder)


# Files of examples and of trajectories: their containers are well-formed, what they hold is not.


def _write_bombs(base: Path) -> None:
    """Write files of a few MB that unpack to more than there is memory for."""
    count = 20 * len(ZEROS)
    header = (0x0803).to_bytes(4) + b"".join(n.to_bytes(4) for n in (count // 784, 28, 28))
    packed = gzip.compress(ZEROS, 1)
    (base / "bomb.gz").write_bytes(gzip.compress(header) + packed * 20)
    with zipfile.ZipFile(base / "bomb.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        for name in ("images.npy", "labels.npy"):
            with file.open(name, "w") as member:
                member.write(_npy_header("|u1", (count,)))
                for _ in range(20 if name == "images.npy" else 1):
                    member.write(ZEROS)


def _npy_header(dtype: str, shape: object, order: object = False) -> bytes:
    buffer = io.BytesIO()
    text = repr({"descr": dtype, "fortran_order": order, "shape": shape}).encode() + b"\n"
    buffer.write(b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text)
    return buffer.getvalue()


def _npz(base: Path, k: int, chance: random.Random, folder: Path) -> None:
    dtypes = ("|u1", "<f4", "<i8", "|O", "<U9", "<c8", "|b1", "<f8", "|V7", "[('a', '<i4')]", "M8")
    shapes = ((20, 28, 28), (20,), (20, 784), (), (0, 28, 28), (2**40,), (-1,), (2**70, 2), "x", 20)
    file = folder / "x.npz"
    with zipfile.ZipFile(file, "w", chance.choice((0, 8))) as archive:
        names = ("images", "labels", "x_train", "y_train", "x_test", "y_test")
        for name in chance.choice((names[:2], names[:2], names[2:], names[1:3])):
            good = (20, 28, 28) if name[0] in "ix" else (20,)
            wrong = chance.random() < 0.5
            dtype = chance.choice(dtypes) if wrong else "|u1"
            shape = chance.choice(shapes) if wrong and chance.random() < 0.5 else good
            size = chance.choice((0, 20, 20 * 784, 20 * 784 * 8))
            body = chance.choice((bytes(size), chance.randbytes(size), b"\x80\x04cos\nsystem\n."))
            member = chance.choice(("{}.npy", "{}.npy", "{}.npy", "{}", "../{}.npy")).format(name)
            archive.writestr(member, _npy_header(dtype, shape) + body)
    if chance.random() < 0.3:
        file.write_bytes(spoiled(file.read_bytes(), chance))
    if k % 400 == 7:
        file = base / "bomb.npz"
    read_mnist.__wrapped__(str(file))


def _idx(base: Path, k: int, chance: random.Random, folder: Path) -> None:
    for name, magic, shape in IDX:
        if chance.random() < 0.3:
            shape = tuple(chance.choice((0, 1, n, 2**31, 2**32 - 1)) for n in shape)
        count = min(5000, int(np.prod(shape, dtype=object)))
        head = magic.to_bytes(4) + b"".join(n.to_bytes(4) for n in shape)
        data = head + bytes(chance.choice((count, 3920, 20)))
        data = spoiled(data, chance) if chance.random() < 0.3 else data
        packed = chance.random() < 0.5
        data = gzip.compress(data) if packed else data
        data = spoiled(data, chance) if packed and chance.random() < 0.3 else data
        (folder / f"{name}{'.gz' if packed else ''}").write_bytes(data)
    if k % 400 == 7:
        (folder / "train-images-idx3-ubyte").unlink(missing_ok=True)
        (folder / "train-images-idx3-ubyte.gz").write_bytes((base / "bomb.gz").read_bytes())
    read_mnist.__wrapped__(str(folder))


def _trajectories(base: Path, k: int, chance: random.Random, folder: Path) -> None:
    file = folder / "t.h5"
    with h5py.File(file, "w") as h5:
        for number in range(2):
            group = h5.create_group(f"traj_{number}")
            wrong = chance.choice(("obs", "actions", "success", ""))
            for name, shape in (("obs", (6, PUSH.obs_dim)), ("actions", (5, PUSH.act_dim)),
                                ("success", (5,))):  # fmt: skip
                if name == wrong:
                    _hostile(group, name, shape, chance, folder)
                else:
                    group[name] = np.zeros(shape, bool if name == "success" else np.float32)
    if chance.random() < 0.2:
        file.write_bytes(spoiled(file.read_bytes(), chance))
    header = {
        "env_info": {"env_id": PUSH.task_id, "env_kwargs": {}, "max_episode_steps": 50},
        "episodes": [
            {"episode_id": n, "episode_seed": n, "control_mode": PUSH.control_mode} for n in (0, 1)
        ],
    }
    if chance.random() < 0.5:
        header = mutated(header, chance)
    data = json_bytes(header, chance)
    (folder / "t.json").write_bytes(spoiled(data, chance) if chance.random() < 0.1 else data)
    read_trajectories(file)


def _hostile(
    group: Any, name: str, shape: tuple[int, ...], chance: random.Random, folder: Path
) -> None:
    """Put something else where an array belongs."""
    outside = folder / "outside.h5"
    with h5py.File(outside, "w") as other:
        other["x"] = np.zeros(shape, np.float32)
    (folder / "raw").write_bytes(bytes(10**6))
    way = chance.randrange(16)
    if way == 0:
        group[name] = h5py.SoftLink("/nowhere")
    elif way == 1:
        group[name] = h5py.SoftLink(f"{group.name}/{name}")
    elif way == 2:
        group[name] = h5py.ExternalLink(str(outside), "/x")
    elif way == 3:
        group.create_dataset(name, shape, "f4", external=[(str(folder / "raw"), 0, 10**6)])
    elif way == 4:
        group.create_group(name)
    elif way == 5:
        group[name] = chance.choice((1.0, "text", np.array(["a", "b"], "S5"), np.void(b"xx")))
    elif way == 6:
        group.create_dataset(name, shape, h5py.ref_dtype)
    elif way == 7:
        group.create_dataset(name, shape, h5py.string_dtype())
    elif way == 8:
        group.create_dataset(name, shape, np.dtype([("a", "f4"), ("b", "i8")]))
    elif way == 9:
        rows = (2**30 // shape[-1], *shape[1:])
        group.create_dataset(name, rows, "f4", chunks=True, compression="gzip")
    elif way == 10:
        group.create_dataset(name, shape, "f4", fillvalue=chance.choice((np.nan, np.inf, 3e38)))
    elif way == 11:
        group[name] = np.zeros(shape, chance.choice(("c8", "i8", "u1", "f2", "f8", "?")))
    elif way == 12:
        group[name] = np.zeros(chance.choice(((), (0,), (5, 0), (1, 2, 3), shape[::-1])))
    elif way == 13:
        group.create_dataset(name, data=h5py.Empty("f4"))
    elif way == 14:
        group.create_dataset(name, shape, h5py.vlen_dtype(np.float32))
    else:
        layout = h5py.VirtualLayout(shape, "f4")
        layout[...] = h5py.VirtualSource(str(outside), "x", shape)
        group.create_virtual_dataset(name, layout)


def _stand_in_for_the_simulator() -> None:
    """Answer for ManiSkill, which takes seconds to import: one environment, and no other."""
    from gymnasium.spaces import Box

    class Environment:
        single_action_space = Box(-1, 1, (PUSH.act_dim,))

    def environment(task_id: str, *, filmed: bool = False) -> Environment:
        if task_id != f"{PUSH.task_id}@{PUSH.control_mode}":
            raise UsageError(f"--task {task_id}: no such task")
        return Environment()

    trajectories.official_environment = environment
    maniskill_any.official_environment = environment


FILES = {"examples as .npz": _npz, "examples as IDX": _idx, "trajectories": _trajectories}
