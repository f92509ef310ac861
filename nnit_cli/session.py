"""One run of a command: parameters from file and flags, progress, and what it says at the end."""

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from nnit.errors import MissingArtifactError, QualityGateError, UsageError
from nnit_cli.console import open_progress, print_facts, print_json, print_tables
from nnit_cli.options import RunFlags
from nnit_cli.signals import stop_request

if TYPE_CHECKING:
    from nnit.mlp import Architecture
    from nnit.progress import Progress
    from nnit.tokens.sequence import PartialArchitecture
    from stages.params import Params, RunOptions

INPUT_KINDS = {  # name of an input -> what it may be, where that is not the name
    "networks": ("samples", "zoo", "ghn"),
    "loss_demos": ("demos",),
    "add_to": ("demos",),
    "teacher": ("samples", "zoo", "ghn"),
    "dagger_from": ("samples", "zoo", "ghn"),
    "also": ("samples", "zoo"),
    "further": ("zoo",),
    "parent": ("generator",),
}
INPUT_FILES = {"trajectories"}  # inputs that are no artifacts


class Stage(Protocol):
    """What a module of ``stages`` offers to a command."""

    def run(
        self,
        params: "Params",
        inputs: Any,  # noqa: ANN401 - each stage has its own
        outputs: Any,  # noqa: ANN401
        *,
        options: "RunOptions",
        progress: "Progress",
    ) -> Any:  # noqa: ANN401
        """Read the inputs, compute, write the outputs, and return the summary."""
        ...


@dataclass(frozen=True)
class Session:
    """A command with its parameters settled."""

    command: str
    flags: RunFlags
    params: "Params"
    options: "RunOptions"
    section_name: str  # of the parameters that it uses

    @property
    def section(self) -> dict[str, Any]:
        """The command's own parameters."""
        return getattr(self.params, self.section_name).model_dump(mode="json")

    def run(self, stage: Stage, inputs: object, outputs: object) -> dict[str, Any]:
        """Run the stage, or say what it would do, and print the result; returns the summary."""
        from nnit.artifacts.locking import lock_output
        from nnit.machine import resolve_device

        options = replace(self.options, device=resolve_device(self.options.device))
        refuse_folders(
            {"--metrics": self.flags.metrics, "--curve": getattr(outputs, "curve", None)}
        )
        if self.flags.dry_run:
            self._print_plan(_paths(inputs), _paths(outputs))
            return {}
        with open_progress(stop_request, quiet=self.flags.quiet) as progress:
            for line in self._opening_lines(inputs, options.device):
                progress.note(line)
            # From the start: unfinished work lies beside the output, and is one run's alone.
            with lock_output(artifact_of(outputs)):
                summary = asdict(
                    stage.run(self.params, inputs, outputs, options=options, progress=progress)
                )
        if self.flags.metrics:
            self.flags.metrics.parent.mkdir(parents=True, exist_ok=True)
            self.flags.metrics.write_text(json.dumps(summary, indent=2) + "\n")
        self._finish(_paths(outputs), summary)
        return summary

    def print_table(self, path: Path) -> None:
        """Print the table of the artifact that was written, for people."""
        from stages.inspection import describe

        if not (self.flags.dry_run or self.flags.json or self.flags.quiet):
            print()
            print_tables(describe(path).tables)

    def _opening_lines(self, inputs: object, device: str) -> list[str]:
        sources = ", ".join(map(str, _paths(inputs).values()))
        lines = [f"{self.command}: from {sources or self.params.task} on {device}"]
        if self.flags.verbose:
            task = getattr(inputs, "task", None) or self.params.task
            values = {"seed": self.options.seed, "task": task, **self.section}
            lines += [f"{self.command}: {name} = {value}" for name, value in values.items()]
        return lines

    def _print_plan(self, inputs: Mapping[str, Path], outputs: Mapping[str, Path]) -> None:
        """Check that the inputs are whole artifacts and the outputs are free, and print both."""
        from nnit.artifacts.manifest import KINDS
        from nnit.artifacts.publish import check_output_free
        from nnit.artifacts.reading import open_artifact

        for name, path in inputs.items():
            first_word = name.partition(" ")[0]
            if first_word in INPUT_FILES:
                if not path.is_file():
                    raise MissingArtifactError(f"{path}: no such file")
                continue
            open_artifact(path, *INPUT_KINDS.get(first_word, (first_word,)), check="sizes")
        for name, path in outputs.items():
            if name in KINDS:
                check_output_free(path, force=self.flags.force, kind=name)
        facts = {
            "command": f"nnit {self.command}",
            **{f"read {name.replace('_', ' ')}": str(path) for name, path in inputs.items()},
            **{f"write {name}": str(path) for name, path in outputs.items()},
            "seed": self.options.seed,
            **self.section,
        }
        if self.flags.json:
            print_json({"dry_run": True, **facts})
        else:
            print_facts(facts)

    def _finish(self, outputs: Mapping[str, Path], summary: Mapping[str, Any]) -> None:
        written = {name: str(path) for name, path in outputs.items()}
        if self.flags.json:
            print_json({"command": self.command, "outputs": written, "summary": summary})
        elif not self.flags.quiet:
            figures = {
                name.replace("_", " "): value
                for name, value in summary.items()
                if not isinstance(value, Mapping)
            }
            print_facts({**written, **figures})


