"""Write docs/results.md and its figures from the committed files of ``results/``.

    python -m benchmarks.results_page [RESULTS] [DOCS] [README]

The README's table, between its markers, is written too, where a README is named. What was not
measured is said to be not measured.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.other_tasks import other_tasks, short_tasks_table
from benchmarks.results import Network, Share, TaskResults, read_task, share_of
from benchmarks.results_tables import METHODS, SECTIONS, Row, absent, markdown_table, method_name
from benchmarks.targets import BEYOND, TARGETS, WITHIN, Target, write_reasons
from nnit.figures.canvas import png_bytes
from nnit.figures.success import Point, draw_success
from stages.params import Params

TASKS = ("PushCube-v1", "PickCube-v1", "StackCube-v1")
HEAD = """# Results

Made by `make results` from the files in `results/` that `make compare` writes; do not edit. A share
is the mean success_once over all episodes, [a, b] its 95 % interval: Wilson's, of at most as many
trials as there are initial states, which all networks share (`nnit/intervals.py`). Losses are
cloning losses on demonstrations that nothing was trained on. "cannot": the method has no way to
write such a shape. "grown": the
hypernetwork is asked for a shape within the trained range, which is then enlarged as the
generator's networks are. "generated": by a generator that learnt from weights alone; "trained to
clone too": by one that was also held to the demonstrations (`nnit diffuse-train --demos`), as that
of `make repro` is. All but further tasks is of the version before the hypernetwork wrote networks
of full rank (CHANGELOG.md): `make compare` makes it again.

## Targets

What was measured, and whether it meets the bound; "-": not measured. Success of the generated
networks, and how they compare with the hypernetwork's, is the mean over the training seeds, each of
which has a hypernetwork, a zoo and a generator of its own, on the same demonstrations; the lowest
shape is that of any seed. All else is of the first seed.
"""


def verdict(target: Target, task: TaskResults) -> str:
    """Hold a target against what was measured of a task; empty where it is not meant for it."""
    if target.only and task.task not in target.only:
        return ""
    return target.judge(target.measure(task))


def target_rows(tasks: Sequence[TaskResults]) -> list[Row]:
    """Hold every target against every task."""
    return [
        [target.text, target.bound(), *(verdict(target, task) for task in tasks)]
        for target in TARGETS
    ]


def reasons(tasks: Sequence[TaskResults]) -> str:
    """Say why targets are missed, where that is known."""
    missed = []
    for target in TARGETS:
        names = [task.task for task in tasks if "missed" in verdict(target, task)]
        if names:
            missed.append((f"*{target.text}* ({', '.join(names)})", target.why))
    return write_reasons(missed)


def task_part(task: TaskResults) -> list[str]:
    """Write all that was measured of a task, and name what was not."""
    parts, missing = [f"## {task.task}\n"], []
    for section in SECTIONS:
        text = section.write(task)
        if text:
            title = f"### {section.title}, {task.task}\n"
            parts += [title, text, f"Made by `{section.command}`.\n"]
        else:
            missing.append(f"{section.title.lower()} (`{section.command}`)")
    if missing:
        parts.append(f"Not measured: {'; '.join(missing)}.\n")
    return parts


def page(tasks: Sequence[TaskResults], more: Sequence[str] = ()) -> str:
    """Write the page: the comparison, then further parts."""
    head = ["target", "bound", *(task.task for task in tasks)]
    parts = [
        HEAD,
        markdown_table(head, target_rows(tasks)),
        reasons(tasks),
        "## Figures\n",
        "![success by width](figures/success_by_width.png)\n",
        "![success by depth](figures/success_by_depth.png)\n",
        *(part for task in tasks for part in task_part(task)),
        *more,
    ]
    return "\n".join(part for part in parts if part)


def points(networks: Sequence[Network], *, depth: bool) -> dict[str, list[Point]]:
    """Return the points of a figure: networks of one method and size together."""
    sizes: dict[tuple[str, int], list[Network]] = {}
    other = ("wider-1.5", "wider-2") if depth else ("deeper",)  # of the other figure
    for network in networks:
        if network.group in other:
            continue
        size = len(network.hidden_dims) if depth else max(network.hidden_dims)
        sizes.setdefault((method_name(network.source), size), []).append(network)
    lines: dict[str, list[Point]] = {}
    for (method, size), same in sizes.items():
        share = share_of(same)
        if share and method != METHODS["constant"]:
            lines.setdefault(method, []).append(Point(size, share.mean, *share.interval))
    return lines


def figures(tasks: Sequence[TaskResults]) -> dict[str, bytes]:
    """Draw success against width and depth."""
    drawn, limits = {}, Params().architectures
    trained = {
        False: (limits.widths_min, limits.widths_max),
        True: (limits.depth_min, limits.depth_max),
    }
    for name, depth in (("success_by_width.png", False), ("success_by_depth.png", True)):
        panels = {
            task.task: points((*task.networks, *task.limits), depth=depth)
            for task in tasks
            if task.networks
        }
        label = "hidden layers" if depth else "units of the widest layer"
        drawn[name] = png_bytes(
            draw_success(panels, label, octaves=not depth, trained=trained[depth])
        )
    return drawn


def summary_table(tasks: Sequence[TaskResults]) -> str:
    """Write success of every method on every task, within the trained range and beyond it."""
    measured = [task for task in tasks if task.networks]
    halves = {"within": WITHIN, "beyond": BEYOND}
    rows = []
    for source in METHODS:
        shares = [
            (task, task.share(source, *groups)) for task in measured for groups in halves.values()
        ]
        if source != "constant" and any(share for _, share in shares):
            cells = [
                short_share(share) if share else absent(task, source) for task, share in shares
            ]
            rows.append([method_name(source), *cells])
    head = [f"{task.task}, {half}" for task in measured for half in halves]
    return markdown_table(["method", *head], rows)


def short_share(share: Share) -> str:
    """Write a share with its interval in as few characters as may be."""
    return f"{share.mean:.2f} [{share.interval.low:.2f}, {share.interval.high:.2f}]"


def put_between_markers(text: str, table: str, name: str = "results") -> str:
    """Return a README with the table of a name replaced.

    Raises:
        ValueError: the markers are not there, once each.
    """
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    before, found, rest = text.partition(begin)
    _, found_end, after = rest.partition(end)
    if not found or not found_end:
        raise ValueError(f"the README has no {begin} ... {end}")
    return f"{before}{begin}\n{table}{end}{after}"


def write_page(results: Path, docs: Path, readme: Path | None = None) -> None:
    """Read all tasks and write the page, its figures, and the table of the README."""
    tasks = [read_task(results / task) for task in TASKS]
    if readme is not None:
        compared = docs / "comparison.md"
        compared.write_text(put_between_markers(compared.read_text(), summary_table(tasks)))
        table = short_tasks_table(results)
        readme.write_text(put_between_markers(readme.read_text(), table, "tasks"))
    (docs / "figures").mkdir(parents=True, exist_ok=True)
    (docs / "results.md").write_text(page(tasks, other_tasks(results)))
    for name, data in figures(tasks).items():
        (docs / "figures" / name).write_bytes(data)


if __name__ == "__main__":
    write_page(
        Path(sys.argv[1] if len(sys.argv) > 1 else "results"),
        Path(sys.argv[2] if len(sys.argv) > 2 else "docs"),
        Path(sys.argv[3]) if len(sys.argv) > 3 else None,
    )
