"""The command line as a whole: which commands there are; one is imported when it is called."""

import importlib
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from nnit import __version__

PIPELINE = ("demos", "ghn-train", "zoo-export", "tokenize", "diffuse-train", "sample", "rollout")
ROUNDS = ("zoo-refine",)  # what a further round begins with
EVALUATION = (  # commands that judge a generator, or make what it is compared with
    "audit",
    "align-report",
    "frontier",
    "baseline",
    "zoo-alone",
    "flat-train",
    "flat-sample",
)
SHARED = ("demos", "zoo-export", "zoo-refine", "zoo-alone", "rollout", "baseline")  # by --shard
WAYS_OUT = ("export", "push", "pull")
HELPERS = (
    *("inspect", "verify", "check-policy", "action-error"),
    *("report", "card", "tasks", "params", "doctor"),
)
PANELS = {
    "Pipeline, in the order of use": PIPELINE,
    "Further rounds": ROUNDS,
    "Evaluation and baselines": EVALUATION,
    "Other tools": WAYS_OUT,
    "Artifacts and the machine": (*HELPERS, "models"),
    "Several machines": ("merge",),
}
COMMANDS = Path(__file__).with_name("commands")


class Commands(TyperGroup):
    """All commands: NAME_command in commands/NAME.py, imported when it is called."""

    def __init__(self, **attributes: Any) -> None:  # noqa: ANN401
        super().__init__(**attributes)
        self.lines = {
            name: TyperCommand(name, help=line_of(name), rich_help_panel=panel)
            for panel, names in PANELS.items()
            for name in names
        }
        self.commands = {**self.lines, **self.commands}

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[Any, Any, list[str]]:  # noqa: ANN401
        """Return the command that is called, and the words behind it."""
        name, found, rest = super().resolve_command(ctx, args)
        if found is not None and found is self.lines.get(str(found.name)):
            found = load(str(found.name))
        return name, found, rest


def line_of(name: str) -> str:
    """Return the first line of a command's docstring, without running or parsing its file."""
    snake = name.replace("-", "_")
    _, _, body = (COMMANDS / f"{snake}.py").read_text().partition(f"\ndef {snake}_command(")
    _, _, text = body.partition('"""')
    return text.partition('"""')[0].partition("\n\n")[0]


def load(name: str) -> TyperCommand | TyperGroup:
    """Import a command."""
    snake = name.replace("-", "_")
    module = importlib.import_module(f"nnit_cli.commands.{snake}")
    app, epilog = typer.Typer(add_completion=False), f"Example: {module.EXAMPLE}"
    if name == "models":
        app = typer.Typer(add_completion=False, invoke_without_command=True)
        app.callback(epilog=epilog)(module.models_command)
        app.command("validate")(module.validate_command)
    elif name == "merge":  # what is behind the command is the command's, flags too
        settings = {"allow_interspersed_args": False}
        app.command(name, epilog=epilog, context_settings=settings)(module.merge_command)
    else:
        app.command(name, epilog=epilog)(getattr(module, f"{snake}_command"))
    return typer.main.get_command(app)  # type: ignore[return-value]


def build_app() -> typer.Typer:
    """Return the Typer application."""
    app = typer.Typer(
        name="nnit",
        cls=Commands,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(root)
    return app


def print_version(asked: bool) -> None:  # noqa: FBT001 - Typer calls it with the one value
    """Answer ``--version`` and leave."""
    if asked:
        print(f"nnit {__version__}")
        raise typer.Exit


def root(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version", "-V", callback=print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Generate the weights of neural networks of any width and depth."""
