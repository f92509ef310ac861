"""``nnit baseline``."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from nnit.errors import UsageError
from nnit_cli.completion import offering
from nnit_cli.flags import refuse_flags, wanted_architectures
from nnit_cli.options import (
    ArchOption,
    DeviceOption,
    ExecutorOption,
    Given,
    HeldOutOption,
    ResumeOption,
    RunFlags,
    ShardOption,
    WorkersOption,
    out_option,
    with_flags,
)
from nnit_cli.places import beside
from nnit_cli.session import open_session


class Method(StrEnum):
    """What makes the networks."""

    NEAREST = "nearest"
    AVERAGE = "average"
    NOISE = "noise"
    CLONED = "cloned"
    SLIMMABLE = "slimmable"
    ASKED = "asked"
    TUNED = "tuned"


EXAMPLE = "nnit baseline nearest pick/zoo --arch 128,256,128"


@with_flags("baseline")
def baseline_command(
    run: RunFlags,
    given: Given,
    *,
    method: Annotated[
        str,
        typer.Argument(
            autocompletion=offering(tuple(Method)),
            help="nearest, average or noise, of a zoo; cloned or slimmable, from demonstrations; "
            "asked or tuned, of a GHN and --demos.",
        ),
    ],
    source: Annotated[
        Path, typer.Argument(help="The zoo; for others demonstrations or a GHN.")
    ] = Path("artifacts/zoo"),
    demos: Annotated[
        Path | None, typer.Option("--demos", help="What the GHN was trained on.")
    ] = None,
    arch: ArchOption = None,
    held_out: HeldOutOption = False,
    out: Annotated[Path | None, out_option("the method's name, beside the source")] = None,
    workers: WorkersOption = 0,
    executor: ExecutorOption = None,
    shard: ShardOption = None,
    resume: ResumeOption = False,
    device: DeviceOption = "cpu",
) -> None:
    """Make networks without a generator: from a zoo, by cloning, or from a hypernetwork."""
    if method not in tuple(Method):
        raise UsageError(f"METHOD {method}: is none of {', '.join(Method)}")
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
    if method not in (Method.ASKED, Method.TUNED):
        refuse_flags({"demos": demos}, (), "asked and tuned")
    wanted = wanted_architectures(session.params, arch, held_out=held_out)
    place = session.place(out, beside(source, method))
    if method in (Method.NEAREST, Method.AVERAGE, Method.NOISE):
        refuse_flags({"executor": executor, "shard": shard}, (), "what is trained")
        session.require(zoo=source)

        from stages import baseline

        inputs = baseline.Inputs(source, method, wanted)
        session.run(baseline, inputs, baseline.Outputs(place))
        return
    ghn = source if method in (Method.ASKED, Method.TUNED) else None
    learnt = demos or (beside(source, "demos") if ghn else source)
    session.require(ghn=ghn, demos=learnt)

    from stages import trained_baseline

    inputs = trained_baseline.Inputs(learnt, method, wanted, ghn)
    session.run(trained_baseline, inputs, trained_baseline.Outputs(place))
