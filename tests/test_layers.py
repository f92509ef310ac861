"""Imports go one way, and each third-party library has one home."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
PACKAGES = ("nnit", "nnit_cli", "stages")
ROOMS = {
    "zoo",
    "tokens",
    "ghn",
    "diffusion",
    "rollout",
    "tasks",
    "figures",
    "flat",
    "frontier",
    "audit",
    "alignment",
    "ppo",
    "export",
}
MAY_USE = {  # which rooms of nnit a room may import, beside the modules at the top of nnit
    "top": set(),
    "offer": {"generators"},  # of nnit/__init__.py
    "zoo": {"ghn"},
    "tokens": {"zoo"},
    "ghn": set(),
    "ppo": {"ghn", "tasks"},
    "diffusion": {"tokens"},
    "flat": {"diffusion", "tokens", "zoo"},
    "tasks": set(),
    "rollout": {"tasks"},
    "figures": set(),
    "frontier": {"diffusion", "rollout"},
    "audit": {"zoo", "tokens", "rollout"},
    "alignment": {"zoo", "tokens"},
    "artifacts": ROOMS,
    "generators": {"artifacts", "diffusion", "tokens", "zoo"},
    "export": {"generators"},
}
HOMES = {  # third-party library -> the only modules that may import it
    "typer": ("nnit_cli",),
    "rich": ("nnit_cli",),
    "pydantic": ("stages", "nnit.artifacts", "nnit.faults"),
    "pydantic_core": ("nnit.artifacts.records", "nnit.faults"),
    "ruamel": ("stages",),
    "matplotlib": ("nnit.figures",),
    "imageio_ffmpeg": ("nnit.figures",),
    "jinja2": ("nnit.figures.page",),
    "vl_convert": ("nnit.figures.page",),
    "zarr": ("nnit.artifacts",),
    "safetensors": ("nnit.artifacts",),
    "mani_skill": ("nnit.tasks", "nnit.rollout.batched"),
    "sapien": ("nnit.tasks", "nnit.rollout.batched"),
    "gymnasium": ("nnit.tasks", "nnit.rollout.batched"),
    "onnx": ("nnit.export.onnx_graph",),
    "onnxruntime": ("nnit.export.onnx_graph",),
    "huggingface_hub": ("nnit.export.hub",),
    "httpx2": ("nnit.export.hub",),
    "tensorboard": ("nnit.trackers",),
    "wandb": ("nnit.trackers",),
    "dvclive": ("nnit.trackers",),
    "sklearn": ("nnit.tasks.classification", "nnit.rollout.alarms"),
    "pyarrow": ("nnit.tasks.lerobot",),
    "h5py": ("nnit.artifacts.trajectories", "nnit.tasks.hdf5"),
    "click": (),
    "dvc": (),
    "yaml": (),
    "pickle": ("nnit.shipping",),  # between processes of one run
    "dask": ("nnit.dask_cluster",),
    "distributed": ("nnit.dask_cluster",),
}


def modules() -> dict[str, Path]:
    """Return every module of the project and its file."""
    files = [path for package in PACKAGES for path in (REPOSITORY / package).rglob("*.py")]
    names = {}
    for path in files:
        parts = path.relative_to(REPOSITORY).with_suffix("").parts
        names[".".join(parts).removesuffix(".__init__")] = path
    return names


MODULES = modules()
ENTRY = "nnit.__main__"  # of the terminal, at the place where `python -m nnit` looks for it


def imports(path: Path) -> set[str]:
    """Return the dotted names that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def room(name: str) -> str:
    """Return the room of a dotted name in ``nnit``: "ghn", "artifacts", ... "offer" or "top"."""
    parts = name.split(".")
    if name == "nnit":
        return "offer"
    return parts[1] if len(parts) > 1 and parts[1] in MAY_USE else "top"


@pytest.mark.parametrize("module", sorted(MODULES))
def test_imports_go_one_way(module):
    """The terminal uses stages, stages use the library, and never the other way round."""
    package = "nnit_cli" if module == ENTRY else module.split(".")[0]
    used = {name for name in imports(MODULES[module]) if name.split(".")[0] in PACKAGES}
    below = {"nnit_cli": set(PACKAGES), "stages": {"stages", "nnit"}, "nnit": {"nnit"}}[package]
    assert {name for name in used if name.split(".")[0] not in below} == set()
    if package == "nnit":
        here = room(module)
        allowed = MAY_USE[here] | {here, "top"}
        assert {name for name in used if room(name) not in allowed} == set()


@pytest.mark.parametrize("module", sorted(MODULES))
def test_third_party_libraries_stay_at_home(module):
    """A library is imported in its one home, so that it can be replaced there."""
    for name in imports(MODULES[module]):
        homes = HOMES.get(name.split(".")[0], (module,))
        assert any(f"{module}.".startswith(f"{home}.") for home in homes), name


def test_torch_is_never_loaded_by_unpickling():
    """Neither torch.load nor numpy's allow_pickle=True appears anywhere."""
    for path in MODULES.values():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and ast.unparse(node) == "torch.load":
                pytest.fail(f"{path}:{node.lineno}: torch.load")
            if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
                assert ast.unparse(node.value) == "False", path


@pytest.mark.seconds
def test_importing_everything_has_no_side_effects(tmp_path):
    """Importing every module writes, prints and starts nothing, and brings no simulator along."""
    names = [name for name in sorted(MODULES) if not name.endswith("__main__")]
    code = (
        "import importlib, os, random, sys, threading\n"
        "state, environment = random.getstate(), dict(os.environ)\n"
        f"for name in {names!r}: importlib.import_module(name)\n"
        "assert random.getstate() == state\n"
        "assert dict(os.environ) == environment, 'environment changed'\n"
        "assert threading.active_count() == 1, threading.enumerate()\n"
        "assert not {'mani_skill', 'sapien', 'gymnasium', 'dvc'} & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(tmp_path.iterdir()) == []
