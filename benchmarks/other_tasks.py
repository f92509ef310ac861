"""The part of the results page on further tasks, from the files of ``results/``.

``benchmarks.experts``, ``benchmarks.tasks``, ``benchmarks.spread``, ``benchmarks.together``,
``benchmarks.reinforcement`` and ``benchmarks.many_networks`` write them.
"""

import json
from pathlib import Path
from statistics import mean, median
from typing import Any, NamedTuple

from benchmarks.results import GROUPS, Share, read_task
from benchmarks.results_tables import (
    MISSING,
    Row,
    markdown_table,
    method_name,
    write_number,
    write_share,
)
from benchmarks.targets import Target, write_reasons

# Of direct cloning's success.
OF_CLONED = {"PegInsertionSide-v1": 0.9, "digits": 0.99, "mnist": 0.99}
OF_CLONED_ELSEWHERE = 0.97
LOWEST_OF_ITS_CLONE = 0.9
TOGETHER_OF_CLONED = {"PegInsertionSide-v1": 0.85}  # of a common generator
TOGETHER_OF_CLONED_ELSEWHERE = 0.95
TOGETHER_LOWEST_OF_ITS_CLONE = 0.85
ADDED_SECONDS = 1800.0
ACCURACY = {"digits": 0.95, "mnist": 0.93}
RETURNS = {"gym:CartPole-v1": 475.0, "gym:Pendulum-v1": -250.0}
TRAINING_SECONDS = {"gym:CartPole-v1": 600.0}
EXPERT = 0.95
GHN_SHORT = "the hypernetwork's networks, which the zoo begins with, fall short too."
GENERATOR_SHORT = (
    "the hypernetwork asked again does better: it is the generator that has not learnt enough."
)
CLASSES_SHORT = (
    "generated networks are as accurate as the hypernetwork's, which the zoo begins with; tasks "
    "with classes do not train the generator on the cloning loss."
)
ADDED_SHORT = "it was added in {added} steps; its own generator had {own}."
LOWEST_SHORT = "its lowest network has {:.2f}, that of the task's own generator {:.2f}."
SHORT_SOURCES = ("sample", "ghn", "cloned")
TASKS_HEAD = """Networks of the 12 held-out shapes within the trained range of widths and depths,
three samples of each: success_once of tasks of ManiSkill, accuracy on examples that were kept back,
or the share of episodes that reach Gymnasium's threshold; beside them one network of each shape of
the hypernetwork and one that is cloned directly for 8,000 steps, in the same episodes. Made by
`python -m benchmarks.tasks TASK` and the words of the last column, with the parameters of
[params.yaml](../params.yaml) where no profile is named. *Weights alone*: the generator was not
trained on the cloning loss, as those of tasks with classes never are. *Lowest / its clone*: of
single generated networks, beside the cloned one of the same shape.
"""
TOGETHER_HEAD = """One generator for all of these tasks, beside one generator for each, asked for
the same shapes in the same episodes; shapes that the zoo of any task has are left out. Three of
mnist's, 80,48, 32,64,96 and 48,48,80, are held out of its own training alone: hypernetworks of
other tasks may have written such shapes while they learnt, for those tasks. A task that
was added has been learnt from its zoo alone by the generator of the others, which gives these the
very networks that it gave before: all were asked for again and compared bit by bit. Both learn from
weights and, of tasks with actions, from demonstrations.
The file has {megabytes:.1f} MB; training took {minutes} minutes. Made by `{command}`.
"""
NEW_SHAPES_HEAD = """The shapes above were looked at while the method was being made. These were
drawn by a seed, four of each kind and none that a training had, and nothing was chosen by them
(some were run on PushCube-v1 before): one sample of each, 100 episodes a network. Made by `nnit
sample` and `nnit rollout` with [profiles/new_shapes.yaml](../profiles/new_shapes.yaml), as
[benchmarks/new_shapes.py](../benchmarks/new_shapes.py) says.
"""
NEW_SHAPES_SOURCES = ("sample", "ghn", "ghn-grown", "cloned")
SPREAD_HEAD = """The whole pipeline with several seeds, the generator in both precisions: one sample
of each of the 24 held-out shapes, success with its interval and the lowest network. Then, of the
generator of `benchmarks.tasks`, success of the 12 held-out shapes within the trained range by the
steps of the sampler, and of 16 samples of one shape. Made by `python -m benchmarks.spread TASK` and
the words in [results/spread](../results/spread).
"""
REINFORCEMENT_HEAD = """The hypernetwork learns by PPO over architectures; its networks then act
deterministically. Return per episode, mean over shapes and episodes. Made by
`python -m benchmarks.reinforcement TASK --profile FILE`; the profile is named in each file of
[results/reinforcement](../results/reinforcement).
"""
MANY_HEAD = """What policies add to the simulator's own time, when networks of mixed shapes are
evaluated: the second time is that of the same episodes with the actions replayed from memory,
without any network. A ratio below 1 says that the difference is smaller than the scatter of the
runs. Made by `python -m benchmarks.many_networks SAMPLES
results/many_networks.json`.
"""


