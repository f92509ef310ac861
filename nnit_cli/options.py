"""Flags that several commands share, each declared once."""

import functools
import inspect
from collections.abc import Callable
from dataclasses import Field, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_type_hints

import typer

from nnit.errors import UsageError
from nnit.trackers import TrackerName
from nnit_cli.completion import offer_models, offer_tasks, offering

if TYPE_CHECKING:
    from stages.keys import Key

SEVERAL = (tuple, dict)  # kinds of parameters whose flag may be repeated

RUN_PANEL = "How to run"
MERGE = "merge"  # what --shard says where shards are put together
MAX_WORKERS = 1024  # more than a machine has cores; each needs memory
PARAMS_PANEL = "Parameters (default: params.yaml, then built in)"


def run_option(*names: str, help: str, **more: Any) -> Any:  # noqa: ANN401
    """Return an option that says how to run, not what comes out."""
    return typer.Option(*names, help=help, rich_help_panel=RUN_PANEL, **more)


def out_option(default: str, what: str = "The folder to write") -> Any:  # noqa: ANN401
    """Return the option ``--out``, which says where its command writes without."""
    text = rf"{what}. \[default: {default}]"  # escaped: the help is Rich's markup
    return typer.Option("--out", "-o", help=text, show_default=False)


ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        envvar="NNIT_MODEL",
        autocompletion=offer_models,
        help="The generator: a folder, or NAME or NAME@VERSION of `nnit models`; by default "
        "artifacts/generator, else the one that comes with nnit.",
    ),
]
CurveOption = Annotated[
    Path | None, typer.Option("--curve", help="Write the loss curve there, as CSV.")
]
LogOption = Annotated[
    list[TrackerName] | None,
    run_option(
        "--log",
        help="Show a tracker the figures of each step, which the log beside the output has anyway; "
        "an extra, as in nnit\\[wandb]. May be repeated.",
    ),
]
ArchOption = Annotated[
    list[str] | None,
    typer.Option("--arch", help="Hidden widths, as in 128,256,128. May be repeated."),
]
HeldOutOption = Annotated[
    bool, typer.Option("--held-out", help="Every held-out architecture of the parameter file.")
]
TaskOption = Annotated[
    str | None,
    typer.Option(
        "--task",
        autocompletion=offer_tasks,
        help="A task, as in PushCube-v1 or gym:CartPole-v1; ./my_task.py runs that file.",
    ),
]
NamedTaskOption = Annotated[
    str | None,
    typer.Option(
        "--task",
        autocompletion=offer_tasks,
        help="The networks' task, as a check; ./my_task.py runs the file that has it.",
    ),
]
ChosenTaskOption = Annotated[
    str | None,
    typer.Option(
        "--task",
        autocompletion=offer_tasks,
        help="The task, where the generator knows several; ./my_task.py runs that file.",
    ),
]
DataOption = Annotated[
    str | None, typer.Option("--data", help="A file of examples, for a task that needs one.")
]
DeviceOption = Annotated[
    str,
    run_option(
        "--device",
        autocompletion=offering(("auto", "cpu", "cuda")),
        help="auto, cpu, cuda or cuda:1; auto takes a GPU if any.",
    ),
]
WorkersOption = Annotated[
    int,
    run_option("--workers", min=0, max=MAX_WORKERS, help="Processes; 0 means one per core."),
]
AccumulateOption = Annotated[
    int,
    run_option("--accumulate", min=1, help="Parts of a batch that are computed one by one."),
]
ExecutorOption = Annotated[
    str | None,
    run_option(
        "--executor",
        metavar="dask://HOST:PORT",
        help=r"Have the workers of a Dask scheduler do the work; needs nnit\[cluster].",
    ),
]
ShardOption = Annotated[
    str | None,
    run_option(
        "--shard",
        metavar="I/N",
        help="Do part I of N of the work, for `nnit merge` to put all parts together.",
    ),
]
ResumeOption = Annotated[
    bool, run_option("--resume", help="Go on from the last checkpoint, if there is one.")
]
JsonOption = Annotated[bool, run_option("--json", help="Write JSON, and nothing else, on stdout.")]
DebugOption = Annotated[bool, run_option("--debug", help="Show the traceback of an error.")]


@dataclass(frozen=True)
class RunFlags:
    """The flags of every command that writes an artifact; field order is the order of --help."""

    params: Annotated[
        Path | None,
        run_option("--params", help="Parameter file; params.yaml where it is here."),
    ] = None
    seed: Annotated[
        int | None,
        run_option("--seed", help="What is random comes from it. \\[default: 0]"),
    ] = None
    force: Annotated[bool, run_option("--force", help="Replace an existing output.")] = False
    dry_run: Annotated[
        bool, run_option("--dry-run", help="Check the input and say what would be done.")
    ] = False
    metrics: Annotated[
        Path | None, run_option("--metrics", help="Write the summary there too, as JSON.")
    ] = None
    json: JsonOption = False
    quiet: Annotated[bool, run_option("--quiet", "-q", help="Show only errors.")] = False
    verbose: Annotated[bool, run_option("--verbose", "-v", help="Show parameters too.")] = False
    debug: DebugOption = False


