"""Artifacts by somebody who knows the format: hostile inside, with valid digests and seals.

Each is read, described, and given to a command that takes its kind.
"""

import io
import json
import multiprocessing
import os
import random
import shutil
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import artifact_examples as examples
import h5py
import numpy as np
import tiny_pipeline
import zarr
from zarr.codecs import Crc32cCodec, ZstdCodec

from nnit import processes
from nnit.artifacts import arrays, frontier, rollouts
from nnit.artifacts.canonical import canonical_file
from nnit.artifacts.manifest import Provenance
from nnit.artifacts.publish import publish
from nnit.artifacts.reading import open_artifact
from nnit.errors import NnitError
from nnit.rollout.metrics import Evaluation
from nnit_cli.main import main
from stages.params import Params

from .corpus import NAMES, data_files, read, write_all
from .fuzz import header_of, with_header
from .mutations import DEEP, FORGED, GONE, INFINITY, VALUES, Path_, at, paths, replaced
from .trials import Attack, Fault

FIELDS, ELEMENTS = 1500, 400  # trials
MARKER = "it-ran"
RUN = "import pathlib; pathlib.Path({!r}).write_text('')\n"
EXTREMES = (3e38, -3e38, 1e-45, -1.0, float("nan"), float("inf"), 1e308, -1e308)
SHOWN = ("report {}",)  # what reads kinds that are for people
COMMANDS: dict[str, tuple[str, ...]] = {  # {} is the artifact, {p} a folder of good ones
    "demos": ("ghn-train {} --steps 1", "zoo-alone {} -n", "rollout {p}/samples --demos {} -n"),
    "ghn": ("zoo-export {} --demos {p}/demos --networks 2 --branches 1 --workers 1",
            "rollout {} --arch 8 --episodes 2 --workers 1"),
    "zoo": ("tokenize {}", "flat-train {} --steps 1 --autoencoder-steps 1",
            "rollout {} --episodes 1 --workers 1"),
    "tokens": ("diffuse-train {} --demos {p}/demos --steps 1",),
    "generator": ("sample --model {} --arch 16,8", "sample --model {}",
                  "frontier --model {} --shapes 2 --episodes 4 --race-episodes 2"
                  " --first-episodes 2 --workers 1"),
    "flat": ("flat-sample --model {} --arch 16,8",),
    "samples": ("rollout {} --episodes 2 --workers 1", "audit {} --zoo {p}/zoo --demos {p}/demos"),
}  # fmt: skip
DIGITS = ("demos", "ghn", "zoo", "tokens", "generator", "flat", "samples", "rollouts")
FORMAT = {  # what a reader has to look at, of the manifest
    ("kind",), ("schema",), ("seed",), ("stage",), ("nnit_version",), ("parents",), ("versions",),
    ("arrays",), ("attributes", "interface"), ("attributes", "interfaces"),
    ("attributes", "networks"), ("attributes", "splits"), ("attributes", "patch_size"),
}  # fmt: skip
OPTIONAL = ("loss", "success", "output", "ghn", "median", "spread", "ratio", "distance", "smallest")


class Hostile(NamedTuple):
    """An artifact that is made hostile by hand."""

    base: str  # the folder of the good one
    what: str
    edit: Callable[[Path], None]
    refuse: bool = True  # whether no command may take it


def attacks(base: Path) -> list[Attack]:
    """Return the attacks; good artifacts lie in ``base`` afterwards."""
    forking = multiprocessing.get_context("fork")
    multiprocessing.get_context = lambda method=None: forking  # type: ignore[assignment]
    processes.start_server = lambda *modules: None
    write_all(base)
    build_digits(base / "digits")
    _write_full_of_zeros(base / "zeros")
    by_hand = _by_hand()
    code = [(kind, name) for kind in (*DIGITS[:-1], "trajectories") for name in CODE_NAMES]
    return [
        Attack("sealed: a field of another type or size", FIELDS, partial(_field, base)),
        Attack("sealed: a number of an array or tensor", ELEMENTS, partial(_element, base)),
        Attack("sealed: hostile by hand", len(by_hand), partial(_hand, base, by_hand)),
        Attack("sealed: a task that names code", len(code), partial(_code, base, code)),
    ]