def read_reports(folder: Path) -> list[dict[str, Any]]:
    """Return what the files of a folder hold, in the order of their names."""
    return [json.loads(file.read_text()) for file in sorted(folder.glob("*.json"))]


def read_report(file: Path) -> dict[str, Any] | None:
    """Return what a file holds; None where it is not there."""
    return json.loads(file.read_text()) if file.exists() else None


def write_success(success: dict[str, Any] | None) -> str:
    """Write a mean success with its interval."""
    if success is None:
        return MISSING
    low, high = success["interval_95"]
    return f"{success['success_once']:.3f} [{low:.3f}, {high:.3f}]"


def tasks_table(reports: list[dict[str, Any]], experts: dict[str, Any]) -> str:
    """Write success on each task, beside its expert's."""
    rows = []
    for report in reports:
        sources, task = report["sources"], report["task"]
        generated = sources["sample"]
        rows.append(
            [
                task,
                write_number(experts.get(task, {}).get("success_once", {}).get("share")),
                *(write_success(sources.get(name)) for name in SHORT_SOURCES),
                f"{generated['lowest']:.2f} ({generated['lowest_shape']})",
                write_number(report["of_cloned"]),
                write_number(report.get("lowest_of_its_clone")),
                how_trained(report),
                further_words(report),
            ]
        )
    head = ["task", "expert", "generated", "GHN asked again", "cloned directly", "lowest generated"]
    head += ["generated / cloned", "lowest / its clone", "generator learns from", "made with"]
    return markdown_table(head, rows)


def how_trained(report: dict[str, Any]) -> str:
    """Say what the generator of a report was held to; earlier reports don't mention it."""
    inputs = report.get("generator", {}).get("inputs", ())
    held = any(name.startswith("demos") for name in inputs)
    return "weights, demonstrations" if held else "weights alone"


def further_words(report: dict[str, Any]) -> str:
    """Return what stands behind the task in the command that made a report."""
    words = report["command"].partition(report["task"])[2].strip()
    return f"`{words}`" if words else ""


def new_shapes_table(results: Path) -> str:
    """Write success on shapes that were drawn for a second look; empty where nothing was run."""
    rows = []
    for folder in sorted(results.glob("*")):
        task = read_task(folder)
        for group in (group for group in GROUPS if task.select("sample", group)):
            shares = [task.share(source, group) for source in NEW_SHAPES_SOURCES]
            rows.append([task.task, GROUPS[group], *map(write_lowest, shares)])
    head = ["task", "held out as", *map(method_name, NEW_SHAPES_SOURCES)]
    return markdown_table(head, rows) if rows else ""


def write_lowest(share: Share | None) -> str:
    """Write a share with its interval and the lowest shape's."""
    return f"{write_share(share, 1)}, lowest {share.lowest:.2f}" if share else "-"


def write_with_lowest(success: dict[str, Any]) -> str:
    """Write a mean success with its interval and the lowest network's."""
    return f"{write_success(success)}, lowest {success['lowest']:.2f}"


def seeds_table(reports: list[dict[str, Any]]) -> str:
    """Write success by kind of shape for each seed and precision; empty where none was run."""
    rows = []
    for report in reports:
        for one in report["seeds"]:
            rows += [
                [report["task"], str(one["seed"]), name, *map(write_with_lowest, by_kind.values())]
                for name, by_kind in one.items()
                if name not in ("seed", "seconds")
            ]
    head = [
        "task",
        "seed",
        "precision",
        *(GROUPS[name] for name in ("unseen_combo", "unseen_width")),
    ]
    return markdown_table([*head, "wider", "deeper"], rows) if rows else ""


def steps_table(reports: list[dict[str, Any]]) -> str:
    """Write success by the number of the sampler's steps."""
    rows = [[one["task"], *map(write_with_lowest, one["steps"].values())] for one in reports]
    head = ["task", *(f"{steps} steps" for steps in reports[0]["steps"])]
    return markdown_table(head, rows)


def samples_table(reports: list[dict[str, Any]]) -> str:
    """Write success of many samples of one shape."""
    rows = [
        [one["task"], shape, str(len(shares)), f"{min(shares):.3f}", f"{mean(shares):.3f}"]
        for one in reports
        for shape, shares in one["samples_of_a_shape"].items()
    ]
    return markdown_table(["task", "shape", "samples", "lowest", "mean"], rows)


