"""What ``diffuse-train`` trains on: zoos, and what a generator to go on from knows beside them."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from nnit.architectures import TrainingRange
from nnit.diffusion.architecture import ArchitectureValues, values_of
from nnit.diffusion.continuation import SIZES, KnownTask
from nnit.diffusion.transformer import places_of_tasks
from nnit.diffusion.typical import PlaceGrid
from nnit.errors import UsageError
from nnit.generators.rehearsal import rehearse
from nnit.generators.trained import TrainedGenerator, generator_of
from nnit.progress import Progress
from nnit.tokens.token_set import TokenSet
from nnit.tokens.tokenizer import join_tokens
from stages.lineage import require_same_task
from stages.params import ArchitecturesParams, DiffuseTrainParams, Params

# A transformer that has learnt other branches does not take the middle of two new ones for their
# mean unless it is trained on it.
MIXED_SHARE = 0.3


@dataclass(frozen=True)
class Course:
    """What a generator learns from."""

    tokens: TokenSet  # of zoos, then of what is rehearsed
    groups: np.ndarray  # (N,) networks that weigh together: those of a zoo, and all rehearsed ones
    values: tuple[ArchitectureValues, ...]  # depths and widths of each task
    places: PlaceGrid | None = None  # that there have to be


@dataclass(frozen=True)
class Parent:
    """A generator to go on from."""

    path: Path
    trained: TrainedGenerator


def course_of(tokens: TokenSet) -> Course:
    """Return zoos alone."""
    tasks = range(len(tokens.interfaces))
    values = tuple(values_of(tokens.architectures_of(task)) for task in tasks)
    return Course(tokens, tokens.tasks, values)


def further_params(
    section: DiffuseTrainParams, parent: Parent, tokens: TokenSet
) -> DiffuseTrainParams:
    """Return the parameters of going on: what was not chosen is the parent's, or fit for it.

    Raises:
        UsageError: others were chosen, or the tokens have other patches.
    """
    theirs = parent.trained.model.config
    free = set(SIZES) - {"patch_size"} - section.model_fields_set
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
    course: Course,
    parent: Parent,
    path: Path,
    params: Params,
    seed: int,
    device: str,
    progress: Progress,
) -> Course:
    """Return zoos, and networks of the parent's own of each task that they lack.

    Args:
        course: The zoos.
        parent: The generator to go on from.
        path: Of the tokens, for messages.
        params: Say how many networks, and which architectures may be trained on.
        seed: Of the training.
        device: Where networks are generated.
        progress: Told which tasks are rehearsed.

    Raises:
        WrongKindError: a task of both has two interfaces.
        UsageError: a task can't be rehearsed.
        InterruptedRunError: the caller asked to stop.
    """
    tokens, count = course.tokens, params.diffuse_train.rehearsal
    ours = {interface.task: interface for interface in tokens.interfaces}
    absent = []
    for index, task in enumerate(parent.trained.tasks):
        if task.interface.task in ours:
            require_same_task(parent.path, task.interface, path, ours[task.interface.task])
        else:
            absent.append(index)
    if not absent:
        return course
    names = ", ".join(parent.trained.tasks[index].interface.task for index in absent)
    if count == 0:
        progress.note(
            f"diffuse-train: {path} has no networks of {names}; what {parent.path} knows of it "
            "will be forgotten"
        )
        return course
    progress.note(
        f"diffuse-train: {path} has no networks of {names}; what {parent.path} knows of it is "
        f"rehearsed, with {count} of its networks of each task"
    )
    count = max(count, *(len(task.place.branches) for task in parent.trained.tasks))
    progress.start("rehearsal", count * len(absent))
    training, parts = rehearsal_range(parent, params), [tokens]
    for index in absent:
        generator = generator_of(parent.trained, index, device)
        try:
            parts.append(rehearse(generator, training, count, seed, device, progress))
        except ValueError as error:
            name = generator.interface.task
            raise UsageError(f"--from {parent.path}: {name} can't be rehearsed: {error}") from None
    parent.trained.model.cpu()
    together = join_tokens(parts)
    return Course(
        together,
        np.minimum(together.tasks, len(tokens.interfaces)),
        (*course.values, *(parent.trained.tasks[index].values for index in absent)),
        parent.trained.model.config.places,
    )


def rehearsal_range(parent: Parent, params: Params) -> TrainingRange:
    """Return the architectures that may be trained on, and were held out of no training before."""
    found = parent.trained.params["architectures"]
    sections = map(
        ArchitecturesParams.model_validate, found if isinstance(found, list) else [found]
    )
    before = {dims for section in sections for dims in section.held_out.listed()}
    training = params.architectures.training_range()
    return replace(training, held_out=(*training.held_out, *sorted(before)))


def known_tasks(parent: Parent, course: Course) -> list[KnownTask]:
    """Return the tasks that the parent and a course have both."""
    tasks = course.tokens.interfaces
    places = places_of_tasks([course.tokens.num_branches(k) for k in range(len(tasks))])
    ours = {one.task: place for one, place in zip(tasks, places, strict=True)}
    return [
        KnownTask(task.place, ours[task.interface.task])
        for task in parent.trained.tasks
        if task.interface.task in ours
    ]
