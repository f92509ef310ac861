"""What is made for a task and a training seed, and by which commands: ``plan.yaml``, read."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from string import Formatter
from typing import Any, NamedTuple

from ruamel.yaml import YAML

from nnit.architectures import sample_architecture
from nnit.mlp import Architecture, format_architecture
from nnit.seeding import numpy_generator
from stages.params_file import load_params

OF_STUDIES = {"evaluate": "studies.outcomes", "alarms": "studies.alarms"}  # word -> module
PLAN = Path(__file__).with_name("plan.yaml")
ARTIFACTS = Path("studies/artifacts")


class Part(NamedTuple):
    """An artifact, or the outcomes of a method, and the command that makes it."""

    out: Path
    words: tuple[str, ...]
    inputs: tuple[Path, ...]
    seed: int
    params: Path


class Job(NamedTuple):
    """A task and a training seed."""

    task: str
    seed: int
    about: Mapping[str, Any]  # the task, in the plan

    @property
    def seeds(self) -> list[int]:
        """All training seeds of the task."""
        return self.about.get("seeds", [0])

    @property
    def is_first(self) -> bool:
        """Whether it is the seed that most methods are run with."""
        return self.seed == self.seeds[0]

    @property
    def is_headline(self) -> bool:
        """Whether the task is among those that have several seeds."""
        return len(self.seeds) > 1

    @property
    def params(self) -> Path:
        """The parameter file."""
        return Path(self.about.get("params", "params.yaml"))

    @property
    def of_task(self) -> Path:
        """Where the artifacts are that all seeds share."""
        return ARTIFACTS / file_name(self.task)

    @property
    def folder(self) -> Path:
        """Where its own artifacts are."""
        return self.of_task / f"seed-{self.seed}"


def file_name(task: str) -> str:
    """Return a task's name as a file may have it."""
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in Path(task).name)


def read_plan() -> dict[str, Any]:
    """Return the plan."""
    return YAML(typ="safe").load(PLAN)


def jobs_of(plan: Mapping[str, Any], tasks: list[str], params: Path | None = None) -> list[Job]:
    """Return tasks, all of the plan by default, with each training seed, first seeds first.

    A task that the plan does not know has one seed, and the parameter file that is given for it.
    """
    own = {"without": ["packaged"], **({"params": str(params)} if params else {})}
    about = {task: plan["tasks"].get(task, own) for task in tasks or plan["tasks"]}
    jobs = [Job(task, seed, of) for task, of in about.items() for seed in of.get("seeds", [0])]
    return sorted(jobs, key=lambda job: not job.is_first)


def methods_of(plan: Mapping[str, Any], job: Job) -> list[str]:
    """Return the methods that are compared on a task, with a training seed."""
    wanted = {"every"}
    if job.is_first:
        wanted |= {"first", "headline"} if job.is_headline else {"first"}
    names = [name for name, method in plan["methods"].items() if method["on"] in wanted]
    without, more = job.about.get("without", []), job.about.get("with", [])
    return [*(name for name in names if name not in without), *more]


def parts_of(plan: Mapping[str, Any], job: Job) -> dict[str, Part]:
    """Return everything that is made for a task and a seed, each after what it is made of."""
    parts: dict[str, Part] = {}
    fixed = constants_of(plan, job)

    def path_of(name: str) -> Path:
        about = plan["artifacts"][name]
        if "at" in about:
            return Path(about["at"])
        return add(name, about["do"], {}, once=about.get("once", False))

    def add(name: str, words: str, given: Mapping[str, Any], *, once: bool = False) -> Path:
        if name not in parts:
            fields = {field for _, field, _, _ in Formatter().parse(words) if field}
            inputs = {key: path for key, path in given.items() if isinstance(path, Path)}
            inputs |= {field: path_of(field) for field in sorted(fields - {*fixed, *given})}
            suffix = ".json" if words.split()[0] in OF_STUDIES else ""
            parts[name] = Part(
                (job.of_task if once else job.folder) / f"{name}{suffix}",
                tuple(words.format_map({**fixed, **given, **inputs}).split()),
                tuple(inputs.values()),
                job.seeds[0] if once else job.seed,
                job.params,
            )
        return parts[name].out

    do = {method: about["do"] for method, about in plan["methods"].items()}
    for method in methods_of(plan, job):
        networks = add(f"samples/{method}", do[method], {})
        add(f"outcomes/{method}", plan["evaluation"], {"networks": networks})
    for name, method, about in reports_of(plan, job):
        given = {}
        if "shapes" in about:
            shapes, count = about["shapes"], about["samples"]
            if isinstance(shapes, int):
                shapes = arch_flags(drawn_shapes(job, shapes, about["draw"]))
            asked = {"shapes": shapes, "samples": f"--samples {count}"}
            given = {"networks": add(f"{name}/of-{method}", do[method], asked)}
        elif method in do:
            given = {"networks": parts[f"samples/{method}"].out}
        add(f"{name}/{method}", about["do"], given)
    for count, method in many_of(plan, job):
        asked = {"shapes": arch_flags(drawn_shapes(job, count)), "samples": "--samples 1"}
        add(f"many/{method}-{count}", do[method], asked)
    return parts


def reports_of(plan: Mapping[str, Any], job: Job) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Yield what else is said of a task's methods: the report, the method, and how it is made."""
    for name, about in plan["reports"].items():
        if job.task in about["tasks"]:
            for method in about.get("methods" if job.is_first else "further_seeds", ()):
                yield name, method, about


def many_of(plan: Mapping[str, Any], job: Job) -> Iterator[tuple[int, str]]:
    """Yield how many networks are made at once, for the seconds that they take, and how."""
    if job.is_first and job.task in plan["many"]["tasks"]:
        for method, counts in plan["many"]["methods"].items():
            for count in counts:
                yield count, method


def drawn_shapes(job: Job, count: int, draw: int = 0) -> list[Architecture]:
    """Return different shapes, drawn as training networks are; with a draw, of held-out widths."""
    training = load_params(job.params).architectures.training_range()
    within = replace(training, width_step=1, held_out_widths=()) if draw else training
    chance, shapes = numpy_generator(draw, "studies"), dict[Architecture, None]()
    while len(shapes) < count:
        drawn = sample_architecture(chance, within)
        if training.is_trainable(drawn) != bool(draw):
            shapes[drawn] = None
    return list(shapes)


def constants_of(plan: Mapping[str, Any], job: Job) -> dict[str, str]:
    """Return what words of the plan stand for in a task."""
    data, episodes = job.about.get("data"), job.about.get("episodes", plan["episodes"])
    of = load_params(job.params).architectures.held_out
    within = arch_flags((*of.unseen_combo, *of.unseen_width))
    return {
        "task": job.task,
        "params": f"--params {job.params}",
        "learned": job.about.get("learned", ""),
        "fresh_ones": job.about.get("fresh", "-n 60 --first-seed 500000"),
        "where": f"--task {job.task}" + (f" --data {data}" if data else ""),
        "episodes": f"--episodes {episodes}" if episodes else "",
        "shapes": "--held-out" if job.is_headline else within,
        "samples": f"--samples {plan['samples']}",
        "steps": f"--clone-steps {plan['clone_steps']}",
        "slim_steps": f"--clone-steps {plan['slim_steps']}",
    }


def arch_flags(shapes: Iterable[Architecture]) -> str:
    """Ask for shapes."""
    return " ".join(f"--arch {format_architecture(dims)}" for dims in shapes)
