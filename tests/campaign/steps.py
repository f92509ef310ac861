"""A process that ends, or that the operating system fails, at its n-th step on the disk."""

import builtins
import io
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from nnit.artifacts import durable
from nnit.errors import NnitError

AUDITED = (
    "os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.chmod", "os.link", "os.symlink",
    "os.truncate",
)  # fmt: skip
WRAPPED = ("fsync", "fdatasync", "fchmod", "ftruncate", "write", "pwrite")
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
DONE, REFUSED, BROKEN = 0, 3, 4  # exit codes of the process


class Ended(NamedTuple):
    """How the process ended."""

    code: int  # negative: the signal
    text: str  # steps that were counted, or what was raised


class _Steps:
    """Counts what changes the disk and acts at the n-th; writing counts once half is written."""

    def __init__(self, at: int, error: int | None) -> None:
        self.at, self.error, self.count = at, error, 0

    def step(self) -> None:
        self.count += 1
        if self.count == self.at:
            if self.error is None:
                os.kill(os.getpid(), signal.SIGKILL)
            raise OSError(self.error, os.strerror(self.error or 0))

    def audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in AUDITED or (event == "open" and arguments[2] & WRITING):
            self.step()

    def wrapped(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **options: Any) -> Any:
            self.step()
            return call(*arguments, **options)

        return counted

    def opened(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def open_(*arguments: Any, **options: Any) -> Any:
            file = call(*arguments, **options)
            if isinstance(file, io.BufferedWriter | io.BufferedRandom):
                write = file.write

                def half(data: Any) -> int:
                    if self.count + 1 == self.at:
                        write(bytes(data)[: len(data) // 2])
                        file.flush()
                    self.step()
                    return write(data)

                file.write = half
            return file

        return open_


def run_until(write: Callable[[], object], at: int, error: int | None = None) -> Ended:
    """Fork a process that writes until its step ``at``, where it is killed or gets an error."""
    here, there = os.pipe()
    process = os.fork()
    if process == 0:
        steps, code, text = _Steps(at, error), DONE, ""
        try:
            _install(steps)
            write()
        except NnitError as refusal:
            code, text = REFUSED, str(refusal)
        except BaseException as fault:  # noqa: BLE001 - whatever it is, the parent is told
            from .trials import fault_of

            code, text = BROKEN, f"{(fault_of(fault) or fault)!r}"
        steps.at = 0
        os.write(there, (text or str(steps.count)).encode()[:4000])
        os._exit(code)
    os.close(there)
    with open(here, "rb") as channel:  # noqa: PTH123
        text = channel.read().decode()
    return Ended(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), text)


def _install(steps: _Steps) -> None:
    for name in WRAPPED:
        setattr(os, name, steps.wrapped(getattr(os, name)))
    durable._rename = steps.wrapped(durable._rename)
    builtins.open = io.open = steps.opened(io.open)
    sys.addaudithook(steps.audit)


def without_exchange(_source: Path, _target: Path, _flags: int) -> bool:
    """Be ``durable._rename`` on a file system that only knows the plain renaming of names."""
    return False
