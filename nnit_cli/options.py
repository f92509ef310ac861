"""Flags that several commands share, each declared once."""

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

RUN_PANEL = "How to run"
MAX_WORKERS = 1024  # more than a machine has cores; each needs memory
PARAMS_PANEL = "Parameters (default: params.yaml, then built in)"


def run_option(*names: str, help: str, **more: Any) -> Any:  # noqa: ANN401
    """Return an option that says how to run, not what comes out."""
    return typer.Option(*names, help=help, rich_help_panel=RUN_PANEL, **more)


def param_option(*names: str, help: str) -> Any:  # noqa: ANN401
    """Return the option of one parameter of the command's section of ``params.yaml``."""
    return typer.Option(*names, help=help, rich_help_panel=PARAMS_PANEL, show_default=False)


ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        envvar="NNIT_MODEL",
        help="The generator: a folder, or NAME or NAME@VERSION of `nnit models`; by default "
        "artifacts/generator, else the one that comes with nnit.",
    ),
]
OutOption = Annotated[
    Path | None, typer.Option("--out", "-o", help="The folder to write.", show_default=False)
]
CurveOption = Annotated[
    Path | None, typer.Option("--curve", help="Write the loss curve there, as CSV.")
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
        "--task", help="A task, as in PushCube-v1 or gym:CartPole-v1; ./my_task.py runs that file."
    ),
]
NamedTaskOption = Annotated[
    str | None,
    typer.Option(
        "--task", help="The networks' task, as a check; ./my_task.py runs the file that has it."
    ),
]
ChosenTaskOption = Annotated[
    str | None,
    typer.Option(
        "--task", help="The task, where the generator knows several; ./my_task.py runs that file."
    ),
]
DataOption = Annotated[
    str | None, typer.Option("--data", help="A file of examples, for a task that needs one.")
]
DeviceOption = Annotated[
    str, run_option("--device", help="auto, cpu, cuda or cuda:1; auto takes a GPU if any.")
]
WorkersOption = Annotated[
    int,
    run_option("--workers", min=0, max=MAX_WORKERS, help="Processes; 0 means one per core."),
]
ResumeOption = Annotated[
    bool, run_option("--resume", help="Go on from the last checkpoint, if there is one.")
]
JsonOption = Annotated[bool, run_option("--json", help="Write JSON, and nothing else, on stdout.")]
DebugOption = Annotated[bool, run_option("--debug", help="Show the traceback of an error.")]
DRY_RUN_HELP = "Check the input and say what would be done."


@dataclass(frozen=True)
class RunFlags:
    """The flags of every command that writes an artifact; field order is the order of --help."""

    params: Annotated[
        Path | None,
        run_option("--params", help="Parameter file; params.yaml if it is there."),
    ] = None
    seed: Annotated[int | None, run_option("--seed", help="Instead of the file's seed.")] = None
    force: Annotated[bool, run_option("--force", help="Replace an existing output.")] = False
    dry_run: Annotated[bool, run_option("--dry-run", "-n", help=DRY_RUN_HELP)] = False
    metrics: Annotated[
        Path | None, run_option("--metrics", help="Write the summary there too, as JSON.")
    ] = None
    json: JsonOption = False
    quiet: Annotated[bool, run_option("--quiet", "-q", help="Show only errors.")] = False
    verbose: Annotated[bool, run_option("--verbose", "-v", help="Show parameters too.")] = False
    debug: DebugOption = False


@dataclass(frozen=True)
class CountingRunFlags(RunFlags):
    """The same for a command whose ``-n`` is a number: there, a dry run has no short form."""

    dry_run: Annotated[bool, run_option("--dry-run", help=DRY_RUN_HELP)] = False


def with_run_flags(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the flags of its parameter ``run``, behind its own.

    Typer makes an option of each parameter of a function; this replaces the one parameter
    ``run: RunFlags`` by the fields of its type.
    """
    own = inspect.signature(command)
    hints = get_type_hints(command, include_extras=True)
    flags = hints.pop("run")
    flag_hints = get_type_hints(flags, include_extras=True)

    @functools.wraps(command)
    def wrapper(**values: Any) -> None:  # noqa: ANN401
        run = flags(**{field.name: values.pop(field.name) for field in fields(flags)})
        command(run, **values)

    shared = [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=field.default,
            annotation=flag_hints[field.name],
        )
        for field in fields(flags)
    ]
    kept = [parameter for name, parameter in own.parameters.items() if name != "run"]
    signature = own.replace(parameters=[*kept, *shared])
    wrapper.__signature__ = signature  # type: ignore[attr-defined]
    wrapper.__annotations__ = {p.name: p.annotation for p in signature.parameters.values()}
    return wrapper


def beside(path: Path, kind: str) -> Path:
    """Return the default output: the kind's name as a folder beside the input ``path``."""
    return Path(path, "..").resolve() / kind if path.name in {"", ".."} else path.parent / kind
