"""``nnit doctor``."""

from typing import TYPE_CHECKING

from nnit.errors import ResourceError
from nnit_cli.console import print_facts, print_json
from nnit_cli.options import DebugOption, JsonOption

if TYPE_CHECKING:
    from nnit.machine import Check

EXAMPLE = "nnit doctor"


def doctor_command(
    *,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Check the machine: versions, threads, devices and disk, each with its fix."""
    from nnit.machine import examine
    from nnit.tasks.vulkan import check_render_device

    checks = [*examine(), check_render_device()]
    if json:
        print_json([check._asdict() for check in checks])
    else:
        print_facts({check.name: finding_of(check) for check in checks})
    faults = [f"{check.name}: {check.fix}" for check in checks if check.fix and check.is_needed]
    if faults:
        raise ResourceError(*faults)


def finding_of(check: "Check") -> str:
    """Return what was found, and what to do where something is missing."""
    return f"{check.finding}; fix: {check.fix}" if check.fix else check.finding
