"""Find a task by its name: built in, an environment of Gymnasium, or in a file of the user's.

Only a name that the user typed may be a file, which is run, or a module, which is imported. Every
other name may come out of a file from elsewhere and is looked up, by ``check_name``, in what is
installed.
"""

import difflib
import functools
import importlib.util
import re
from pathlib import Path

from nnit.errors import MissingArtifactError, UsageError, WrongKindError
from nnit.task_ids import (
    FILE_SUFFIX,
    GYM_PREFIX,
    SEPARATOR,
    is_found_elsewhere,
    is_stored_task_id,
)
from nnit.tasks.checked import CheckedSimulation, fault_in
from nnit.tasks.classification import DIGITS, mnist
from nnit.tasks.gymnasium_tasks import gym_task
from nnit.tasks.maniskill_any import maniskill_any
from nnit.tasks.maniskill_tasks import MANISKILL_TASKS
from nnit.tasks.seeds import seed_range
from nnit.tasks.task import Expert, Simulation, Task, TaskRef

TASKS = {task.task_id: task for task in (*MANISKILL_TASKS, DIGITS)}
VERSIONED = re.compile(r"[A-Za-z0-9]+-v[0-9]+")  # what ManiSkill calls its tasks
MNIST = "mnist"  # a task that is made from a file


def get_task(ref: TaskRef | str) -> Task:
    """Return a task by its id, such as ``PushCube-v1``, or from a file, such as ``./reach.py``.

    Args:
        ref: The task; a text alone is an id that nobody typed.

    Raises:
        UsageError: no such task; the line holds the nearest id and all known ones.
        WrongKindError: a file or a module that the user did not type.
        MissingArtifactError: no such file.
        DamagedArtifactError: a file of examples that is none.
    """
    ref = TaskRef(ref) if isinstance(ref, str) else ref
    check_name(ref)
    task = _find(ref)
    if not is_stored_task_id(task.task_id):
        raise UsageError(
            f"--task {ref.name}: task_id: found {task.task_id!r}, expected a name that artifacts "
            "may hold: up to 100 letters, digits and _ . -"
        )
    if task.horizon < 1:
        raise UsageError(f"--task {ref.name}: horizon: found {task.horizon}, expected 1 or more")
    return task


def check_name(ref: TaskRef) -> None:
    """Make sure that a task may have this name, without looking at files or environments.

    Raises:
        UsageError: it may not; the line holds the nearest id and all known ones.
        WrongKindError: a file or a module that the user did not type.
    """
    if is_known(ref.name) or (ref.typed and is_code(ref.name)):
        return
    if is_code(ref.name):
        raise WrongKindError(
            f"task {ref.name!r}: found a file or a module, which is run only where --task or the "
            "parameter file names it"
        )
    by_lower_case = {known.lower(): known for known in (*TASKS, MNIST)}
    nearest = difflib.get_close_matches(ref.name.lower(), by_lower_case, n=1, cutoff=0.75)
    hint = f"did you mean {by_lower_case[nearest[0]]}? " if nearest else ""
    other = (
        ""
        if nearest or not VERSIONED.fullmatch(ref.name)
        else (
            "another task of ManiSkill needs its control mode, as in "
            f"{ref.name}@pd_joint_delta_pos. "
        )
    )
    known = ", ".join((*TASKS, MNIST))
    raise UsageError(
        f"--task {ref.name}: unknown task; {hint}{other}Known tasks: {known}, an environment of "
        "Gymnasium as in gym:CartPole-v1, any ManiSkill task with a control mode as in "
        "LiftPegUpright-v1@pd_joint_delta_pos, or a file as in ./my_task.py"
    )


def is_known(name: str) -> bool:
    """Whether a task is found by its id alone, in what is built in or installed."""
    return name in TASKS or name == MNIST or is_found_elsewhere(name)


def is_code(name: str) -> bool:
    """Whether a name may be a file to run or a module to import, and has to be typed."""
    elsewhere = name.startswith(GYM_PREFIX) or SEPARATOR in name
    return name.endswith(FILE_SUFFIX) or (elsewhere and not is_found_elsewhere(name))


def task_id_of(ref: TaskRef) -> str:
    """Return the id of a task, whoever knows it: of a file or a module the one that it defines.

    Raises:
        UsageError: a file without a task.
        MissingArtifactError: a file that is not there.
    """
    return get_task(ref).task_id if is_code(ref.name) else ref.name


def find_task(task_id: str, ref: TaskRef) -> TaskRef:
    """Return how the task of an artifact is found.

    Args:
        task_id: What the artifact says.
        ref: What the user said; a file counts where it defines that task.

    Raises:
        UsageError: neither is known; the line says how to name the file that has it.
        WrongKindError: a file or a module, which an artifact has no say in.
        MissingArtifactError: no such file.
    """
    if ref.typed and is_code(ref.name) and get_task(ref).task_id == task_id:
        return ref
    if not is_known(task_id) and not is_code(task_id):
        raise UsageError(
            f"--task {ref.name}: is not {task_id}, the task of the networks; give the file that "
            "defines it, as in --task ./my_task.py"
        )
    found = TaskRef(task_id, ref.data)
    check_name(found)
    return found


def _find(ref: TaskRef) -> Task:
    if ref.name.endswith(FILE_SUFFIX):
        return load_task(ref.name)
    if ref.name.startswith(GYM_PREFIX):
        return gym_task(ref.name)
    if SEPARATOR in ref.name:
        return maniskill_any(ref.name)
    return mnist(ref.data) if ref.name == MNIST else TASKS[ref.name]


@functools.cache
def load_task(name: str) -> Task:
    """Run a Python file of the user's and return the ``TASK`` that it defines.

    Raises:
        MissingArtifactError: no such file.
        UsageError: it fails, or defines no ``TASK``.
    """
    path = Path(name)
    if not path.is_file():
        raise MissingArtifactError(f"--task {name}: no such file")
    spec = importlib.util.spec_from_file_location(f"nnit_task_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise UsageError(f"--task {name}: {fault_in(path, error)}") from error
    task = getattr(module, "TASK", None)
    if not isinstance(task, Task):
        raise UsageError(f"--task {name}: defines no TASK, a nnit.tasks.task.Task")
    return task


def expert_of(task: Task) -> Expert:
    """Return a task's scripted expert.

    Raises:
        UsageError: it has none.
    """
    if task.expert is None:
        raise UsageError(f"--task {task.task_id}: has no scripted expert")
    return task.expert


def episode_seeds(ref: TaskRef, first_seed: int, num_episodes: int) -> range:
    """Return the reset seeds of episodes of a task.

    Raises:
        UsageError: an unknown task, no episode, or seeds that the task does not have.
    """
    return seed_range(first_seed, num_episodes, get_task(ref).max_seed)


@functools.cache
def process_simulation(ref: TaskRef | str, *, shaped: bool = False) -> Simulation:
    """Return this process's simulation of a task, built on the first call.

    It refuses observations that are not what the task says.

    Args:
        ref: The task.
        shaped: With rewards that show the way, for reinforcement learning, where the task has any.
    """
    task = get_task(ref)
    simulation = task.shaped(task) if shaped and task.shaped else task.simulate(task)
    return CheckedSimulation(ref if isinstance(ref, str) else ref.name, task, simulation)
