"""Write the pipeline of the comparison, ``comparison/dvc.yaml``.

    python -m benchmarks.comparison

Each part is one command for each task, some for each training seed. It depends on the artifacts
that its words name, on the code that its stage imports, however far down, and on its sections of
``comparison/params/TASK.yaml``.
"""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from ruamel.yaml import YAML

from benchmarks.architectures import BOUNDS
from benchmarks.collect import REPORTS
from nnit.mlp import format_architecture
from stages.params import Params

REPOSITORY = Path(__file__).parents[1]
DVC_FILE = REPOSITORY / "comparison" / "dvc.yaml"
TASKS = ["PushCube-v1", "PickCube-v1", "StackCube-v1"]
SEEDS = [0, 1, 2]
# What cannot change an artifact: messages, reports, and parameters, whose values DVC compares.
UNDECIDING = {"nnit", "nnit.errors", "nnit.opening", "nnit.progress", "stages", "stages.params"}
HEAD = "# Made by: python -m benchmarks.comparison\n"

AT = "comparison/artifacts/${item.task}"
OF_SEED = f"{AT}/seed-${{item.seed}}"
FIRST = f"{AT}/seed-0"
RESULTS = "results/${item.task}"
PARAMS = "comparison/params/${item.task}.yaml"
SECTIONS = {  # command -> keys of the parameter file that it reads
    "demos": ["task", "demos", "rollout.episodes", "rollout.first_seed"],
    "ghn-train": ["architectures", "ghn_train"],
    "zoo-export": ["architectures", "ghn_train", "zoo_export"],
    "zoo-alone": ["architectures", "zoo_export", "zoo_alone"],
    "tokenize": ["architectures", "tokenize"],
    "diffuse-train": ["architectures", "diffuse_train"],
    "sample": ["architectures", "zoo_export.repeated", "sample"],
    "flat-train": ["architectures", "flat_train"],
    "flat-sample": ["architectures", "flat_sample"],
    "baseline": ["architectures", "baseline"],
    "rollout": ["architectures", "rollout"],
    "audit": ["architectures", "audit"],
    "align-report": ["align_report"],
    "frontier": ["architectures", "frontier"],
}
WIDER = ["640", "768,768", "1024", "1024,1024", "1536", "2048"]
DEEPER = [",".join(["64"] * depth) for depth in (7, 8, 10, 12, 16)]
LIMITS = " ".join(f"--arch {dims}" for dims in (*WIDER, *DEEPER))
HELD_OUT = Params().architectures.held_out
BEYOND = " ".join(
    f"--arch {format_architecture(dims)}" for dims in (*HELD_OUT.wider, *HELD_OUT.deeper)
)
BASELINES = f"{AT}/baselines"
APART = {  # rollouts of other networks in the same episodes, each when its networks are there
    "rollouts-baselines": f"{BASELINES}/nearest --also average={BASELINES}/average "
    f"--also noise={BASELINES}/noise --ghn {FIRST}/ghn --demos {AT}/demos",
    "rollouts-flat": f"{AT}/flat/samples",
    "rollouts-unaligned": f"{AT}/alone/samples",
    "rollouts-cloning": f"{AT}/cloning/samples",
}
COLLECTED = ["limits", "joint", "architectures", *REPORTS]


class Part(NamedTuple):
    """One stage of the comparison."""

    words: str  # command and inputs
    out: str  # the artifact
    seeds: tuple[int, ...] = ()  # one for each of these; none: once, with seed 0

    @property
    def command(self) -> str:
        """The command's name."""
        return self.words.split()[0]

    @property
    def inputs(self) -> list[str]:
        """The artifacts that the words name."""
        words = [word.rpartition("=")[2] for word in self.words.split()]
        return sorted({word for word in words if word.startswith(AT)})


