"""``nnit export``."""

from dataclasses import asdict
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from nnit.errors import OutputExistsError
from nnit_cli.console import print_ending, print_json, print_table
from nnit_cli.options import DebugOption, JsonOption, out_option
from nnit_cli.places import beside_of, free_output
from nnit_cli.session import require_kind

if TYPE_CHECKING:
    from stages.export import Exported

HEAD = ("file", "bytes", "weights", "differs by", "microseconds", "note")

EXAMPLE = "nnit export artifacts/samples --onnx --c --check"


def export_command(
    *,
    networks: Annotated[Path, typer.Argument(help="Samples, a frontier or a zoo.")] = Path(
        "artifacts/samples"
    ),
    network: Annotated[
        list[str] | None,
        typer.Option("--network", help="Only this one, as network-0000. May be repeated."),
    ] = None,
    onnx: Annotated[
        bool, typer.Option("--onnx", help="NAME.onnx, for any runtime of ONNX.")
    ] = False,
    pt2: Annotated[
        bool, typer.Option("--pt2", help="NAME.pt2, a program of torch.export.")
    ] = False,
    c: Annotated[bool, typer.Option("--c", help="NAME.h, C99 for microcontrollers.")] = False,
    hf: Annotated[bool, typer.Option("--hf", help="A folder NAME, for `nnit push`.")] = False,
    out: Annotated[
        Path | None, out_option("exports, of NAME exports-NAME, beside the networks")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Compare each with torch; take the time of compiled C.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace an earlier export.")] = False,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Write networks for other tools: ONNX, torch.export, C, a model hub.

    Scaling and clipping of observations and the bounds of actions are inside.
    """
    require_kind(networks, "exported")

    from stages.export import Inputs, Outputs, require_agreement, run

    chosen = {"onnx": onnx, "pt2": pt2, "c": c, "hf": hf}
    formats = tuple(name for name, asked in chosen.items() if asked)
    inputs = Inputs(networks, tuple(network or ()))
    place = out or beside_of(networks, "exports", usual="samples")
    try:
        written = run(inputs, Outputs(place, formats), check=check, force=force)
    except OutputExistsError:
        if out:
            raise
        place = free_output(place)
        written = run(inputs, Outputs(place, formats), check=check)
    if json:
        print_json([{**asdict(one), "path": str(one.path)} for one in written])
    else:
        print_table(as_rows(written))
        folders = [quote(str(one.path)) for one in written if one.path.is_dir()]
        report = f"nnit report {quote(str(networks))}"
        following = f"nnit push {folders[0]} OWNER/NAME" if folders else report
        print_ending(f"files written: {len(written)}, in {place}", following)
    require_agreement(written)


def as_rows(written: "list[Exported]") -> list[tuple[str, ...]]:
    """Return what people see; columns without any entry are left out."""
    rows = [
        (
            str(one.path),
            f"{one.bytes:,}",
            f"{one.weight_bytes:,}",
            "" if one.difference is None else f"{one.difference:.1g}",
            "" if one.latency_us is None else f"{one.latency_us:.2g}",
            one.note,
        )
        for one in written
    ]
    kept = [k for k in range(len(HEAD)) if any(row[k] for row in rows)]
    return [tuple(row[k] for k in kept) for row in [HEAD, *rows]]
