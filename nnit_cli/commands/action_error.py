"""``nnit action-error``."""

from pathlib import Path
from typing import Annotated

import typer

from nnit_cli.console import print_json, print_line, print_tables
from nnit_cli.flags import parse_architectures, parse_labels
from nnit_cli.options import ArchOption, DebugOption, JsonOption, run_option

EXAMPLE = "nnit action-error artifacts/samples artifacts/held-out --also cloned=artifacts/cloned"


def action_error_command(
    *,
    networks: Annotated[
        Path, typer.Argument(help="Samples, a zoo, or a graph hypernetwork with --arch.")
    ],
    demos: Annotated[Path, typer.Argument(help="Demonstrations that nobody trained on.")],
    arch: ArchOption = None,
    also: Annotated[
        list[str] | None,
        typer.Option("--also", help="LABEL=PATH: compare with these networks. May be repeated."),
    ] = None,
    trained_on: Annotated[
        Path | None,
        typer.Option("--trained-on", help="Make sure that no episode of these is among them."),
    ] = None,
    params: Annotated[
        Path | None, run_option("--params", help="Parameter file; params.yaml if it is there.")
    ] = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Compare networks' actions with held-out demonstrations, where there is no simulator."""
    from dataclasses import asdict

    from nnit.mlp import format_architecture
    from stages.action_error import Inputs, means_by_source, run
    from stages.params_file import load_params

    labels = parse_labels(also, "--also")
    inputs = Inputs(networks, demos, parse_architectures(arch), labels, trained_on)
    report = run(load_params(params), inputs)
    if json:
        print_json(
            {
                "episodes": report.episodes,
                "steps": report.steps,
                "networks": [
                    {**asdict(one), "error": one.error._asdict()} for one in report.networks
                ],
                "mean_action": report.mean_action._asdict(),
            }
        )
        return
    constant = report.mean_action
    table = [("network", "architecture", "mean squared error")]
    table += [
        (one.name, format_architecture(one.architecture), f"{one.error.mean_square:.2g}")
        for one in report.networks
    ]
    table += [("mean action", "", f"{constant.mean_square:.2g}")]
    means = means_by_source(report)
    by_number = [("number of the action", *means, "mean action")]
    columns = zip(*means.values(), constant.root_mean_square, strict=True)
    by_number += [(str(k), *(f"{one:.2g}" for one in row)) for k, row in enumerate(columns)]
    print_line(f"{demos}: {report.episodes} episodes, {report.steps} steps")
    print_tables([table, by_number])
