"""What ``diffuse-train`` trains: the tasks of tokens, and a generator that it may go on from."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from nnit.diffusion.adapters import train_beside
from nnit.diffusion.architecture import values_of
from nnit.diffusion.batch import UNKNOWN_BRANCH
from nnit.diffusion.continuation import SIZES, KnownTask, go_on_from
from nnit.diffusion.sides import OuterSides
from nnit.diffusion.transformer import (
    DiffusionTransformer,
    TransformerConfig,
    build_transformer,
    places_of_tasks,
)
from nnit.diffusion.typical import PlaceGrid, grid_of
from nnit.errors import UsageError
from nnit.generators.trained import TrainedGenerator, TrainedTask, model_of
from nnit.progress import Progress
from nnit.seeding import derive_seed
from nnit.tokens.patches import patch_grid
from nnit.tokens.sequence import NetworkTokens
from nnit.tokens.token_set import TokenSet
from stages.lineage import require_same_task
from stages.params import DiffuseTrainParams

# A transformer that has learnt other branches does not take the middle of two new ones for their
# mean unless it is trained on it.
MIXED_SHARE = 0.3


@dataclass(frozen=True)
class Parent:
    """A generator to go on from."""

    path: Path
    trained: TrainedGenerator


@dataclass(frozen=True)
class Course:
    """What a generator learns from, and what it will know."""

    tokens: TokenSet
    tasks: tuple[TrainedTask, ...]  # of the generator: those that stay as they are, then these
    kept: int = 0  # how many of them stay

    @property
    def is_addition(self) -> bool:
        """Whether a generator is left as it is, and learns tasks beside what it knows."""
        return self.kept > 0

    @property
    def task_rows(self) -> list[int]:
        """The index of the task of each network of the tokens."""
        return (self.tokens.tasks + self.kept).tolist()

    @property
    def branch_rows(self) -> list[int]:
        """The branch of each network, counted over all tasks, so that tasks share none."""
        pairs = zip(self.task_rows, self.tokens.branches.tolist(), strict=True)
        return [
            self.tasks[task].place.branches.start + branch if branch >= 0 else UNKNOWN_BRANCH
            for task, branch in pairs
        ]


def course_of(
    tokens: TokenSet, kept: tuple[TrainedTask, ...] = (), adapter: int | None = None
) -> Course:
    """Return what is learnt from tokens.

    Args:
        tokens: Of one task or several.
        kept: Tasks of a generator that stays as it is.
        adapter: The number of what is trained beside it then.
    """
    ours = range(len(tokens.interfaces))
    counts = [len(task.place.branches) for task in kept] + [*map(tokens.num_branches, ours)]
    new = (
        TrainedTask(
            tokens.interfaces[k],
            tokens.standardizers[k],
            place,
            values_of(tokens.architectures_of(k)),
            adapter,
        )
        for k, place in zip(ours, places_of_tasks(counts)[len(kept) :], strict=True)
    )
    return Course(tokens, (*kept, *new), len(kept))


def further_params(
    section: DiffuseTrainParams,
    parent: Parent,
    tokens: TokenSet,
    flags: Collection[str] = (),
) -> DiffuseTrainParams:
    """Return the parameters of going on: what was not chosen is the parent's, or fit for it.

    A parameter file that spells a default out chooses nothing, a flag does.

    Args:
        section: What is asked for.
        parent: The generator to go on from.
        tokens: To learn from.
        flags: Names of parameters that were given as flags.

    Raises:
        UsageError: others were chosen, or the tokens have other patches.
    """
    theirs = parent.trained.model.config
    built_in = DiffuseTrainParams()
    free = {
        name
        for name in set(SIZES) - {"patch_size"} - set(flags)
        if getattr(section, name) == getattr(built_in, name)
    }
    section = section.model_copy(update={name: getattr(theirs, name) for name in free})
    if section.mixed_share is None:
        section = section.model_copy(update={"mixed_share": MIXED_SHARE})
    ours = {"patch_size": tokens.patch_size, **section.model_dump(include=set(SIZES))}
    names = [name for name in SIZES if getattr(theirs, name) != ours[name]]
    if names:
        found = ", ".join(f"{name} {getattr(theirs, name)}" for name in names)
        wanted = ", ".join(f"{name} {ours[name]}" for name in names)
        flags = " ".join(
            f"--{name.replace('_', '-')} {getattr(theirs, name)}"
            for name in names
            if name != "patch_size"
        )
        way_out = f"; give {flags}" if flags else "; cut the zoo again with `nnit tokenize --patch`"
        raise UsageError(f"--from {parent.path}: has {found}, expected {wanted}{way_out}")
    return section


def further_course(
    tokens: TokenSet, path: Path, parent: Parent, adapter_rank: int, progress: Progress
) -> Course:
    """Return what is learnt from tokens by a generator that knows something already.

    Tasks of which it knows none are added to it, if there may be adapters; else it is trained as a
    whole, on the tasks of the tokens alone.

    Args:
        tokens: To learn from.
        path: Where they lie, for messages.
        parent: The generator.
        adapter_rank: 0: it is trained as a whole.
        progress: Told of tasks that will be forgotten.

    Raises:
        WrongKindError: a task of both has two interfaces.
    """
    ours = {interface.task: interface for interface in tokens.interfaces}
    absent = []
    for task in parent.trained.tasks:
        name = task.interface.task
        if name in ours:
            require_same_task(parent.path, task.interface, path, ours[name])
        else:
            absent.append(name)
    if adapter_rank and len(absent) == len(parent.trained.tasks):
        return course_of(tokens, parent.trained.tasks, len(parent.trained.adapters))
    if absent:
        progress.note(
            f"diffuse-train: {path} has no networks of {', '.join(absent)}; what {parent.path} "
            "knows of it will be forgotten"
        )
    return course_of(tokens)


def begin(
    course: Course,
    networks: list[NetworkTokens],
    section: DiffuseTrainParams,
    parent: Parent | None,
    seed: int,
) -> DiffusionTransformer:
    """Return the transformer that training begins with.

    Args:
        course: What it is for.
        networks: Those of its tokens.
        section: Its sizes.
        parent: What it goes on from.
        seed: Of the training.

    Raises:
        UsageError: as ``model_to_go_on``.
    """
    old = parent and model_to_go_on(parent, course)
    places = grid_of(networks) if old is None or old.config.places else None
    if places and old is not None and old.config.places and course.is_addition:
        places = PlaceGrid(*map(max, places, old.config.places))
    config = TransformerConfig(
        course.tokens.patch_size,
        tuple(sorted({depth for task in course.tasks for depth in task.values.depths})),
        tuple(sorted({width for task in course.tasks for width in task.values.widths})),
        section.width,
        section.depth,
        section.heads,
        num_branches=sum(len(task.place.branches) for task in course.tasks),
        num_tasks=len(course.tasks) if len(course.tasks) > 1 else 0,
        places=places,
        rank=section.rank if places else 0,
        typical_rank=section.typical_rank if places else 0,
        outer=outer_sides(course, old) if places and section.typical_rank else (),
    )
    model = build_transformer(config, derive_seed(seed, "initial"))
    if places:
        model.typical.fit(networks, course.task_rows, course.branch_rows)
    if parent is not None and old is not None:
        known = known_tasks(parent, course)
        go_on_from(old, model, known, is_trained=not course.is_addition)
    if course.is_addition:
        train_beside(model, section.adapter_rank, derive_seed(seed, "adapter"))
    return model


def model_to_go_on(parent: Parent, course: Course) -> DiffusionTransformer:
    """Return the model that training begins with: the first one, or with what was added.

    Raises:
        UsageError: several of its parts would have to be trained together.
    """
    if course.is_addition:
        return parent.trained.model
    ours = {task.interface.task for task in course.tasks}
    adapters = {task.adapter for task in parent.trained.tasks if task.interface.task in ours}
    if len(adapters) > 1:
        raise UsageError(
            f"--from {parent.path}: some of {', '.join(sorted(ours))} were added to it, so that "
            "they can't be trained further together; go on with each alone, or train all anew"
        )
    return model_of(parent.trained, adapters.pop() if adapters else None)


def known_tasks(parent: Parent, course: Course) -> list[KnownTask]:
    """Return the tasks that the parent and a course have both."""
    ours = {task.interface.task: task.place for task in course.tasks}
    return [
        KnownTask(task.place, ours[task.interface.task])
        for task in parent.trained.tasks
        if task.interface.task in ours
    ]


def outer_sides(course: Course, old: DiffusionTransformer | None) -> tuple[OuterSides, ...]:
    """Return the patches of the outer sides of each task, then of each branch.

    Args:
        course: Has networks of all tasks but those that stay as they are.
        old: Knows those.
    """
    tokens = course.tokens
    specs = {task: tokens.spec(k) for k, task in enumerate(course.task_rows)}
    sides: list[OuterSides] = []
    for task in range(len(course.tasks)):
        if task in specs:
            rows = patch_grid(specs[task].layers[-1], tokens.patch_size).rows
            columns = patch_grid(specs[task].layers[0], tokens.patch_size).columns
            sides.append(OuterSides(rows, columns))
        else:
            assert old is not None
            assert old.config.places is not None
            even = OuterSides(old.config.places.rows, old.config.places.columns)
            sides.append(old.config.outer[task] if old.config.outer else even)
    of_branches = (
        side for task, side in zip(course.tasks, sides, strict=True) for _ in task.place.branches
    )
    return *sides, *of_branches