def open_session(
    command: str,
    flags: RunFlags,
    section: Mapping[str, object],
    others: Mapping[str, Mapping[str, object]] | None = None,
    *,
    task: str | None = None,
    data: str | None = None,
    device: str = "cpu",
    workers: int = 0,
    resume: bool = False,
    section_name: str | None = None,
) -> Session:
    """Read the parameters and lay the flags over them.

    Args:
        command: The command's name.
        flags: The shared flags.
        section: The flags of the command's own section, by key; None where not given.
        others: Flags of other sections, by section and key.
        task: The flag ``--task``.
        data: The flag ``--data``.
        device: The flag ``--device``.
        workers: The flag ``--workers``.
        resume: The flag ``--resume``.
        section_name: The parameters that the command uses, where they aren't called as it is.

    Raises:
        NnitError: see ``load_params`` and ``override``.
    """
    from stages.params import RunOptions
    from stages.params_file import load_params, override

    params = override(load_params(flags.params), seed=flags.seed, task=task, data=data)
    given = {command.replace("-", "_"): section, **(others or {})}
    laid_over = {name: override(getattr(params, name), **flags) for name, flags in given.items()}
    params = params.model_copy(update=laid_over)
    options = RunOptions(
        seed=params.seed,
        device=device,
        workers=workers,
        force=flags.force,
        resume=resume,
    )
    return Session(command, flags, params, options, section_name or command.replace("-", "_"))


def parse_architectures(
    texts: list[str] | None, flag: str = "--arch"
) -> "tuple[Architecture, ...]":
    """Return the architectures of a flag that may be repeated."""
    from nnit.mlp import parse_architecture

    return tuple(parse_architecture(text, flag) for text in texts or ())


def refuse_flags(given: Mapping[str, object], but: Collection[str], owner: str) -> None:
    """Refuse flags that another way of running a command has.

    Args:
        given: Values by parameter name; None where not given.
        but: Names that are fine.
        owner: The flag that they belong to.

    Raises:
        UsageError: one was given; a line for each.
    """
    wrong = [name for name, value in given.items() if value is not None and name not in but]
    if wrong:
        raise UsageError(*(f"--{name.replace('_', '-')}: is of {owner}" for name in wrong))


def parse_labels(texts: list[str] | None) -> dict[str, Path]:
    """Return what the values ``LABEL=PATH`` of ``--also`` say.

    Raises:
        UsageError: a part is missing, or a label is given twice.
    """
    labels: dict[str, Path] = {}
    for text in texts or ():
        label, _, path = text.partition("=")
        if not label or not path:
            raise UsageError(f"--also {text}: give LABEL=PATH, as in nearest=artifacts/nearest")
        if label in labels:
            raise UsageError(f"--also {text}: the label {label} is given twice")
        labels[label] = Path(path)
    return labels


def asked_task(text: str | None) -> str | None:
    """Return the id of the task that ``--task`` asks a generator for; the text may be a file.

    Raises:
        NnitError: a file that is not there or defines no task.
    """
    from stages.task_source import task_id

    return None if text is None else task_id(text)


def wanted_architectures(
    session: Session, texts: list[str] | None, *, held_out: bool
) -> "tuple[Architecture, ...]":
    """Return the architectures that ``--arch`` and ``--held-out`` ask for.

    Raises:
        UsageError: a text is not an architecture.
    """
    listed = session.params.architectures.held_out.listed() if held_out else ()
    return (*parse_architectures(texts), *listed)


def wanted_patterns(
    session: Session, texts: list[str] | None, *, held_out: bool, repeated: bool = False
) -> "tuple[PartialArchitecture | None, ...]":
    """Return what ``--arch``, ``--held-out`` and ``--repeated`` ask for, else one to generate.

    Raises:
        UsageError: a text is not an architecture.
    """
    from stages.patterns import parse_pattern

    params = session.params
    listed = params.architectures.held_out.listed() if held_out else ()
    several = params.zoo_export.repeated if repeated else ()
    return (*map(parse_pattern, texts or ()), *listed, *several) or (None,)


def refuse_folders(files: Mapping[str, Path | None]) -> None:
    """Make sure, before any work, that small files can be written where they are wanted.

    Raises:
        UsageError: a folder is there, or a file where a folder has to be; a line for each.
    """
    faults = []
    for flag, path in files.items():
        if path is not None and path.is_dir():
            faults.append(f"{flag} {path}: is a folder; name a file, as in {path / 'figures.json'}")
        elif path is not None and any(parent.is_file() for parent in path.parents):
            faults.append(f"{flag} {path}: a file is where its folder has to be")
    if faults:
        raise UsageError(*faults)


def require_success(summary: Mapping[str, Any], min_success: float | None) -> None:
    """Hold the mean success of a rollout against ``--min-success``.

    Raises:
        QualityGateError: it is lower.
    """
    if min_success is None or not summary or summary["success_once"] >= min_success:
        return
    raise QualityGateError(
        f"--min-success {min_success}: not met, success_once is {summary['success_once']:.3f}"
    )


def require_answer(summary: Mapping[str, Any], *, required: bool) -> None:
    """Hold the answer of a frontier against ``--require``.

    Raises:
        QualityGateError: no network has the success that is wanted.
    """
    if required and summary and not summary["met"]:
        raise QualityGateError(f"--require: not met, {summary['answer']}")


def artifact_of(outputs: object) -> Path:
    """Return where the artifact among the outputs goes."""
    from nnit.artifacts.manifest import KINDS

    return next(path for name, path in _paths(outputs).items() if name in KINDS)


def _paths(paths: object) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for name, value in vars(paths).items():
        if isinstance(value, Path):
            found[name] = value
        elif isinstance(value, Mapping):
            found |= {f"{name} {label}": path for label, path in value.items()}
        elif isinstance(value, tuple):
            paths = [path for path in value if isinstance(path, Path)]
            found |= {f"{name} {number}": path for number, path in enumerate(paths, start=1)}
    return found
