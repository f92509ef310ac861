"""The command line as a whole: which commands there are."""

from typing import Annotated

import typer

from nnit import __version__
from nnit_cli.commands.align_report import align_report_command
from nnit_cli.commands.audit import audit_command
from nnit_cli.commands.baseline import baseline_command
from nnit_cli.commands.card import card_command
from nnit_cli.commands.check_policy import check_policy_command
from nnit_cli.commands.demos import demos_command
from nnit_cli.commands.diffuse_train import diffuse_train_command
from nnit_cli.commands.doctor import doctor_command
from nnit_cli.commands.flat_sample import flat_sample_command
from nnit_cli.commands.flat_train import flat_train_command
from nnit_cli.commands.frontier import frontier_command
from nnit_cli.commands.ghn_train import ghn_train_command
from nnit_cli.commands.inspect import inspect_command
from nnit_cli.commands.models import models_command, validate_command
from nnit_cli.commands.report import report_command
from nnit_cli.commands.rollout import rollout_command
from nnit_cli.commands.sample import sample_command
from nnit_cli.commands.tokenize import tokenize_command
from nnit_cli.commands.verify import verify_command
from nnit_cli.commands.zoo_alone import zoo_alone_command
from nnit_cli.commands.zoo_export import zoo_export_command
from nnit_cli.commands.zoo_refine import zoo_refine_command

PIPELINE = {
    "demos": demos_command,
    "ghn-train": ghn_train_command,
    "zoo-export": zoo_export_command,
    "tokenize": tokenize_command,
    "diffuse-train": diffuse_train_command,
    "sample": sample_command,
    "rollout": rollout_command,
}
ROUNDS = {"zoo-refine": zoo_refine_command}  # what a further round begins with
EVALUATION = {  # commands that judge a generator, or make what it is compared with
    "audit": audit_command,
    "align-report": align_report_command,
    "frontier": frontier_command,
    "baseline": baseline_command,
    "zoo-alone": zoo_alone_command,
    "flat-train": flat_train_command,
    "flat-sample": flat_sample_command,
}
HELPERS = {
    "inspect": inspect_command,
    "verify": verify_command,
    "check-policy": check_policy_command,
    "report": report_command,
    "card": card_command,
    "doctor": doctor_command,
}


def build_app() -> typer.Typer:
    """Return the Typer application with every command."""
    app = typer.Typer(
        name="nnit",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(root)
    for name, command in PIPELINE.items():
        app.command(name, rich_help_panel="Pipeline, in the order of use")(command)
    for name, command in ROUNDS.items():
        app.command(name, rich_help_panel="Further rounds")(command)
    for name, command in EVALUATION.items():
        app.command(name, rich_help_panel="Evaluation and baselines")(command)
    for name, command in HELPERS.items():
        app.command(name, rich_help_panel="Artifacts and the machine")(command)
    models = typer.Typer(invoke_without_command=True)
    models.callback()(models_command)
    models.command("validate")(validate_command)
    app.add_typer(models, name="models", rich_help_panel="Artifacts and the machine")
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
