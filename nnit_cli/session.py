"""One run of a command: parameters from file and flags, progress, and what it says at the end."""

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from nnit.errors import MissingArtifactError, QualityGateError, UsageError
from nnit.ranks import ranks_of
from nnit.trackers import require_trackers
from nnit_cli.console import (
    open_progress,
    print_ending,
    print_facts,
    print_json,
    print_tables,
)
from nnit_cli.flags import parse_executor, parse_shard, refuse_flags
from nnit_cli.options import MERGE, RunFlags
from nnit_cli.places import free_output, resumed_output
from nnit_cli.signals import stop_request

if TYPE_CHECKING:
    from nnit.artifacts.loose import IsEarlier
    from nnit.engine import ShardEnd
    from nnit.progress import Progress
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
    "exported": ("samples", "frontier", "zoo"),
}
SHOWN_KINDS = {"rollouts", "frontier", "audit", "alignment"}  # whose tables are the result
INPUT_FILES = {"trajectories", "recording"}  # inputs that are no artifacts


class Stage(Protocol):
    """What a module of ``stages`` offers to a command."""

    Summary: type[Any]  # a dataclass; what ``run`` returns

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
    merges: bool = False  # what shards have done

    @property
    def section(self) -> dict[str, Any]:
        """The command's own parameters."""
        return getattr(self.params, self.section_name).model_dump(mode="json")

    def require(self, **inputs: Path | Sequence[Path] | None) -> None:
        """Make sure that inputs are there, before what takes seconds to import.

        Args:
            inputs: By what they are, as ``INPUT_KINDS`` or a kind of artifact calls it.

        Raises:
            NnitError: missing, of another kind, damaged.
        """
        for name, paths in inputs.items():
            for path in [paths] if isinstance(paths, Path) else paths or ():
                require_kind(path, name)

    def place(self, out: Path | None, default: Path) -> Path:
        """Return where the artifact goes: ``--out``, or the default, or a numbered sibling of it.

        Raises:
            OutputExistsError: ``--resume``, and nothing is left to resume.
        """
        if out is not None or self.flags.force:
            return out or default
        if self.options.resume and self.options.shard is None and not self.merges:
            return resumed_output(default)
        return free_output(default)

    def run(self, stage: Stage, inputs: object, outputs: object) -> dict[str, Any]:
        """Run the stage, or say what it would do, and print the result; returns the summary."""
        from nnit.artifacts.loose import write_loose
        from nnit.engine import ShardEnd
        from nnit.machine import resolve_device
        from stages.shards import count_shards, place_of, working_at

        out, ranks = artifact_of(outputs)[1], self.options.ranks
        device = resolve_device(self.options.device, ranks.local_rank)
        merged = count_shards(out) if self.merges else 0
        options = replace(self.options, device=device, merged=merged)
        is_summary = partial(_is_summary, names={one.name for one in fields(stage.Summary)})
        self._check_outputs(outputs, is_summary)
        if self.flags.dry_run:
            if ranks.is_first:
                self._print_plan(stage, inputs, _paths(outputs))
            return {}
        is_quiet = self.flags.quiet or not ranks.is_first
        with open_progress(stop_request, quiet=is_quiet) as progress, together(options):
            for line in self._opening_lines(inputs, device):
                progress.note(line)
            # From the start: unfinished work lies beside the output, and is one run's alone.
            try:
                with working_at(out, options) if ranks.is_first else nullcontext():
                    summary = asdict(
                        stage.run(self.params, inputs, outputs, options=options, progress=progress)
                    )
            except ShardEnd as end:
                self._finish_shard(end, place_of(out, options))
                return {}
        if not ranks.is_first:
            return summary
        if self.flags.metrics:
            data = (json.dumps(summary, indent=2) + "\n").encode()
            write_loose(self.flags.metrics, data, is_summary)
        self._finish(out, _paths(outputs), summary)
        return summary

    def _check_outputs(self, outputs: object, is_summary: "IsEarlier") -> None:
        """Make sure, before any work, that the artifact and the small files can be written.

        Raises:
            UsageError: something is there, or is no place for them.
            ResourceError: a folder cannot be written to.
        """
        from nnit.artifacts.log import log_file, require_free_log
        from nnit.artifacts.loose import fault_of_file
        from nnit.artifacts.publish import check_output_free
        from stages.curves import is_curve

        name, out = artifact_of(outputs)
        check_output_free(out, force=self.flags.force, kind=name)
        curve, metrics = getattr(outputs, "curve", None), self.flags.metrics
        wanted = {"--curve": (curve, is_curve), "--metrics": (metrics, is_summary)}
        faults, taken = [], {"--out": Path(os.path.realpath(out))}
        if hasattr(outputs, "curve"):  # a training
            require_free_log(out)
            taken["the training's log"] = log_file(out)
        for flag, (path, is_earlier) in wanted.items():
            if path is None:
                continue
            target = Path(os.path.realpath(path))
            fault = _overlap(target, taken) or fault_of_file(path, is_earlier)
            taken[flag] = target
            faults += [f"{flag} {path}: {fault}"] if fault else []
        if faults:
            raise UsageError(*faults)

    def _opening_lines(self, inputs: object, device: str) -> list[str]:
        sources = ", ".join(map(str, _paths(inputs).values()))
        size = self.options.ranks.size
        together = f", {size} ranks" if size > 1 else ""
        lines = [f"{self.command}: from {sources or self.params.task} on {device}{together}"]
        if self.flags.verbose:
            task = getattr(inputs, "task", None) or ("" if sources else self.params.task)
            values = {"seed": self.options.seed, **({"task": task} if task else {}), **self.section}
            lines += [f"{self.command}: {name} = {value}" for name, value in values.items()]
        return lines

    def _print_plan(self, stage: Stage, given: object, outputs: Mapping[str, Path]) -> None:
        """Check inputs and task as a run would, and print what it would read and write.

        A task that is a file of the user's is run here too: it is what says which task it is.
        """
        from nnit.artifacts.interface import stored_interfaces

        inputs = _paths(given)
        for name, path in inputs.items():
            first_word = name.partition(" ")[0]
            if first_word in INPUT_FILES:
                if not path.exists():
                    raise MissingArtifactError(f"{path}: no such file")
                continue
            stored_interfaces(path, *INPUT_KINDS.get(first_word, (first_word,)))
        if check_task := getattr(stage, "check_task", None):
            check_task(self.params, given)
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

    def _finish_shard(self, end: "ShardEnd", place: Path) -> None:
        """Say what a shard has done, and what is next once all have ended."""
        way = f"nnit merge {self.command} ..., with the words of this command but --shard"
        if end.needed_for:
            way = f"run each once more, with --resume, for the {end.needed_for}"
        facts = {
            "shard": str(end.shard),
            end.label: end.kept,
            "kept in": f"{place}.state",
            "next": f"when all {end.shard.count} have ended, {way}",
        }
        if self.flags.json:
            print_json({"command": self.command, "outputs": {}, "shard": facts})
        elif not self.flags.quiet:
            print_facts(facts)

    def _finish(self, out: Path, outputs: Mapping[str, Path], summary: Mapping[str, Any]) -> None:
        """Say what was made and of which task, what came out, and what is next."""
        from stages.inspection import describe, headline

        written = {name: str(path) for name, path in outputs.items()}
        if self.flags.json:
            print_json({"command": self.command, "outputs": written, "summary": summary})
        if self.flags.json or self.flags.quiet:
            return
        ending = headline(out)
        figures = {
            (f"number of {name}" if name in written else name).replace("_", " "): value
            for name, value in summary.items()
            if value is not None and not isinstance(value, Mapping)
        }
        shown = describe(out) if SHOWN_KINDS & outputs.keys() else None
        films = {"films": shown.facts["films"]} if shown and "films" in shown.facts else {}
        print_facts({**written, "task": ending.tasks, **figures, **films})
        if shown:
            print()
            print_tables(list(shown.tables.values()))
        print_ending(ending.result, ending.following)


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
    executor: str | None = None,
    shard: str | None = None,
    resume: bool = False,
    accumulate: int | None = None,
    compiled: bool = False,
    log: Sequence[str] | None = None,
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
        executor: The flag ``--executor``.
        shard: The flag ``--shard``.
        resume: The flag ``--resume``.
        accumulate: The flag ``--accumulate`` of a command that several processes may run together.
        compiled: The flag ``--compile``.
        log: The flag ``--log``.
        section_name: The parameters that the command uses, where they aren't called as it is.

    Raises:
        UsageError: no executor or shard, or flags that contradict each other; several processes
            were started for a command that is one; a tracker that is not installed.
        NnitError: see ``load_params`` and ``override``.
    """
    ranks = ranks_of(os.environ)
    if accumulate is None and ranks.size > 1:
        raise UsageError(
            f"{command}: is one process; start it without torchrun, which is for ghn-train "
            "and diffuse-train"
        )
    if executor is not None:
        refuse_flags({"workers": workers or None, "shard": shard}, (), "a run without --executor")
    from nnit.machine import check_device_name
    from stages.params import RunOptions
    from stages.params_file import load_params, override

    check_device_name(device)
    require_trackers(log or ())
    params = override(load_params(flags.params), seed=flags.seed, task=task, data=data)
    given = {command.replace("-", "_"): section, **(others or {})}
    laid_over = {name: override(getattr(params, name), **flags) for name, flags in given.items()}
    params = params.model_copy(update=laid_over)
    options = RunOptions(
        seed=params.seed,
        device=device,
        workers=workers,
        scheduler=parse_executor(executor),
        shard=parse_shard(shard),
        force=flags.force,
        resume=resume,
        compile=compiled,
        ranks=replace(ranks, rounds=accumulate or 1),
        trackers=tuple(dict.fromkeys(log or ())),
    )
    section_name = section_name or command.replace("-", "_")
    return Session(command, flags, params, options, section_name, merges=shard == MERGE)


def together(options: "RunOptions") -> AbstractContextManager[None]:
    """Have the processes that train together find each other, where there are several.

    Raises:
        RankLostError: one of them has ended.
    """
    if options.ranks.size == 1:
        return nullcontext()
    from nnit.distributed import joined

    return joined(options.ranks, options.device)


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


def require_kind(path: Path, name: str) -> None:
    """Make sure that an artifact is what an input has to be.

    Raises:
        NnitError: missing, of another kind, damaged.
    """
    from nnit.artifacts.reading import open_artifact

    open_artifact(path, *INPUT_KINDS.get(name, (name,)), check="sizes")


def artifact_of(outputs: object) -> tuple[str, Path]:
    """Return the kind of the artifact among the outputs, and where it goes."""
    from nnit.artifacts.manifest import KINDS

    return next((name, path) for name, path in _paths(outputs).items() if name in KINDS)


def _is_summary(data: bytes, names: set[str]) -> bool:
    """Whether a file is one that ``--metrics`` wrote, of a summary with these fields."""
    from nnit.artifacts.canonical import parse_json
    from nnit.errors import DamagedArtifactError

    try:
        found = parse_json(data, "--metrics")
    except DamagedArtifactError:
        return False
    return isinstance(found, dict) and found.keys() == names


def _overlap(path: Path, taken: Mapping[str, Path]) -> str:
    """Return why a file can't be where others go; nothing where it can."""
    for flag, other in taken.items():
        if path == other or path in other.parents or other in path.parents:
            return f"{flag} goes there; name another file"
    return ""


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
