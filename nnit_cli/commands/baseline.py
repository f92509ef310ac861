"""``nnit baseline``."""

from pathlib import Path
from typing import Annotated

import typer

from nnit_cli.options import (
    ArchOption,
    CountingRunFlags,
    HeldOutOption,
    OutOption,
    beside,
    param_option,
    with_run_flags,
)
from nnit_cli.session import open_session, wanted_architectures


@with_run_flags
def baseline_command(
    run: CountingRunFlags,
    *,
    method: Annotated[str, typer.Argument(help="nearest, average or noise.")],
    zoo: Annotated[Path, typer.Argument(help="A zoo.")] = Path("artifacts/zoo"),
    arch: ArchOption = None,
    held_out: HeldOutOption = False,
    out: OutOption = None,
    averaged: Annotated[
        int | None, param_option("--averaged", help="Nearest networks that are averaged.")
    ] = None,
    noise: Annotated[
        float | None, param_option("--noise", help="In standard deviations of the weights.")
    ] = None,
    samples: Annotated[
        int | None, param_option("--samples", "-n", help="Noisy networks for each architecture.")
    ] = None,
) -> None:
    """Make networks from those of a zoo that are nearest in shape, without a generator."""
    section = {"averaged": averaged, "noise": noise, "samples": samples}
    session = open_session("baseline", run, section)
    wanted = wanted_architectures(session, arch, held_out=held_out)

    from stages import baseline

    outputs = baseline.Outputs(samples=out or beside(zoo, method))
    session.run(baseline, baseline.Inputs(zoo, method, wanted), outputs)
