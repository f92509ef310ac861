"""``nnit card``: what a generator was trained on and how well it does, for people and for hubs.

Reads:   generator   kind "generator", schema 1, 2 or 3
         results     kinds "samples" and "rollouts", of networks that it generated
Writes:  one Markdown file, with the front matter that model hubs read
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from shlex import quote
from statistics import fmean
from typing import Any, NamedTuple

from ruamel.yaml import YAML

from nnit.artifacts.loose import fault_of_file, write_loose
from nnit.artifacts.manifest import Manifest
from nnit.artifacts.reading import open_artifact
from nnit.artifacts.rollouts import read_rollouts
from nnit.errors import OutputExistsError, UsageError, WrongKindError
from nnit.export.card import is_untouched, with_digest
from nnit.generators.trained import TrainedGenerator, read_generator
from nnit.mlp import format_architecture
from nnit.rollout.metrics import Evaluation
from stages.audit_tables import kind_name
from stages.inspection import level_of, source_name
from stages.params import ArchitecturesParams, DiffuseTrainParams
from stages.report import find_artifacts

MARK = "<!-- made by nnit card -->"
GENERATED = "sample"  # the source of networks that a generator wrote
TAGS = ["weight-generation", "hypernetwork", "diffusion-transformer", "maniskill"]


@dataclass(frozen=True)
class Inputs:
    """What the card is of."""

    generator: Path
    results: tuple[Path, ...]  # artifacts, or folders of them: samples, and their rollouts
    name: str  # of the model


@dataclass(frozen=True)
class Summary:
    """What was written."""

    tasks: int
    networks: int  # generated ones that were evaluated
    bytes: int


class Result(NamedTuple):
    """How networks of one task did."""

    task: str
    networks: str  # digest of the samples
    evaluations: tuple[Evaluation, ...]
    commands: tuple[str, ...]  # that made them


def write_card(inputs: Inputs, out: Path, *, force: bool = False) -> Summary:
    """Write the card of a generator from rollouts of networks that it generated.

    Raises:
        WrongKindError: rollouts of other networks than those; the line names them.
        UsageError: no rollouts, or a place that the file can't go to.
        NnitError: missing, of another kind, damaged; an output that is there.
    """
    fault = fault_of_file(out, is_card)
    if fault:
        raise UsageError(f"--out {out}: {fault}")
    if out.exists() and not force:
        raise OutputExistsError(f"{out}: exists already; replace it with --force, or choose --out")
    trained = read_generator(inputs.generator)
    results = read_results(inputs, trained)
    manifest = open_artifact(inputs.generator, "generator", check="sizes").manifest
    text = card_text(inputs.name, trained, manifest, results)
    data = with_digest(text, MARK).encode()
    write_loose(out, data, is_card)
    generated = [e for result in results for e in result.evaluations if e.source == GENERATED]
    return Summary(len({result.task for result in results}), len(generated), len(data))


def is_card(data: bytes) -> bool:
    """Whether a file is one that ``write_card`` wrote, and nobody has edited."""
    return is_untouched(data, MARK)


def read_results(inputs: Inputs, trained: TrainedGenerator) -> list[Result]:
    """Read the rollouts among the results.

    Raises:
        WrongKindError: of networks that are not among the results, or not the generator's.
        UsageError: there are none.
    """
    paths = [path for given in inputs.results for path in find_artifacts(given)]
    opened = {path: open_artifact(path, check="sizes").manifest for path in paths}
    samples = {one.digest: one for one in opened.values() if one.kind == "samples"}
    found = []
    for path, manifest in opened.items():
        if manifest.kind != "rollouts":
            continue
        asked = samples.get(manifest.parents.get("networks", ""))
        if asked is None or asked.parents.get("generator") != trained.digest:
            raise WrongKindError(
                f"{path}: is not of networks of {inputs.generator} that are given too; give the "
                "samples beside their rollouts"
            )
        rollouts, _ = read_rollouts(path)
        commands = command_of(asked), command_of(manifest)
        found.append(
            Result(rollouts.interface.task, asked.digest, tuple(rollouts.evaluations), commands)
        )
    if not found:
        raise UsageError(f"{inputs.generator}: give rollouts of networks that it generated")
    return each_once(found)


def each_once(results: Sequence[Result]) -> list[Result]:
    """Leave out what networks did in further rollouts: the most episodes of each count."""
    longest: dict[tuple[str, str], Evaluation] = {}
    for result in results:
        for one in result.evaluations:
            known = longest.setdefault((result.networks, one.name), one)
            if len(one.episodes) > len(known.episodes):
                longest[result.networks, one.name] = one
    kept = [
        result._replace(
            evaluations=tuple(
                one for one in result.evaluations if longest[result.networks, one.name] is one
            )
        )
        for result in results
    ]
    return [result for result in kept if result.evaluations]


def command_of(manifest: Manifest) -> str:
    """Write the command that made samples or rollouts, by what decides them."""
    params, words = manifest.params, [f"nnit {manifest.stage}"]
    if manifest.stage == "sample":
        words += [f"--arch {quote(text)}" for text in params["architectures"] if text]
        params = {**params, **params.get("bounds", {})}
        names = ["task", "max_params", "max_macs", "depth", "samples", "steps", "beyond"]
        if "demos" in manifest.parents:  # which the best candidates were chosen by
            words.append("--demos demos")
            names.append("best_of")
    else:
        words.append("samples")
        names = ["episodes", "first_seed"]
    given = {name: params[name] for name in names if params.get(name) is not None}
    words += [f"--{name.replace('_', '-')} {quote(str(one))}" for name, one in given.items()]
    return " ".join([*words, f"--seed {manifest.seed}"])


def card_text(
    name: str, trained: TrainedGenerator, manifest: Manifest, results: Sequence[Result]
) -> str:
    """Return the whole card."""
    tasks = [one.interface.task for one in trained.tasks]
    widths = sorted({width for one in trained.tasks for width in one.values.widths})
    depths = sorted({depth for one in trained.tasks for depth in one.values.depths})
    numbers = sum(parameter.numel() for parameter in trained.model.parameters())
    default = DiffuseTrainParams()
    flags = [
        f"--{key.replace('_', '-')} {word}"
        for key, value in manifest.params.items()
        if key in DiffuseTrainParams.model_fields and value != getattr(default, key)
        for word in ([f"{k}={v}" for k, v in value.items()] if isinstance(value, dict) else [value])
    ]
    demos = sum(parent.startswith("demos") for parent in manifest.parents)  # one of each task
    words = ["nnit diffuse-train tokens", *["--demos demos"] * demos, *flags]
    training = " ".join([*words, f"--seed {manifest.seed}"])
    commands = [training, *dict.fromkeys(line for result in results for line in result.commands)]
    held_out = "; ".join(held_out_of(manifest.params["architectures"]))
    versions = ", ".join(f"{package} {version}" for package, version in manifest.versions.items())
    return f"""---
{front_matter(name, results)}---
{MARK}