def together_head(report: dict[str, Any]) -> str:
    """Say what the common generator is and what it took."""
    minutes = round(report["seconds"]["generator"] / 60)
    return TOGETHER_HEAD.format(
        command=report["command"], megabytes=report["bytes"] / 1e6, minutes=minutes
    )


def together_table(report: dict[str, Any]) -> str:
    """Write success of the common generator beside that of each task's own."""
    rows = [
        [
            f"{task}, added" if task in report["added"] else task,
            write_success(one["together"]),
            write_success(one["alone"]),
            write_number(one["of_alone"]),
            write_number(one["of_cloned"]),
            write_number(one["lowest_of_its_clone"]),
        ]
        for task, one in report["tasks"].items()
    ]
    head = ["task", "one generator for all", "its own", "all / own"]
    return markdown_table([*head, "all / cloned", "lowest / its clone"], rows)


def reinforcement_table(reports: list[dict[str, Any]]) -> str:
    """Write the returns that networks of trained and of held-out shapes reach."""
    rows = []
    for report in reports:
        shapes, curve = report["shapes"], report["curve"]
        returns = [f"{shapes[name]['return_mean']:.1f}" for name in ("trained", "held_out", "all")]
        rows.append(
            [
                report["task"],
                *returns,
                write_success(shapes["all"]),
                f"{curve[0][1]:.1f} to {curve[-1][1]:.1f}",
                f"{report['seconds']['ghn']:.0f}",
            ]
        )
    head = ["task", "trained shapes", "held-out shapes", "all", "success, all"]
    return markdown_table([*head, "return while exploring", "seconds of training"], rows)


class Judged(NamedTuple):
    """A figure that is held against a bound."""

    target: Target
    measured: float | None  # None: not measured

    @property
    def row(self) -> Row:
        """The row of the table."""
        return [self.target.text, self.target.bound(), self.target.judge(self.measured)]

    @property
    def missed(self) -> bool:
        """Whether the bound is not met."""
        return self.measured is not None and not self.target.met(self.measured)


def judged(
    text: str,
    measured: float | None,
    *,
    least: float | None = None,
    most: float | None = None,
    why: str = "",
) -> Judged:
    """Hold a figure against a bound; ``why`` is what is known of why it is missed, if it is."""
    return Judged(Target(text, lambda _: measured, at_least=least, at_most=most, why=why), measured)


def targets_part(targets: list[Judged]) -> list[str]:
    """Write the table of targets, and why some are missed; nothing where there are none."""
    if not targets:
        return []
    table = markdown_table(["target", "bound", "measured"], [one.row for one in targets])
    missed = ((f"*{one.target.text}*", one.target.why) for one in targets if one.missed)
    return ["## Targets of further tasks\n", table, write_reasons(missed)]


def why_short(report: dict[str, Any]) -> str:
    """Say why networks fall short of direct cloning, by what other methods reach."""
    reached = {name: success["success_once"] for name, success in report["sources"].items()}
    if report["task"] in ACCURACY:
        return CLASSES_SHORT
    return GHN_SHORT if reached.get("ghn", 1) < reached["sample"] else GENERATOR_SHORT


def added_short(together: dict[str, Any], one: dict[str, Any]) -> str:
    """Say with how much training a task was added, and how much its own generator had."""
    return ADDED_SHORT.format(
        added=f"{together['added_steps']:,}", own=f"{one['generator_alone']['steps']:,}"
    )


def judge_together(report: dict[str, Any]) -> list[Judged]:
    """Hold the common generator against what was asked of it."""
    rows = []
    for task, one in report["tasks"].items():
        name = f"{task}, one generator for all"
        why = added_short(report, one) if task in report["added"] else ""
        shares = (
            ("a share of its own", one["of_alone"], OF_CLONED_ELSEWHERE),
            (
                "a share of direct cloning's",
                one["of_cloned"],
                TOGETHER_OF_CLONED.get(task, TOGETHER_OF_CLONED_ELSEWHERE),
            ),
            (
                "the lowest network as a share of its clone",
                one["lowest_of_its_clone"],
                TOGETHER_LOWEST_OF_ITS_CLONE,
            ),
        )
        lowest = (one["together"]["lowest"], one["alone"]["lowest"])
        why = why or LOWEST_SHORT.format(*lowest)
        rows += [judged(f"{name}: {text}", value, least=b, why=why) for text, value, b in shares]
    if report["added"]:
        known = [one for task, one in report["tasks"].items() if task not in report["added"]]
        text = f"tasks whose networks change when {', '.join(report['added'])} is added"
        rows.append(judged(text, sum(not one["unchanged"] for one in known), most=0))
        text = f"seconds to add {', '.join(report['added'])}"
        rows.append(judged(text, report["seconds"]["generator-added"], most=ADDED_SECONDS))
    return rows