Given = dict[str, dict[str, Any]]  # section -> key -> what its flag said, None where not given


def with_flags(*sections: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the flags of its parameters ``run`` and ``given``, behind its own.

    Typer makes an option of each parameter of a function. This replaces ``run: RunFlags`` by the
    fields of its type, and ``given: Given`` by a flag for each key of sections of ``params.yaml``:
    what a parameter is, is said once, in ``stages/params.py``.

    Args:
        sections: Of ``Params``, such as ``zoo_export``, or keys of one, such as
            ``ppo.iterations``.
    """
    from stages.keys import keys_of

    keys = keys_of(sections)

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own, hints = inspect.signature(command), get_type_hints(command, include_extras=True)
        of_run = {one.name: _parameter_of(one, hints["run"]) for one in fields(hints["run"])}
        of_params = {key.name: _flag_of(key, sections[0]) for key in keys}

        @functools.wraps(command)
        def wrapper(**values: Any) -> None:  # noqa: ANN401
            run = hints["run"](**{name: values.pop(name) for name in of_run})
            given: Given = {}
            for key in keys:
                given.setdefault(key.section, {})[key.name] = _value_of(key, values.pop(key.name))
            command(run, given, **values)

        kept = [one for name, one in own.parameters.items() if name not in ("run", "given")]
        how = [one for one in kept if _is_of_run(hints[one.name])]
        what = [one for one in kept if one not in how]
        listed = [*what, *of_params.values(), *how, *of_run.values()]
        signature = own.replace(parameters=listed)
        wrapper.__signature__ = signature  # type: ignore[attr-defined]
        wrapper.__annotations__ = {p.name: p.annotation for p in signature.parameters.values()}
        return wrapper

    return decorate


def _is_of_run(annotation: Any) -> bool:  # noqa: ANN401
    """Whether a flag says how to run, not what comes out."""
    (option, *_) = get_args(annotation)[1:] or (None,)
    return getattr(option, "rich_help_panel", None) == RUN_PANEL


def _parameter_of(field: Field[Any], flags: type[RunFlags]) -> inspect.Parameter:
    """Return the flag of a field of ``flags``."""
    annotation = get_type_hints(flags, include_extras=True)[field.name]
    return inspect.Parameter(
        field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=annotation
    )


def _flag_of(key: "Key", own: str) -> inspect.Parameter:
    """Return the flag of a parameter; the help says what it is, and its default.

    Args:
        key: The parameter.
        own: The section of the command.
    """
    flag = f"--{key.name.replace('_', '-')}"
    names = [f"{flag}/--no-{flag.removeprefix('--')}" if key.kind is bool else flag]
    text, _, otherwise = key.text.partition("; null: ")
    text = f"{text}{'; may be repeated' if key.kind in SEVERAL else ''}."
    of_section = f"Of {key.section}: " if key.section != own else ""
    text = f"{of_section}{text}" if of_section else f"{text[0].upper()}{text[1:]}"
    default = otherwise or (_shown(key.default) if key.default not in (None, {}) else "")
    if default:
        text += rf" \[default: {default}]"  # escaped: the help is Rich's markup
    names += [key.short] if key.short else []
    option = typer.Option(
        *names,
        help=text,
        rich_help_panel=PARAMS_PANEL,
        show_default=False,
        autocompletion=offering(key.choices) if key.choices else None,
        metavar="|".join(key.choices) or None,
    )
    kind = list[str] if key.kind in SEVERAL else key.kind
    return inspect.Parameter(
        key.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[kind | None, option],
    )


def _value_of(key: "Key", said: Any) -> Any:  # noqa: ANN401
    """Return what the parameter model takes: architectures and weights are written as text."""
    if key.kind not in SEVERAL:
        return said
    if key.kind is dict:
        return dict(_parse_weight(f"--{key.name}", text) for text in said or ()) or None
    from nnit.mlp import parse_architecture

    return tuple(parse_architecture(text, f"--{key.name}") for text in said or ()) or None


def _parse_weight(flag: str, text: str) -> tuple[str, int]:
    """Return what ``NAME=NUMBER`` says.

    Raises:
        UsageError: it is not that.
    """
    name, _, number = text.rpartition("=")
    if not name or not number.isdecimal():
        raise UsageError(f"{flag} {text}: expected TASK=NUMBER, as in PickCube-v1=2")
    return name, int(number)


def _shown(value: object) -> str:
    """Write a default as its flag takes it."""
    if isinstance(value, tuple):
        return " ".join(",".join(map(str, dims)) for dims in value)
    return str(value).lower() if isinstance(value, bool) else str(value)