# {name}

Generates the weights of MLP policies of any hidden widths and depths, without training them, for
{", ".join(tasks)}.

```console
$ nnit sample --model {name} --task {tasks[0]} --arch 128,256,128 --out mine
$ nnit rollout mine
```

## How well it does

Share of episodes in success at any step (accuracy, of classes), with the 95 % interval over
architectures and initial states, and the lowest single network.

{success_table(results)}

## What it was trained on

| | |
|---|---|
| hidden widths | {widths[0]} to {widths[-1]} |
| hidden layers | {depths[0]} to {depths[-1]} |
| numbers | {numbers:,} |
| digest | `{trained.digest}` |
| made with | nnit {manifest.nnit_version}, {versions} |
| never trained on | {held_out} |

## Limits

- Networks are MLPs with ReLU that act on state observations. Each says in its `config.json` which
  control mode, control frequency and order of observations it was made for; elsewhere it fails
  (`nnit.fit.require_fit`).
- Beyond the trained widths and depths a network is grown out of one within, whose function stays.
- It imitates scripted experts, and has seen what their disturbed demonstrations show.

The generator is under Apache-2.0. It holds nothing of ManiSkill3, whose assets, which a rollout
needs, are under CC BY-NC 4.0.

## Commands

```console
{chr(10).join(f"$ {line}" for line in commands)}
```
"""


def held_out_of(trained_with: Any) -> Iterator[str]:  # noqa: ANN401
    """Name the held-out architectures that no training that led to a generator could draw."""
    found = trained_with if isinstance(trained_with, list) else [trained_with]
    sections = [ArchitecturesParams.model_validate(section) for section in found]
    ranges = [section.training_range() for section in sections]
    listed = {dims for section in sections for dims in section.held_out.listed()}
    never = (dims for dims in listed if not any(one.is_trainable(dims) for one in ranges))
    yield from map(format_architecture, sorted(never))


def success_table(results: Sequence[Result]) -> str:
    """Write success of each task, source and kind of shape as Markdown."""
    head = ["task", "networks", "held out as", "networks x episodes", "success", "lowest"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for task, source, kind, group in groups_of(results):
        cells = [
            task,
            source_name(source),
            kind_name(kind),
            f"{len(group)} x {episodes_of(group)}",
            str(level_of(group)),
            f"{min(one.success_once for one in group):.2f}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def front_matter(name: str, results: Sequence[Result]) -> str:
    """Write what model hubs read: licence, tags, and success of the generated networks."""
    measured: dict[str, list[Mapping[str, Any]]] = {}
    for task, source, kind, group in groups_of(results):
        if source == GENERATED:
            value = round(mean_success(group), 4)
            label = f"success_once, {kind_name(kind)}"
            metric = {"type": "success_once", "name": label, "value": value}
            measured.setdefault(task, []).append(metric)
    data = {
        "license": "apache-2.0",
        "library_name": "nnit",
        "pipeline_tag": "robotics",
        "tags": TAGS,
        "model-index": [
            {
                "name": name,
                "results": [
                    {
                        "task": {"type": "robotics", "name": task},
                        "dataset": {"name": task, "type": task},
                        "metrics": metrics,
                    }
                    for task, metrics in measured.items()
                ],
            }
        ],
    }
    stream = StringIO()
    yaml = YAML(typ="safe")
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[attr-defined]
    yaml.dump(data, stream)
    return stream.getvalue()


def groups_of(
    results: Sequence[Result],
) -> Iterator[tuple[str, str, str, list[Evaluation]]]:
    """Yield task, source and kind with the networks of each, in order."""
    grouped: dict[tuple[str, str, str], list[Evaluation]] = {}
    for result in results:
        for one in result.evaluations:
            grouped.setdefault((result.task, one.source, one.kind), []).append(one)
    for (task, source, kind), group in grouped.items():
        yield task, source, kind, group


def episodes_of(group: Sequence[Evaluation]) -> str:
    """Say how many episodes each network had."""
    numbers = sorted(len(one.episodes) for one in group)
    return str(numbers[0]) if numbers[0] == numbers[-1] else f"{numbers[0]} to {numbers[-1]}"


def mean_success(group: Sequence[Evaluation]) -> float:
    """Return the mean of success_once over networks."""
    return fmean(one.success_once for one in group)