def judge_all(
    reports: list[dict[str, Any]],
    together: dict[str, Any] | None,
    many: dict[str, Any] | None,
    learned: list[dict[str, Any]],
    experts: dict[str, Any],
) -> list[Judged]:
    """Hold what was measured against what was asked for."""
    rows = []
    if experts:
        shares = {task: one["success_once"]["share"] for task, one in experts.items()}
        lowest = min(shares, key=lambda task: shares[task])
        text = f"success of the expert, the lowest of {len(shares)} tasks ({lowest})"
        rows.append(judged(text, shares[lowest], least=EXPERT))
    for report in reports:
        task = report["task"]
        bound = OF_CLONED.get(task, OF_CLONED_ELSEWHERE)
        text = f"{task}: success as a share of direct cloning's"
        rows.append(judged(text, report["of_cloned"], least=bound, why=why_short(report)))
        if (lowest := report.get("lowest_of_its_clone")) is not None:
            text = f"{task}: lowest generated network, as a share of its clone"
            rows.append(judged(text, lowest, least=LOWEST_OF_ITS_CLONE, why=why_short(report)))
        if task in ACCURACY:
            accuracy = report["sources"]["sample"]["success_once"]
            rows.append(judged(f"{task}: accuracy", accuracy, least=ACCURACY[task]))
    rows += judge_together(together) if together else []
    for report in learned:
        task, measured = report["task"], report["shapes"]["all"]["return_mean"]
        if task in RETURNS:
            text = f"{task}: mean return of the hypernetwork trained by reinforcement"
            rows.append(judged(text, measured, least=RETURNS[task]))
        if task in TRAINING_SECONDS:
            text = f"{task}: seconds of training"
            rows.append(judged(text, report["seconds"]["ghn"], most=TRAINING_SECONDS[task]))
    if many is not None:
        text = "evaluation of many networks, to the simulator's own time"
        rows.append(judged(text, many["ratio"], most=1.15))
    return rows


def many_table(report: dict[str, Any]) -> str:
    """Write the time of evaluating many networks beside the simulator's own."""
    medians = [f"{median(report['seconds'][name]):.1f}" for name in ("evaluated", "replayed")]
    size = f"{report['networks']} of {report['shapes']} shapes, {report['episodes']} episodes each"
    row = [report["task"], size, str(report["workers"]), *medians, f"{report['ratio']:.3f}"]
    head = ["task", "networks", "processes", "seconds", "of the simulator alone", "ratio"]
    return markdown_table(head, [row])


def read_tasks(results: Path) -> list[dict[str, Any]]:
    """Return what was measured of each further task."""
    return [one for one in read_reports(results / "tasks") if "sources" in one]


def short_tasks_table(results: Path) -> str:
    """Write mean success on each further task, for the README."""
    rows = [
        [
            one["task"],
            *(write_success(one["sources"].get(name)) for name in SHORT_SOURCES),
            write_number(one["of_cloned"]),
        ]
        for one in read_tasks(results)
    ]
    head = ["task", "generated", "GHN asked again", "cloned directly", "generated / cloned"]
    return markdown_table(head, rows)


def other_tasks(results: Path) -> list[str]:
    """Return the parts of the page, none where nothing was measured."""
    reports = read_tasks(results)
    learned = read_reports(results / "reinforcement")
    spread = read_reports(results / "spread")
    together = read_report(results / "tasks" / "together.json")
    many = read_report(results / "many_networks.json")
    experts = (read_report(results / "experts.json") or {"tasks": {}})["tasks"]
    parts = []
    new_shapes = new_shapes_table(results / "new_shapes")
    if new_shapes:
        parts += ["## A second look\n", NEW_SHAPES_HEAD, new_shapes]
    parts += targets_part(judge_all(reports, together, many, learned, experts))
    if reports:
        parts += ["## Further tasks\n", TASKS_HEAD, tasks_table(reports, experts)]
    if spread:
        parts += ["## Seeds, precisions, steps and samples\n", SPREAD_HEAD, seeds_table(spread)]
        parts += [steps_table(spread), samples_table(spread)]
    if together:
        parts += ["## One generator, several tasks\n", together_head(together)]
        parts += [together_table(together)]
    if many:
        parts += ["## Many networks at once\n", MANY_HEAD, many_table(many)]
    if learned:
        parts += ["## Reinforcement learning\n", REINFORCEMENT_HEAD, reinforcement_table(learned)]
    return parts
