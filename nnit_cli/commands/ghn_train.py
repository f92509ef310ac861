"""``nnit ghn-train``."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from nnit_cli.flags import refuse_flags
from nnit_cli.options import (
    AccumulateOption,
    CurveOption,
    DeviceOption,
    Given,
    LogOption,
    ResumeOption,
    RunFlags,
    TaskOption,
    WorkersOption,
    out_option,
    with_flags,
)
from nnit_cli.places import beside
from nnit_cli.session import open_session


class Objective(StrEnum):
    """What the hypernetwork learns by."""

    CLONING = "cloning"
    PPO = "ppo"


EXAMPLE = "nnit ghn-train pick/demos --steps 3000"


@with_flags("ghn_train", "ppo.iterations", "ppo.sim_backend")
def ghn_train_command(
    run: RunFlags,
    given: Given,
    *,
    demos: Annotated[
        Path, typer.Argument(help="Demonstrations; not needed for --objective ppo.")
    ] = Path("artifacts/demos"),
    objective: Annotated[
        Objective, typer.Option("--objective", help="Learn from demonstrations, or by PPO.")
    ] = Objective.CLONING,
    task: TaskOption = None,
    out: Annotated[Path | None, out_option("ghn, beside the demonstrations")] = None,
    curve: CurveOption = None,
    device: DeviceOption = "auto",
    workers: WorkersOption = 0,
    accumulate: AccumulateOption = 1,
    resume: ResumeOption = False,
    log: LogOption = None,
) -> None:
    """Train the graph hypernetwork over many architectures at once."""
    cloning, ppo = given["ghn_train"], given["ppo"]
    if objective is Objective.PPO:
        refuse_flags(cloning, ("learning_rate", "decoder"), "--objective cloning")
        session = open_session(
            "ghn-train",
            run,
            {"decoder": cloning["decoder"]},
            {"ppo": {**ppo, "learning_rate": cloning["learning_rate"]}},
            task=task,
            device=device,
            workers=workers,
            resume=resume,
            log=log,
            accumulate=accumulate,
            section_name="ppo",
        )

        from stages import ghn_ppo

        learnt = ghn_ppo.Outputs(ghn=session.place(out, beside(demos, "ghn")), curve=curve)
        session.run(ghn_ppo, ghn_ppo.Inputs(), learnt)
        return
    refuse_flags({**ppo, "task": task, "workers": workers or None}, (), "--objective ppo")
    session = open_session(
        "ghn-train", run, cloning, device=device, resume=resume, accumulate=accumulate, log=log
    )

    session.require(demos=demos)

    from stages import ghn_train

    outputs = ghn_train.Outputs(ghn=session.place(out, beside(demos, "ghn")), curve=curve)
    session.run(ghn_train, ghn_train.Inputs(demos=demos), outputs)
