"""Errors that a user can act on, each with the exit code of the command line.

Every message is one line that names the file or field, what was found, and what to do. An
error may carry several faults, one line each. Exit codes: 2 usage, 3 invalid parameters,
4 missing input or wrong kind of artifact, 5 damaged artifact or unknown schema, 6 no disk,
memory or device, 7 quality gate not met, 130 and 143 interrupted.
"""

from typing import ClassVar

SHOWN = 40  # characters of what was found
_IN_UNIT = "in the unit "


def shorten(text: str, to: int = SHOWN) -> str:
    """Cut off what a message does not need of a text that may be long."""
    return text if len(text) <= to else text[: to - 1] + "…"


def name_unit(error: Exception, unit: str) -> None:
    """Note in an error which unit of work it comes from."""
    error.add_note(f"{_IN_UNIT}{unit}")


def unit_of(error: Exception) -> str | None:
    """Return the unit of work that an error comes from, as ``name_unit`` noted it."""
    notes = getattr(error, "__notes__", [])
    return next((n.removeprefix(_IN_UNIT) for n in notes if n.startswith(_IN_UNIT)), None)


class NnitError(Exception):
    """A fault outside nnit's own code; the command line prints its lines and no traceback."""

    exit_code: ClassVar[int] = 1

    def __init__(self, *faults: str) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class UsageError(NnitError, ValueError):
    """A flag or argument has an impossible value."""

    exit_code = 2


class OutputExistsError(UsageError, FileExistsError):
    """The output is there already and ``--force`` was not given."""


class ParamsError(NnitError, ValueError):
    """``params.yaml`` has unknown keys or impossible values."""

    exit_code = 3


class LeakError(ParamsError):
    """A held-out architecture was about to enter training."""


class MissingArtifactError(NnitError, FileNotFoundError):
    """No artifact where one was expected."""

    exit_code = 4


class WrongKindError(NnitError, TypeError):
    """An artifact of another kind, or of another task, than the command reads."""

    exit_code = 4


class DamagedArtifactError(NnitError, ValueError):
    """An artifact whose bytes are not those that were written."""

    exit_code = 5


class UnknownSchemaError(NnitError, ValueError):
    """An artifact of a schema version that this nnit does not read."""

    exit_code = 5


class ResourceError(NnitError, OSError):
    """Not enough disk or memory, a device that is missing, a lock that another process holds."""

    exit_code = 6


class RankLostError(ResourceError):
    """Another of the processes that train together is gone."""


class QualityGateError(NnitError):
    """A threshold that the user asked for is not met."""

    exit_code = 7


class InterruptedRunError(NnitError):
    """The run was stopped by a signal after saving its state.

    Args:
        signal_number: The signal, 2 (SIGINT) or 15 (SIGTERM); the exit code is 128 + that.
        faults: Lines for the user, among them how to resume.
    """

    def __init__(self, signal_number: int, *faults: str) -> None:
        super().__init__(*faults)
        self.signal_number = signal_number

    @property
    def exit_code(self) -> int:  # type: ignore[override]
        """128 + the signal's number: 130 for SIGINT, 143 for SIGTERM."""
        return 128 + self.signal_number