def build_digits(folder: Path) -> None:
    """Run the tiny pipeline for a task without a simulator."""
    folder.mkdir()
    params = tiny_pipeline.PARAMS.model_copy(update={"task": "digits"})
    params = tiny_pipeline.with_section(params, "demos", episodes=40)
    params = tiny_pipeline.with_section(params, "ghn-train", steps=2)
    tiny_pipeline.write_params(folder / "params.yaml", Params.model_validate(params.model_dump()))
    for name, command in tiny_pipeline.COMMANDS.items():
        tiny_pipeline.run(name, folder, folder / command.kind, params=params)


def _field(base: Path, k: int, chance: random.Random, folder: Path) -> Fault | None:
    """Put a hostile value into any field of any JSON of any artifact."""
    place = [*NAMES, *(f"digits/{kind}" for kind in DIGITS)][k % (len(NAMES) + len(DIGITS))]
    path = folder / "artifact"
    shutil.copytree(base / place, path)
    file = chance.choice([
        name for name in ("manifest.json", *data_files(path))
        if name.endswith(("manifest.json", "json", "safetensors"))
    ])  # fmt: skip
    value = _load(path / file)
    keys = chance.choice([p for p in paths(value) if p[:1] not in ((), ("files",))])
    old = at(value, keys)
    ways = [
        *(v for v in VALUES if v == v and v != INFINITY),
        GONE,
        GONE,
        *([old[:-1], old * 2] if isinstance(old, list) and old else []),
    ]
    new = chance.choice(ways)
    _store(path, file, replaced(value, keys, new))
    shown = "gone" if new is GONE else json.dumps(new)[:30]
    what = f"{file}: {'.'.join(map(str, keys))} = {shown}"
    refuse = old is not None  # else it may be of a type that nobody sees here
    refuse &= _has_to_be_there(file, keys) and _type(new) not in (_type(old), "None")
    refuse &= not (new is GONE and keys[0] in ("versions", "parents") and len(keys) > 1)
    return _judge(base, place, path, what, refuse=refuse, turn=k)


def _has_to_be_there(file: str, keys: Path_) -> bool:
    if any(word in str(part) for part in keys for word in OPTIONAL):
        return False
    if file == "manifest.json":
        return keys[:1] in FORMAT or keys[:2] in FORMAT
    return file.endswith(("config.json", "eval.json", "frontier.json", "audit.json", "nt.json"))


def _type(value: object) -> str:
    return "number" if type(value) in (int, float) else type(value).__name__.removesuffix("Type")


