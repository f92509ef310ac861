"""Stage ``diffuse-train``: train the diffusion transformer on token sequences.

Reads:   tokens      kind "tokens",    schema 1 or 2
         demos       kind "demos",     schema 1 (one of each task; optional)
         generator   kind "generator", schema 1, 2 or 3 (to go on from; optional)
Writes:  generator   kind "generator", schema 1; 2 of several tasks, 3 of bfloat16
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from nnit.artifacts.demos import read_demos
from nnit.artifacts.manifest import HALF, Provenance
from nnit.artifacts.model import write_model
from nnit.artifacts.publish import check_output_free
from nnit.artifacts.state import State, clear_state
from nnit.artifacts.tokens import read_tokens
from nnit.cloning import cloning_data
from nnit.demos import Demos
from nnit.diffusion.adapters import split
from nnit.diffusion.batch import BatchRules
from nnit.diffusion.continuation import with_vocabulary
from nnit.diffusion.ema import Ema
from nnit.diffusion.predicted import PredictedCloning
from nnit.diffusion.training import (
    DiffusionTrainingSettings,
    network_tokens,
    train_diffusion,
)
from nnit.diffusion.transformer import DiffusionTransformer
from nnit.errors import UsageError
from nnit.generators.trained import read_generator, tasks_attributes, with_adapters
from nnit.mlp import ACTION
from nnit.progress import Progress, silent
from nnit.seeding import derive_seed
from nnit.tokens.token_set import TokenSet
from nnit.training import (
    BFLOAT16,
    build_optimizer,
    load_training_arrays,
    precision_of,
    prepare_torch,
    training_arrays,
)
from stages.checkpoints import Run, find_state, follow, run_key
from stages.curves import write_curve
from stages.going_on import Parent, begin, course_of, further_course, further_params
from stages.lineage import (
    refuse_leak,
    refuse_trained_on_held_out,
    require_same_task,
    trained_on,
)
from stages.params import Params, RunOptions

EMA_PREFIX = "ema/"
CLONING = {"cloning_share", "cloning_batch_size"}  # parameters that count where there are --demos


@dataclass(frozen=True)
class Inputs:
    """What the generator learns from."""

    tokens: Path
    parent: Path | None = None  # a generator to go on from
    demos: tuple[Path, ...] = ()  # that predicted networks clone, in any order; none: they don't
    flags: frozenset[str] = frozenset()  # parameters that were chosen for this run, not in a file


@dataclass(frozen=True)
class Outputs:
    """Where the generator goes, and its loss curve (CSV) if wanted."""

    generator: Path
    curve: Path | None = None


@dataclass(frozen=True)
class Summary:
    """The numbers for the terminal and for ``metrics/diffuse_train.json``."""

    steps: int
    loss: float  # mean of the last part of the curve
    parameters: int
    networks: int


def run(
    params: Params,
    inputs: Inputs,
    outputs: Outputs,
    *,
    options: RunOptions,
    progress: Progress = silent,
) -> Summary:
    """Train the generator; its averaged (EMA) weights are what is written.

    Given demonstrations, the networks that are predicted in training are held to them too, whatever
    the noise: see ``nnit.diffusion.predicted``.

    Given a generator to go on from, training begins with what that has learnt; see ``go_on_from``.
    Optimiser and schedule begin anew. Tasks of which it knows none are added to it, and what it
    knows stays as it is; see ``nnit.diffusion.adapters``.

    Raises:
        LeakError: a training network has a held-out architecture, or one may have been trained on
            by what wrote it, or by the generator to go on from.
        UsageError: a generator to go on from of other sizes; demonstrations of some of the tasks.
        WrongKindError: a generator that knows a task of the tokens with another interface;
            demonstrations of another task, or other ones than the zoo's.
        NnitError: a missing or damaged input, an output that can't be written, or the run was
            stopped (its state is saved).
    """
    check_output_free(outputs.generator, force=options.force, kind="generator")
    tokens, parent = read_tokens(inputs.tokens)
    made_with = parent.manifest.params
    refuse_leak(
        inputs.tokens, tokens.architectures, made_with, params.architectures, "nnit tokenize"
    )
    trainable = [made_with["architectures"]]
    demos, digests = read_demos_of(inputs, tokens, progress)
    parents = {"tokens": parent.digest, **digests}
    undecided = {"checkpoint_every"} | (set() if digests else CLONING)
    section, old = params.diffuse_train, None
    if inputs.parent is None:
        undecided |= {"adapter_rank"} | ({"mixed_share"} if section.mixed_share is None else set())
    else:
        old = Parent(inputs.parent, read_generator(inputs.parent))
        refuse_trained_on_held_out(
            inputs.parent, old.trained.params, params.architectures, "nnit diffuse-train"
        )
        section = further_params(section, old, tokens, inputs.flags)
        parents["generator"] = old.trained.digest
        trainable.append(old.trained.params["architectures"])
    weights = weights_of(section.weights, inputs.tokens, tokens)
    if not weights:
        undecided.add("weights")
    precision = precision_of(section.precision, options.device)
    decides = {**section.model_dump(mode="json", exclude=undecided), "precision": precision}
    key = run_key("diffuse-train", decides, options.seed, parents)
    run_ = Run(outputs.generator, key, options, decides)
    state = find_state(run_)

    prepare_torch()
    seed = derive_seed(options.seed, "diffuse-train")
    if old is None:
        course = course_of(tokens)
    else:
        course = further_course(tokens, inputs.tokens, old, section.adapter_rank, progress)
    networks = [network_tokens(tokens, k) for k in range(len(tokens))]
    model = begin(course, networks, section, old, seed)
    model.to(options.device)
    optimizer, ema = build_optimizer(model, 0.0), Ema(model, section.ema_decay)
    if state is not None:
        restore(model, optimizer, ema, state)
    if options.compile:
        model.compile(dynamic=True)
    start = state.step if state else 0
    progress.start("diffuse-train", section.steps, start)
    steps = train_diffusion(
        model,
        ema,
        optimizer,
        [network.to(options.device) for network in networks],
        tokens.architectures,
        course.branch_rows,
        DiffusionTrainingSettings(
            steps=section.steps,
            batches=BatchRules(
                tokens=section.tokens_per_batch,
                least_tokens=section.least_tokens,
                small_tokens=section.small_tokens,
                small_times=section.small_times,
            ),
            learning_rate=section.learning_rate,
            seed=seed,
            autocast=precision == BFLOAT16,
            regression=section.objective == "regression",
            mixed_share=(section.mixed_share or 0.0) if model.config.places else 0.0,
        ),
        tasks=course.task_rows,
        groups=tokens.tasks,
        weights=weights,
        cloning=held_to(demos, tokens, params, options.device),
        device=options.device,
        ranks=options.ranks,
        start=start,
    )
    curve = follow(
        steps,
        run_,
        progress,
        total=section.steps,
        every=section.checkpoint_every,
        arrays=lambda: {**training_arrays(model, optimizer), **ema.arrays(EMA_PREFIX)},
        state=state,
        logged=("learning_rate", "weight_error", "arch_loss", "cloning_loss"),
        counted="tokens",
        beside=("cloning_loss",) if digests else (),
    )

    attributes = {
        "loss_curve": curve,
        "patch_size": tokens.patch_size,
        **tasks_attributes(course.tasks),
    }
    arrays = ema.arrays()
    if old is not None and course.is_addition:
        own, beside = split(arrays)
        configs = old.trained.model.config, model.config
        earlier = [with_vocabulary(one, *configs) for one in old.trained.adapters]
        arrays = with_adapters(own, [*earlier, beside])
    if options.ranks.is_first:
        provenance = {**decides, **trained_on(*trainable)}
        write_model(
            outputs.generator,
            "generator",
            model.config.as_dict(),
            arrays,
            [task.interface for task in course.tasks],
            attributes,
            Provenance("diffuse-train", provenance, options.seed, parents),
            half=section.storage == HALF,
            force=options.force,
        )
        clear_state(outputs.generator)
        write_curve(outputs.curve, curve)
    return Summary(
        steps=section.steps,
        loss=curve[-1][1],
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        networks=len(tokens),
    )


def weights_of(weights: Mapping[str, int], path: Path, tokens: TokenSet) -> dict[int, int]:
    """Return the weight of each task that has one, by the task's index.

    Raises:
        UsageError: a task that the tokens don't have.
    """
    names = [interface.task for interface in tokens.interfaces]
    if unknown := [task for task in weights if task not in names]:
        raise UsageError(
            f"--weights {unknown[0]}: {path} has no networks of it, but of {', '.join(names)}"
        )
    return {names.index(task): weight for task, weight in weights.items()}


def read_demos_of(
    inputs: Inputs, tokens: TokenSet, progress: Progress
) -> tuple[list[Demos | None], dict[str, str]]:
    """Read the demonstrations of each task of the tokens, in their order, and their digests.

    Those of classes are left out: a cross-entropy only falls as outputs grow, without end.

    Raises:
        UsageError: two of one task, or some tasks have none.
        WrongKindError: of a task that the tokens don't have, or other ones than the zoo's.
    """
    places = {interface.task: k for k, interface in enumerate(tokens.interfaces)}
    found: dict[int, Demos] = {}
    digests = {}
    for path in inputs.demos:
        demos, artifact = read_demos(path)
        place = places.get(demos.interface.task, 0)
        require_same_task(inputs.tokens, tokens.interfaces[place], path, demos.interface)
        if place in found:
            raise UsageError(
                f"--demos {path}: is of {demos.interface.task}, as other demonstrations are; give "
                "one of each task"
            )
        found[place] = demos
        digests["demos" if len(places) == 1 else f"demos {demos.interface.task}"] = artifact.digest
    if found and (missing := [task for task, place in places.items() if place not in found]):
        raise UsageError(
            f"--demos: none is of {', '.join(missing)}; give demonstrations of each task of "
            f"{inputs.tokens}, or none"
        )
    for place, task in enumerate(places):
        if place in found and found[place].interface.output != ACTION:
            progress.note(
                f"diffuse-train: {task} has classes, not actions: what is predicted of it is held "
                "to its weights alone"
            )
            del found[place], digests["demos" if len(places) == 1 else f"demos {task}"]
    return [found.get(place) for place in range(len(places))], digests


def held_to(
    demos: list[Demos | None], tokens: TokenSet, params: Params, device: str
) -> PredictedCloning | None:
    """Return what predicted networks are held to, if there are demonstrations."""
    if not any(demos):
        return None
    data = [one and cloning_data(one, device) for one in demos]
    return PredictedCloning(
        tuple(data[task] for task in tokens.tasks),
        tuple(tokens.spec(k) for k in range(len(tokens))),
        torch.from_numpy(tokens.losses),
        params.diffuse_train.cloning_share,
        params.diffuse_train.cloning_batch_size,
    )


def restore(
    model: DiffusionTransformer, optimizer: torch.optim.Optimizer, ema: Ema, state: State
) -> None:
    """Bring model, optimiser and average back to where the state was saved."""
    load_training_arrays(model, optimizer, state.tensors)
    for name, tensor in ema.parameters.items():
        tensor.copy_(torch.from_numpy(state.tensors[EMA_PREFIX + name]))
