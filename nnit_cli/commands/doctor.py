"""``nnit doctor``."""

from nnit.errors import ResourceError
from nnit_cli.console import print_facts, print_json
from nnit_cli.options import DebugOption, JsonOption


def doctor_command(
    *,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Check the machine: versions, threads, devices and disk, each with its fix."""
    from nnit.machine import examine

    checks = examine()
    if json:
        print_json([check._asdict() for check in checks])
    else:
        print_facts({check.name: check.finding for check in checks})
    faults = [f"{check.name}: {check.fix}" for check in checks if check.fix]
    if faults:
        raise ResourceError(*faults)