def _element(base: Path, k: int, chance: random.Random, folder: Path) -> Fault | None:
    """Put an extreme number anywhere into the arrays or tensors of an artifact."""
    place = f"{('', 'digits/')[k % 2]}{DIGITS[k // 2 % 7]}"
    path = folder / "artifact"
    shutil.copytree(base / place, path)
    files = [name for name in data_files(path) if name.endswith("safetensors")]
    if not files:
        what, refuse = spoil_arrays(path, partial(_put, chance))
        return _judge(base, place, path, what, refuse=refuse)
    file, new = chance.choice(files), np.float32(chance.choice(EXTREMES[:-2]))
    data = bytearray((path / file).read_bytes())
    start = len(data) - 4 * chance.randint(1, (len(data) - 8 - len(header_of(data))) // 4)
    data[start : start + 4] = new.tobytes()
    examples.replace_file(path, file, bytes(data))
    return _judge(base, place, path, f"{file}: {new}", refuse=not np.isfinite(new))


def _put(chance: random.Random, found: dict[str, np.ndarray]) -> tuple[str, bool]:
    """Change one number; whether something has to refuse it, because it is no number."""
    name = chance.choice([name for name in sorted(found) if found[name].size])
    flat = found[name].reshape(-1)
    if flat.dtype.kind == "f":
        with np.errstate(over="ignore"):
            new = flat.dtype.type(chance.choice(EXTREMES))
    elif flat.dtype == bool:
        new = np.bool_(chance.random() < 0.5)
    else:
        limits = np.iinfo(flat.dtype)
        new = flat.dtype.type(chance.choice((-1, 0, limits.min, limits.max)))
    flat[chance.randrange(len(flat))] = new
    return f"{name} = {new}", not (np.isfinite(new) or (name == "success" and np.isnan(new)))


def spoil_arrays(path: Path, spoil: Callable[[dict[str, np.ndarray]], Any]) -> Any:
    """Write an artifact anew with other arrays, whatever its own writer would say of them."""
    artifact = open_artifact(path)
    manifest = artifact.manifest
    found = {
        name: arrays.read_array(artifact, name, spec.dtype, spec.shape)
        for name, spec in manifest.arrays.items()
    }
    result = spoil(found)
    origin = Provenance(manifest.stage, manifest.params, manifest.seed, manifest.parents)
    shutil.rmtree(path)
    with publish(path, manifest.kind, origin, manifest.attributes) as writer:
        arrays.write_arrays(writer, found)
    return result


def _hand(
    base: Path, by_hand: Sequence[Hostile], k: int, chance: random.Random, folder: Path
) -> Fault | None:
    one = by_hand[k]
    path = folder / "artifact"
    shutil.copytree(base / one.base, path)
    one.edit(path)
    return _judge(base, one.base, path, one.what, refuse=one.refuse)


def _by_hand() -> list[Hostile]:
    """Return what is known to have been mistaken, and its like."""
    found = [
        Hostile(place, f"{what} = {json.dumps(value)[:40]}", partial(_edit, what, value), refuse)
        for places, whats, values, refuse in (*NO_MEANING, *EXTREME)
        for place in places
        for what in whats
        for value in values
    ]
    for name, values in RULES.items():
        found += [
            Hostile("frontier", f"{name} = {value}", partial(_edit_frontier, name, value))
            for value in values
        ]
    for name, value, refuse in EVALUATIONS:
        edit = partial(_edit_rollouts, name, value)
        found.append(Hostile("rollouts", f"{name} = {str(value)[:20]!r}", edit, refuse))
    for shape in ([2**40, 3], [2**62, 3], [2**31, 3], [0, 3], [9, 3, 1]):
        found.append(Hostile("demos", f"observations {shape}", partial(_claim_shape, shape)))
    return [*found, Hostile("zeros", "1.9 GiB of zeros", lambda path: None)]


def _edit(what: str, value: Any, path: Path) -> None:
    """Put a value into a field, ``FILE: KEY.KEY``, or into all of an array of this name."""
    file, _, keys = what.partition(": ")
    if keys:
        place = tuple(int(key) if key.isdigit() else key for key in keys.split("."))
        _store(path, file, replaced(_load(path / file), place, value))
    else:
        spoil_arrays(path, lambda found: found[what].fill(value))


def _claim_shape(shape: list[int], path: Path) -> None:
    _edit(f"{SHEET}: shape", shape, path)
    _edit("manifest.json: arrays.observations.shape", shape, path)


def _edit_frontier(rule: str, value: Any, path: Path) -> None:
    """Change a rule of the race; the figures follow from it where they can be computed."""
    stored, _ = frontier.read_frontier(path)
    changed = stored.frontier.__class__(
        stored.frontier.candidates,
        stored.frontier.rules._replace(**{rule: value}),
        0.4,
        stored.interface,
    )
    try:
        content = frontier.frontier_json(changed)
    except Exception:  # noqa: BLE001 - rules that no race can have
        content = {**_load(path / "frontier.json"), "rules": changed.rules._asdict()}
    examples.replace_file(path, "frontier.json", canonical_file(content))


def _edit_rollouts(name: str, value: Any, path: Path) -> None:
    """Change evaluations; the aggregates follow from them where they can be computed."""
    found, _ = rollouts.read_rollouts(path)
    if name == "name":
        changed = [one._replace(name=f"{value}{k}") for k, one in enumerate(found.evaluations)]
    elif name in Evaluation._fields:
        changed = [one._replace(**{name: value}) for one in found.evaluations]
    else:
        episodes = [
            [e._replace(**{name: value}) for e in one.episodes] for one in found.evaluations
        ]
        changed = [
            one._replace(episodes=tuple(some))
            for one, some in zip(found.evaluations, episodes, strict=True)
        ]
    try:
        content = rollouts.eval_json(changed)
        data = canonical_file(content)
    except (ValueError, OverflowError):  # sums that are not finite
        keys = ("per_network", 0, "cloning_loss")
        if name == "episode_return":
            keys = ("per_network", 0, "per_episode", 0, "return")
        data = canonical_file(replaced(_load(path / "eval.json"), keys, value))
    examples.replace_file(path, "eval.json", data)


ATTRIBUTES = "manifest.json: attributes"
STATISTICS = tuple(
    f"{ATTRIBUTES}.standardizer.{name}"
    for name in ("weight_mean", "weight_std", "bias_mean", "bias_std")
)
SHEET = "arrays.zarr/observations/zarr.json"
CODECS = f"{SHEET}: codecs.0.configuration.codecs"
ZOOS, TOKENS = ("zoo", "digits/zoo"), ("tokens", "digits/tokens")
MODELS, SAMPLES = ("digits/generator", "digits/flat"), ("samples", "digits/samples", "frontier")
RECORDED, CONFIG = ("samples", "digits/samples"), "network-0000/config.json"
PARTS = (  # none of which is all of an observation
    {"name": "a", "start": 0, "length": 2**62}, {"name": "a", "start": 1, "length": 2},
    {"name": FORGED, "start": 0, "length": 3}, {"name": "a", "start": 0, "length": 0},
    {"name": "a", "start": 0}, {"name": "a", "start": 0, "length": 1},
)  # fmt: skip
GENERATOR, FLAT, GHN = ("digits/generator",), ("digits/flat",), ("digits/ghn",)
SIZES = (2**20, 2**40, -1, 0, "8")
Row = tuple[tuple[str, ...], tuple[str, ...], tuple[Any, ...], bool]


def _config(*names: str) -> tuple[str, ...]:
    return tuple(f"{ATTRIBUTES}.config.{name}" for name in names)


NO_MEANING: tuple[Row, ...] = (  # where, what, values, and that something has to refuse them
    (ZOOS, ("branch",), (-1, 2**31 - 1), True),
    (ZOOS, ("fine_tune_steps", "loss", "success"), (-1,), True),
    (ZOOS, ("success",), (2, 1e300), True),
    (TOKENS, ("branches",), (-1, 2**31 - 1), True),
    (TOKENS, ("losses",), (-1,), True),
    (TOKENS + MODELS, STATISTICS, ([], [1.0], [1.0] * 4, "1", None), True),
    (TOKENS + MODELS, STATISTICS[1::2], ([0.0] * 3, [-1.0] * 3), True),
    (MODELS, _config("width", "depth"), (*SIZES, 1.5, [8], 10**30), True),
    (GENERATOR, _config("arch_depths", "arch_widths"),
     ([1, 2**40], [], [-1], [*range(10**5)]), True),
    (GENERATOR, _config("heads", "num_branches", "num_tasks", "patch_size", "rank"),
     (2**20, -1, "8"), True),
    (FLAT, _config("obs_dim", "act_dim", "widest", "deepest", "latents"), SIZES, True),
    (GHN, _config("node_dim", "channels", "rounds"), SIZES, True),
    (SAMPLES, ("network-0000/config.json: architecture",),
     ([8] * 1025, [65536] * 9, [2**40], [], [0]), True),
    (SAMPLES, ("network-0000/config.json: sample_index",), (-1, 1.5), True),
    (("digits/demos",), (f"{ATTRIBUTES}.input_dropout",), (-0.1, 1, 1e308, "0.2", None), True),
    (RECORDED, (f"{CONFIG}: control_freq",), (0, -1, 2**40, 0.5, "20"), True),
    (RECORDED, (f"{CONFIG}: pairs",), ([], [[]] * 10, [[[], []]] * 10, {}, None), True),
    (RECORDED, (f"{CONFIG}: pairs.0.0.0", f"{CONFIG}: pairs.9.1.0"), (1e300, "1", None), True),
    (RECORDED, (f"{CONFIG}: versions.nnit",), (FORGED, "", "1" * 101, 1), True),
    (RECORDED, (f"{CONFIG}: observation_layout",), tuple([part] for part in PARTS), True),
    (RECORDED, (f"{CONFIG}: observation_layout",), (None, [[]], 10**30), True),
    (("frontier",), (f"{CONFIG}: pairs",), ([],), True),
    (("demos",), (f"{SHEET}: chunk_key_encoding.configuration.separator",), (".",), True),
    (("demos",), (f"{SHEET}: chunk_key_encoding.name",), ("v2",), True),
    (("demos",), (f"{SHEET}: codecs.0.configuration.index_location",), ("start",), True),
    (("demos",), (f"{CODECS}.0.configuration.endian",), ("big",), True),
    (("demos",), (f"{CODECS}.1",), ({"name": "gzip", "configuration": {"level": 1}},), True),
)  # fmt: skip
EXTREME: tuple[Row, ...] = (  # nothing has to refuse these; nothing may break on them either
    (ZOOS, ("weights",), (3e38, -3e38), False),
    (ZOOS, ("loss",), (1e308,), False),
    (ZOOS, ("fine_tune_steps",), (2**62,), False),
    (TOKENS, ("weight_patches", "bias_patches", "losses"), (3e38,), False),
    (TOKENS + MODELS, STATISTICS, ([1e308] * 3, [1e-308] * 3), False),
    (NAMES, ("manifest.json: params",), ({"a": DEEP}, {"a": "\ud800"}, {FORGED: FORGED}), False),
    (NAMES, ("manifest.json: stage", "manifest.json: nnit_version", f"{ATTRIBUTES}.note"),
     (FORGED, "\ud800", "a" * 10**6), False),
    (NAMES, ("manifest.json: versions",), ({FORGED: FORGED},), False),
    (NAMES, ("manifest.json: seed",), (2**70, -(2**63)), False),
    (("audit",), ("audit.json: samples.0.loss", "audit.json: constant_loss", "audit.json: states",
                  "audit.json: groups.0.loss.mean"), (1e308, -1), False),
    (("alignment",), ("alignment.json: alphas.1", "alignment.json: zoos.0.line.losses.1",
                      "alignment.json: zoos.0.smoothness.0.lag"), (1e308, -1), False),
    (("demos",), (f"{SHEET}: fill_value",), (1.0, "NaN"), False),
    (("demos",), (f"{SHEET}: storage_transformers",), ([{"name": "x"}],), False),
    (("demos",), ("arrays.zarr/zarr.json: node_type",), ("array",), False),
)  # fmt: skip
RULES = {"floor": (1.5, -1, 1e308), "alpha": (2, -1), "tolerance": (-1,), "episodes": (0, 2**70)}
EVALUATIONS = (
    ("loss", -1.0, True), ("loss", 1e308, False), ("episode_return", 1e308, False),
    ("episode_ix", -1, True), ("episode_len", -1, True), ("episode_len", 10**9, True),
    ("name", "../../x", False), ("name", FORGED, False), ("source", FORGED, False),
    ("kind", FORGED, False), ("hidden_dims", (8,) * 5000, True), ("hidden_dims", (0,), True),
)  # fmt: skip


def _write_full_of_zeros(path: Path) -> None:
    """Write demos of 1.9 GiB in a few KB."""
    shape, rows = (170 * 10**6, 3), 10**6
    examples.write("demos", path)
    shutil.rmtree(path / "arrays.zarr/observations")
    group = zarr.open_group(path / "arrays.zarr", zarr_format=3)
    stored = group.create_array(
        "observations", shape=shape, dtype="float32", chunks=(rows, 3), shards=(4 * rows, 3),
        compressors=[ZstdCodec(level=-1), Crc32cCodec()], fill_value=0,
        config={"write_empty_chunks": True},
    )  # fmt: skip
    for start in range(0, shape[0], 4 * rows):
        stored[start : start + 4 * rows] = 0
    tree = {
        file.relative_to(path).as_posix(): file.read_bytes()
        for file in path.rglob("*")
        if file.is_file() and file.name != "manifest.json"
    }
    for name, data in tree.items():
        examples.replace_file(path, name, data)
    _claim_shape(list(shape), path)


CODE_NAMES = (
    "artifact/helper.py", "artifact@2/helper.py", "helper.py", "a/../helper.py", "helper@x.py",
    "gym:evil:Env-v0", "gym:evil.sub:Env-v0", "evil:x@pd_joint_delta_pos",
    "gym:../evil-v0", "PushCube-v1@helper.py", "gym:helper.py",
)  # fmt: skip


def _code(
    base: Path, tries: Sequence[tuple[str, str]], k: int, chance: random.Random, folder: Path
) -> Fault | None:
    """Let an artifact's task be the name of a file or of a module that says that it ran."""
    kind, name = tries[k]
    code = RUN.format(str(folder / MARKER))
    for file in ("helper.py", "evil.py", "helper@x.py", "PushCube-v1@helper.py", "gym:helper.py"):
        (folder / file).write_text(code)
    (folder / "artifact@2").mkdir()
    (folder / "artifact@2/helper.py").write_text(code)
    sys.path.insert(0, str(folder))
    path = folder / "artifact"
    if kind == "trajectories":
        return _trajectories_that_name_code(base, name, folder)
    shutil.copytree(base / "digits" / kind, path)
    for file in ("manifest.json", *(f for f in data_files(path) if f.endswith("config.json"))):
        keys = "attributes.interface.task" if file == "manifest.json" else "task"
        _edit(f"{file}: {keys}", name, path)
    (path / "helper.py").write_text(code)
    examples.replace_file(path, "helper.py", code.encode())
    more = {"samples": ("demos --teacher {}", "demos --dagger-from {}"),
            "zoo": ("demos --teacher {}", "demos --dagger-from {}")}.get(kind, ())  # fmt: skip
    words = (*COMMANDS.get(kind, SHOWN), *more)
    return _judge(base, f"digits/{kind}", path, name, refuse=True, commands=words, each=True)


def _trajectories_that_name_code(base: Path, name: str, folder: Path) -> Fault | None:
    env_id, _, mode = name.partition("@")
    header = {"env_info": {"env_id": env_id}, "episodes": [
        {"episode_id": 0, "episode_seed": 0, "control_mode": mode}]}  # fmt: skip
    (folder / "t.json").write_text(json.dumps(header))
    with h5py.File(folder / "t.h5", "w") as file:
        file["traj_0/obs"] = np.zeros((2, 3), np.float32)
    words = (f"demos --trajectories {folder}/t.h5",)
    return _judge(base, "", folder / "t.h5", name, refuse=True, commands=words, each=True)


def _judge(
    base: Path, place: str, path: Path, what: str, *, refuse: bool, turn: int | None = None,
    commands: Sequence[str] = (), each: bool = False,
) -> Fault | None:  # fmt: skip
    """Read an artifact, give it to commands, and say what went wrong.

    Args:
        base: Where the good artifacts lie.
        place: Which of them it was; ``digits/KIND`` can be run.
        path: The hostile one.
        what: What is hostile.
        refuse: Whether something has to refuse it.
        turn: Run one of the commands of its kind, this time round; None for all.
        commands: Run these instead.
        each: Each command has to refuse it.
    """
    label = f"{place} {what}"
    kind = place.removeprefix("digits/").replace("zeros", "demos")
    refused = False
    if kind:
        try:
            read(kind, path)
        except NnitError:
            refused = True
    commands = commands or COMMANDS.get(kind.partition(" ")[0], SHOWN)
    commands = commands if turn is None else [commands[turn % len(commands)]]
    if not place.startswith("digits/") and not each:  # no simulator here
        commands = [one for one in commands if not one.startswith(("rollout", "frontier"))]
    shown = ["inspect {}", "inspect {} --json"] if kind else []
    taken = ""
    for number, command in enumerate([*shown, *commands]):
        code, text = _run(command, base, path)
        if (path.parent / MARKER).exists():
            return Fault("accepted", f"{command}, code ran: {label}")
        if code == 1:
            return Fault("crashed", f"{command} {text}: {label}")
        if "\x1b" in text or "\nFORGED" in text:
            return Fault("accepted", f"{command}, prints what forges: {label}")
        if number >= len(shown):
            refused |= code != 0
            taken = taken or (command if each and code == 0 else "")
    if taken:
        return Fault("accepted", f"{taken}, took it: {label}")
    return Fault("accepted", f"nothing refused it: {label}") if refuse and not refused else None


def _run(command: str, base: Path, path: Path) -> tuple[int, str]:
    """Run a command here; its exit code and all that it printed, or where it crashed."""
    words = command.format(path, p=base / "digits").split()
    if not words[0].startswith(("inspect", "report")):
        words += ["--params", str(base / "digits/params.yaml"), "--out", str(path.parent / "o")]
        words += ["--force", "-q"]
    if words[0] == "report":
        words += ["--out", str(path.parent / "o.html"), "--force"]
    raw, here = io.BytesIO(), Path.cwd()
    out = io.TextIOWrapper(raw, "utf-8", write_through=True)
    err = io.TextIOWrapper(raw, "utf-8", errors="backslashreplace", write_through=True)
    shutil.rmtree(path.parent / "o", ignore_errors=True)
    os.chdir(path.parent)
    try:
        with redirect_stdout(out), redirect_stderr(err):
            code = main([*words, "--debug"])
    finally:
        os.chdir(here)
    text = raw.getvalue().decode()
    if code != 1:
        return code, "" if code == 0 and words[0] != "inspect" else text.partition("Traceback")[0]
    frames = [line for line in text.splitlines() if line.startswith('  File "')]
    ours = [line for line in frames if "/nnit" in line or "/stages" in line] or frames
    where = ours[-1].split(", in ")[-1].strip() if ours else ""
    error = [line for line in text.splitlines() if "internal error" in line]
    return 1, f"in {where}: {' '.join(error)[:150]}"


def _load(file: Path) -> Any:
    data = file.read_bytes()
    return json.loads(header_of(data) if file.suffix == ".safetensors" else data)


def _store(path: Path, file: str, value: Any) -> None:
    """Put JSON back into an artifact and seal it."""
    if file == "manifest.json":
        value = {name: item for name, item in value.items() if name != "manifest_sha256"}
        examples.edit_manifest(path, lambda fields: (fields.clear(), fields.update(value)))
    elif file.endswith("safetensors"):
        data = with_header((path / file).read_bytes(), json.dumps(value).encode())
        examples.replace_file(path, file, data)
    else:
        examples.replace_file(path, file, canonical_file(value))