EVERY_SEED = tuple(SEEDS)
PARTS = {
    "demos": Part("demos", f"{AT}/demos"),
    "demos-fresh": Part("demos --episodes 100 --first-seed 20000", f"{AT}/demos-fresh"),
    "ghn": Part(f"ghn-train {AT}/demos --resume", f"{OF_SEED}/ghn", EVERY_SEED),
    "zoo": Part(
        f"zoo-export {OF_SEED}/ghn --demos {AT}/demos --resume", f"{OF_SEED}/zoo", EVERY_SEED
    ),
    "tokens": Part(f"tokenize {OF_SEED}/zoo", f"{OF_SEED}/tokens", EVERY_SEED),
    "generator": Part(
        f"diffuse-train {OF_SEED}/tokens --resume", f"{OF_SEED}/generator", EVERY_SEED
    ),
    "samples": Part(
        f"sample --model {OF_SEED}/generator --held-out --repeated",
        f"{OF_SEED}/samples",
        EVERY_SEED,
    ),
    "samples-extrapolated": Part(
        f"sample --model {FIRST}/generator {BEYOND} --beyond extrapolate",
        f"{AT}/samples-extrapolated",
    ),
    "ghn-pointwise": Part(
        f"ghn-train {AT}/demos --decoder pointwise --learning-rate 1e-3 --resume",
        f"{AT}/pointwise/ghn",
    ),
    "zoo-pointwise": Part(
        f"zoo-export {AT}/pointwise/ghn --demos {AT}/demos --networks 40 --resume",
        f"{AT}/pointwise/zoo",
    ),
    "zoo-alone": Part(f"zoo-alone {AT}/demos --resume", f"{AT}/alone/zoo"),
    "tokens-alone": Part(f"tokenize {AT}/alone/zoo", f"{AT}/alone/tokens"),
    "generator-alone": Part(f"diffuse-train {AT}/alone/tokens --resume", f"{AT}/alone/generator"),
    "samples-alone": Part(f"sample --model {AT}/alone/generator --held-out", f"{AT}/alone/samples"),
    "generator-cloning": Part(
        f"diffuse-train {FIRST}/tokens --demos {AT}/demos --steps 3000 --resume",
        f"{AT}/cloning/generator",
    ),
    "samples-cloning": Part(
        f"sample --model {AT}/cloning/generator --held-out --repeated", f"{AT}/cloning/samples"
    ),
    "flat": Part(f"flat-train {FIRST}/zoo --resume", f"{AT}/flat/flat"),
    "samples-flat": Part(f"flat-sample --model {AT}/flat/flat --held-out", f"{AT}/flat/samples"),
    **{
        method: Part(f"baseline {method} {FIRST}/zoo --held-out", f"{AT}/baselines/{method}")
        for method in ("nearest", "average", "noise")
    },
    "rollout": Part(
        f"rollout {FIRST}/samples --also extrapolated={AT}/samples-extrapolated "
        f"--demos {AT}/demos --constant-baseline --no-cloned-baseline "
        f"--loss-demos {AT}/demos-fresh --resume",
        f"{AT}/rollouts",
    ),
    **{
        name.replace("rollouts", "rollout"): Part(
            f"rollout {networks} --loss-demos {AT}/demos-fresh --resume", f"{AT}/{name}"
        )
        for name, networks in APART.items()
    },
    "rollout-seed": Part(
        f"rollout {OF_SEED}/samples --ghn {OF_SEED}/ghn --loss-demos {AT}/demos-fresh --resume",
        f"{AT}/rollouts-seed-${{item.seed}}",
        EVERY_SEED[1:],
    ),
    "samples-limits": Part(
        f"sample --model {FIRST}/generator {LIMITS} --beyond extrapolate", f"{AT}/samples-limits"
    ),
    "rollout-limits": Part(
        f"rollout {AT}/samples-limits --ghn {FIRST}/ghn --loss-demos {AT}/demos-fresh --resume",
        f"{AT}/rollouts-limits",
    ),
    "samples-joint": Part(f"sample --model {FIRST}/generator -n 64", f"{AT}/samples-joint"),
    "samples-architectures": Part(
        f"sample --model {FIRST}/generator -n 400", f"{AT}/samples-architectures"
    ),
    "samples-bounded": Part(
        f"sample --model {FIRST}/generator -n 100 --max-params 20000 --depth 2",
        f"{AT}/samples-bounded",
    ),
    "rollout-joint": Part(f"rollout {AT}/samples-joint --resume", f"{AT}/rollouts-joint"),
    "audit": Part(
        f"audit {FIRST}/samples --zoo {FIRST}/zoo --demos {AT}/demos-fresh "
        f"--rollouts {AT}/rollouts --ghn {FIRST}/ghn",
        f"{AT}/audit",
    ),
    "audit-cloning": Part(
        f"audit {AT}/cloning/samples --zoo {FIRST}/zoo --demos {AT}/demos-fresh "
        f"--rollouts {AT}/rollouts-cloning --ghn {FIRST}/ghn",
        f"{AT}/audit-cloning",
    ),
    "samples-eight": Part(
        f"sample --model {FIRST}/generator --held-out -n 8", f"{AT}/samples-eight"
    ),
    "audit-eight": Part(
        f"audit {AT}/samples-eight --zoo {FIRST}/zoo --demos {AT}/demos-fresh",
        f"{AT}/audit-eight",
    ),
    "alignment": Part(
        f"align-report carrier={FIRST}/zoo pointwise={AT}/pointwise/zoo independent={AT}/alone/zoo "
        f"--demos {AT}/demos-fresh",
        f"{AT}/alignment",
    ),
    "frontier": Part(f"frontier --model {FIRST}/generator", f"{AT}/frontier"),
}


