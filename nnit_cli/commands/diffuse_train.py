"""``nnit diffuse-train``."""

from pathlib import Path
from typing import Annotated

import typer

from nnit_cli.options import (
    AccumulateOption,
    CurveOption,
    DeviceOption,
    Given,
    LogOption,
    ResumeOption,
    RunFlags,
    out_option,
    run_option,
    with_flags,
)
from nnit_cli.places import beside
from nnit_cli.session import open_session

EXAMPLE = "nnit diffuse-train pick/tokens --demos pick/demos"


@with_flags("diffuse_train")
def diffuse_train_command(
    run: RunFlags,
    given: Given,
    *,
    tokens: Annotated[Path, typer.Argument(help="Tokens.")] = Path("artifacts/tokens"),
    parent: Annotated[
        str | None,
        typer.Option("--from", help="Go on from this generator, a folder or a name."),
    ] = None,
    demos: Annotated[
        list[Path] | None,
        typer.Option("--demos", help="What is predicted also clones these; one of each task."),
    ] = None,
    out: Annotated[Path | None, out_option("generator, beside the tokens")] = None,
    curve: CurveOption = None,
    device: DeviceOption = "auto",
    accumulate: AccumulateOption = 1,
    compiled: Annotated[
        bool, run_option("--compile", help="Compile the transformer first; needs a C++ compiler.")
    ] = False,
    resume: ResumeOption = False,
    log: LogOption = None,
) -> None:
    """Train the diffusion transformer that generates networks."""
    session = open_session(
        "diffuse-train",
        run,
        given["diffuse_train"],
        device=device,
        resume=resume,
        log=log,
        accumulate=accumulate,
        compiled=compiled,
    )

    session.require(tokens=tokens, demos=demos)

    from nnit.generators.names import choose_model

    base = None if parent is None else choose_model(parent).path
    session.require(parent=base)

    from stages import diffuse_train

    place = session.place(out, beside(tokens, "generator"))
    inputs = diffuse_train.Inputs(
        tokens,
        base,
        tuple(demos or ()),
        frozenset(name for name, said in given["diffuse_train"].items() if said is not None),
    )
    session.run(diffuse_train, inputs, diffuse_train.Outputs(place, curve))
