"""``nnit baseline``."""

from pathlib import Path
from typing import Annotated

import typer

from nnit_cli.options import (
    ArchOption,
    CountingRunFlags,
    DeviceOption,
    ExecutorOption,
    Given,
    HeldOutOption,
    OutOption,
    ResumeOption,
    ShardOption,
    WorkersOption,
    with_flags,
)
from nnit_cli.places import beside
from nnit_cli.session import open_session, refuse_flags, wanted_architectures


@with_flags("baseline")
def baseline_command(
    run: CountingRunFlags,
    given: Given,
    *,
    method: Annotated[
        str,
        typer.Argument(
            help="nearest, average or noise, of a zoo; cloned or slimmable, from demonstrations; "
            "asked or tuned, of a GHN and --demos."
        ),
    ],
    source: Annotated[Path, typer.Argument(help="The zoo, demonstrations or GHN.")] = Path(
        "artifacts/zoo"
    ),
    demos: Annotated[
        Path | None, typer.Option("--demos", help="What the GHN was trained on.")
    ] = None,
    arch: ArchOption = None,
    held_out: HeldOutOption = False,
    out: OutOption = None,
    workers: WorkersOption = 0,
    executor: ExecutorOption = None,
    shard: ShardOption = None,
    resume: ResumeOption = False,
    device: DeviceOption = "cpu",
) -> None:
    """Make networks without a generator: of a zoo, cloned, cut out of one, or asked of a GHN."""
    session = open_session(
        "baseline",
        run,
        given["baseline"],
        device=device,
        workers=workers,
        executor=executor,
        shard=shard,
        resume=resume,
    )
    wanted = wanted_architectures(session, arch, held_out=held_out)

    from stages import baseline, trained_baseline

    where = session.place(out, beside(source, method))
    if method in baseline.METHODS:
        trained = ", ".join(trained_baseline.METHODS)
        refuse_flags({"executor": executor, "shard": shard}, (), f"what is trained: {trained}")
        session.run(baseline, baseline.Inputs(source, method, wanted), baseline.Outputs(where))
        return
    ghn = source if method in trained_baseline.OF_GHN else None
    learnt = demos or (beside(source, "demos") if ghn else source)
    inputs = trained_baseline.Inputs(learnt, method, wanted, ghn)
    session.run(trained_baseline, inputs, trained_baseline.Outputs(where))