def source_of(module: str) -> Path | None:
    """Return the file of a module of this project, or None."""
    path = REPOSITORY.joinpath(*module.split("."))
    return next((p for p in (path.with_suffix(".py"), path / "__init__.py") if p.is_file()), None)


@cache
def imports_of(module: str) -> frozenset[str]:
    """Return the modules of this project that a module imports, late imports too."""
    source = source_of(module)
    found = set()
    for node in ast.walk(ast.parse(source.read_text() if source else "")):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return frozenset(m for m in found if m.split(".")[0] in {"nnit", "stages"} and source_of(m))


def code_of(command: str) -> list[str]:
    """Return the files and rooms whose code decides what a command writes."""
    found: set[str] = set()
    waiting = {f"stages.{command.replace('-', '_')}"}
    while waiting:
        module = waiting.pop()
        found.add(module)
        waiting |= imports_of(module) - UNDECIDING - found
    sources = [source for module in found if (source := source_of(module))]
    paths = [source.relative_to(REPOSITORY) for source in sources if source.stem != "__init__"]
    return sorted({Path(*path.parts[:2]).as_posix() for path in paths})


def stage_of(name: str, part: Part) -> dict[str, Any]:
    """Return a stage as dvc.yaml has it."""
    full_name = f"{name}-${{item.seed}}" if part.seeds else name
    seconds, metrics = (f"{RESULTS}/{kind}/{full_name}.json" for kind in ("seconds", "metrics"))
    seed = "${item.seed}" if part.seeds else "0"
    matrix: dict[str, Any] = {"task": TASKS}
    if part.seeds:
        matrix["seed"] = list(part.seeds)
    return {
        "matrix": matrix,
        "wdir": "..",
        "cmd": f"python -m benchmarks.timed {seconds} nnit {part.words} --out {part.out} "
        f"--params {PARAMS} --seed {seed} --metrics {metrics}",
        "deps": [*part.inputs, *code_of(part.command)],
        "params": [{PARAMS: SECTIONS[part.command]}],
        "outs": [part.out],
        "metrics": [{path: {"cache": False}} for path in (metrics, seconds)],
    }


def collect_stage() -> dict[str, Any]:
    """Return the stage that takes the committed tables out of the artifacts."""
    read = ["rollouts", *APART, *(f"rollouts-seed-{seed}" for seed in SEEDS[1:])]
    read += ["rollouts-limits", "rollouts-joint", *REPORTS]
    read += ["seed-0/zoo", *BOUNDS]
    names = [*(f"networks-{seed}" for seed in SEEDS), *COLLECTED]
    return {
        "matrix": {"task": TASKS},
        "wdir": "..",
        "cmd": f"python -m benchmarks.collect {AT} {RESULTS}",
        "deps": [
            *(f"{AT}/{name}" for name in read),
            f"{RESULTS}/frontier_speed.json",
            "benchmarks/architectures.py",
            "benchmarks/collect.py",
        ],
        "metrics": [{f"{RESULTS}/{name}.json": {"cache": False}} for name in names],
    }


def frontier_speed_stage() -> dict[str, Any]:
    """Return the stage that times the frontier beside cloning its shapes."""
    inputs = [f"{FIRST}/generator", f"{AT}/demos"]
    out = f"{RESULTS}/frontier_speed.json"
    return {
        "matrix": {"task": TASKS},
        "wdir": "..",
        "cmd": f"python -m benchmarks.frontier_speed {' '.join(inputs)} {out} {PARAMS}",
        "deps": [*inputs, "benchmarks/frontier_speed.py", *code_of("frontier")],
        "params": [{PARAMS: [*SECTIONS["frontier"], "rollout.clone_steps"]}],
        "metrics": [{out: {"cache": False}}],
    }


def stages() -> Iterator[tuple[str, dict[str, Any]]]:
    """Return all stages by name."""
    for name, part in PARTS.items():
        yield name, stage_of(name, part)
    yield "frontier-speed", frontier_speed_stage()
    yield "collect", collect_stage()


def write(path: Path) -> None:
    """Write the pipeline."""
    yaml = YAML(pure=True)
    yaml.width = 10_000
    yaml.representer.ignore_aliases = lambda _: True
    with path.open("w") as file:
        file.write(HEAD)
        yaml.dump({"stages": dict(stages())}, file)


if __name__ == "__main__":
    write(DVC_FILE)
