"""Write docs/results.md and its figures from the committed files of ``results/TASK/``.

    python -m benchmarks.results_page [RESULTS] [DOCS] [README]

The README's table, between its markers, is written too, where a README is named. A figure that
is not there is said to be not measured.
"""

import statistics
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.results import (
    GROUPS,
    REACH,
    Network,
    Share,
    TaskResults,
    farthest,
    median_loss,
    read_task,
    share_below,
    share_of,
)
from benchmarks.targets import BEYOND, HELD_OUT, TARGETS, WITHIN, unbeaten
from nnit.figures.canvas import png_bytes
from nnit.figures.success import Point, draw_success
from nnit.mlp import format_architecture
from stages.params import Params

TASKS = ("PushCube-v1", "PickCube-v1", "StackCube-v1")
METHODS = {  # source of a rollout -> what the page calls it
    "sample": "generated",
    "extrapolated": "generated as a whole, not grown",
    "ghn": "GHN asked again",
    "cloned": "cloned directly",
    "nearest": "nearest zoo network, cropped or padded",
    "average": "average of zoo networks",
    "noise": "zoo network plus noise",
    "flat": "flat-vector diffusion",
    "unaligned": "generated, unaligned zoo",
    "constant": "best constant action",
}
MISSING = "not measured"
MARKERS = ("<!-- results -->", "<!-- /results -->")
HEAD = """# Results

Made by `make results` from the files in `results/` that `make compare` writes; do not edit. A share
is the mean success_once over all episodes, [a, b] the wider of two 95 % intervals: Wilson's of all
episodes, and the bootstrap over architectures. Losses are cloning losses on demonstrations that
nothing was trained on. "cannot": the method has no way to write such a shape.
"""

Row = Sequence[str]


def markdown_table(head: Row, rows: Iterable[Row]) -> str:
    """Write a table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def write_share(share: Share | None, expected_shapes: int, source: str = "") -> str:
    """Write a share with its interval, and say where shapes are missing."""
    if share is None:
        return absent(source)
    text = f"{share.mean:.3f} [{share.interval.low:.3f}, {share.interval.high:.3f}]"
    return text + (
        f" ({share.shapes} of {expected_shapes})" if share.shapes < expected_shapes else ""
    )


def write_number(value: float | None, digits: int = 3) -> str:
    """Write a number, or that it was not measured."""
    return MISSING if value is None else f"{value:.{digits}f}"


def shapes_in(task: TaskResults, group: str) -> int:
    """Count the shapes that were asked for."""
    return len({network.hidden_dims for network in task.select("sample", group)})


def method_name(source: str) -> str:
    """Return what the page calls a source."""
    return METHODS.get(source, source)


def success_section(task: TaskResults) -> str:
    """Write success by kind for every method."""
    if not task.networks:
        return f"Success: {MISSING}.\n"
    groups = [group for group in GROUPS if shapes_in(task, group)]
    rows = []
    for source in [s for s in METHODS if s in task.sources] + [
        s for s in task.sources if s not in METHODS
    ]:
        if source == "constant":
            continue  # one network says all there is to say; it stands below the table
        cells = [write_share(task.share(source, g), shapes_in(task, g), source) for g in groups]
        worst = task.share(source, *HELD_OUT)
        low = f"{worst.lowest:.2f} ({format_architecture(worst.lowest_shape)})" if worst else "-"
        rows.append([method_name(source), *cells, low])
    head = ["method", *(f"{GROUPS[g]} ({shapes_in(task, g)} shapes)" for g in groups)]
    constant = share_of([n for n in task.networks if n.source == "constant"])
    said = MISSING if constant is None else write_share(constant, 1)
    return (
        markdown_table([*head, "lowest shape"], rows)
        + f"\nThe best constant action: {said}.\n"
        + rivals_line(task)
    )


def rivals_line(task: TaskResults) -> str:
    """Say where a baseline was not beaten with disjoint intervals."""
    found = unbeaten(task)
    if not found:
        return ""
    named = "; ".join(f"{method_name(source)}, {GROUPS[group]}" for source, group in found)
    return f"\nNot beaten with disjoint intervals: {named}.\n"


def seeds_section(task: TaskResults) -> str:
    """Write the headline: the samples' success for every training seed."""
    if not task.seeds:
        return f"Headline over training seeds: {MISSING}.\n"
    rows = []
    for group in GROUPS:
        shares = [
            share_of([n for n in networks if (n.source, n.group) == ("sample", group)])
            for networks in task.seeds.values()
        ]
        means = [share.mean for share in shares if share]
        if means:
            cells = [write_number(share.mean if share else None) for share in shares]
            spread = f"{min(means):.3f} to {max(means):.3f}"
            rows.append([GROUPS[group], *cells, f"{statistics.fmean(means):.3f}", spread])
    head = ["generated", *(f"seed {seed}" for seed in task.seeds), "mean", "range"]
    return markdown_table(head, rows)


def loss_section(task: TaskResults) -> str:
    """Write the cloning losses of samples, hypernetwork and direct cloning."""
    if all(network.loss is None for network in task.networks):
        return f"Cloning losses: {MISSING}.\n"
    rows = []
    for group in GROUPS:
        sets = [task.select(source, group) for source in ("sample", "ghn", "cloned")]
        if sets[0]:
            below = share_below(sets[0], sets[1])
            share = MISSING if below is None else f"{100 * below:.0f} %"
            losses = [write_number(median_loss(networks), 5) for networks in sets]
            rows.append([GROUPS[group], *losses, share])
    head = ["median over shapes", "generated", "GHN", "cloned", "shapes below the GHN"]
    return markdown_table(head, rows)


def limits_section(task: TaskResults) -> str:
    """Say how far it goes."""
    lines = []
    for source in ("sample", "ghn"):
        networks = [n for n in (*task.limits, *task.networks) if n.source == source]
        for deepest, word in ((False, "widest"), (True, "deepest")):
            found = farthest(networks, deepest=deepest) if task.limits else None
            if found is None:
                said = MISSING
            else:
                said = f"{format_architecture(found[0])}, success {write_share(found[1], 1)}"
            lines.append(
                f"- {word} network that still reaches {REACH:.2f}, {method_name(source)}: {said}"
            )
    return "\n".join(lines) + "\n"


def audit_section(task: TaskResults) -> str:
    """Write the audit's means over shapes, by kind."""
    groups = task.reports.get("audit", {}).get("groups", [])
    if not groups:
        return f"Audit: {MISSING}.\n"
    names = {
        "weight_ratio": "distance to the zoo, in weights",
        "action_ratio": "in actions",
        "novel_and_performs": "novel and performing",
        "weight_spread_ratio": "spread in weights",
        "action_spread_ratio": "in actions",
        "failure_iou": "agreement of failures",
        "ensemble_below_mean": "ensemble below mean",
        "ensemble_below_best": "ensemble below best",
    }
    rows = [
        [
            GROUPS.get(one["group"], one["group"]),
            *(write_number((one.get(name) or {}).get("mean"), 2) for name in names),
            f"{one['alarmed']} of {one['samples']}",
        ]
        for one in groups
    ]
    return markdown_table(["kind", *names.values(), "alarms"], rows)


def alignment_section(task: TaskResults) -> str:
    """Write how aligned the networks of each kind of zoo are."""
    zoos = task.reports.get("alignment", {}).get("zoos", [])
    if not zoos:
        return f"Alignment: {MISSING}.\n"
    rows = []
    for zoo in zoos:
        same = zoo.get("same_shape") or {}
        cells = [
            (same.get("by_weights") or {}).get("mean"),
            (same.get("by_activations") or {}).get("mean"),
            same.get("chance"),
            ((zoo.get("line") or {}).get("relative") or {}).get("mean"),
            ((zoo.get("line_matched") or {}).get("relative") or {}).get("mean"),
        ]
        rows.append([zoo["label"], *(write_number(cell, 2) for cell in cells)])
    head = [
        "zoo",
        "index kept, by weights",
        "by activations",
        "by chance",
        "barrier (relative)",
        "barrier after matching",
    ]
    return markdown_table(head, rows)


def frontier_section(task: TaskResults) -> str:
    """Write what the frontier takes and how well it agrees with cloning."""
    names = {
        "shapes": "shapes",
        "frontier_s": "seconds",
        "cloning_s": "seconds of cloning and evaluating the same shapes",
        "speed_up": "times as fast",
        "difference_mean": "mean difference of success",
    }
    rows = [
        [text, write_number(task.number("frontier_speed", name), 3 if "mean" in name else 1)]
        for name, text in names.items()
    ]
    return markdown_table(["frontier", ""], rows)


def architectures_section(task: TaskResults) -> str:
    """Write how generated architectures compare with the zoo's."""
    sets = task.reports.get("architectures", {})
    if not sets:
        return f"Generated architectures: {MISSING}.\n"
    names = {"samples-architectures": "no bounds", "samples-bounded": "2 layers, 20,000 parameters"}
    counted = ("generated", "different", "valid", "within_bounds")
    rows = [
        [
            names.get(name, name),
            *(str(one[key]) for key in counted),
            *(write_number(one[key]["p"], 2) for key in ("depth", "width")),
        ]
        for name, one in sets.items()
    ]
    head = ["bounds", "generated", "different", "valid", "within bounds"]
    return markdown_table([*head, "p of depths", "p of widths"], rows)


def seconds_section(task: TaskResults) -> str:
    """Write the seconds of every stage."""
    rows = [
        [
            name.removeprefix("seconds/"),
            f"{report['seconds']:.0f}",
            write_number(report.get("processor_s"), 0),
            str(report.get("cores", "")),
        ]
        for name, report in task.reports.items()
        if name.startswith("seconds/")
    ]
    if not rows:
        return f"Seconds of the stages: {MISSING}.\n"
    cloning = task.number("metrics/rollout", "clone_s_mean")
    return (
        markdown_table(["stage", "seconds", "processor seconds", "cores"], rows)
        + f"\nCloning one network directly: {write_number(cloning, 1)} seconds.\n"
    )


SECTIONS = {  # title -> what writes it, and the command that made its figures
    "Success": (success_section, "nnit rollout samples --also LABEL=PATH --loss-demos demos-fresh"),
    "Three training seeds": (seeds_section, "nnit rollout samples-seed-N"),
    "Cloning loss": (loss_section, "nnit rollout --loss-demos demos-fresh"),
    "How far it goes": (limits_section, "nnit sample --arch ... && nnit rollout samples-limits"),
    "Audit": (audit_section, "nnit audit samples"),
    "Alignment": (alignment_section, "nnit align-report cnn=zoo pointwise=zoo-pointwise ..."),
    "Frontier": (frontier_section, "nnit frontier --model generator"),
    "Generated architectures": (architectures_section, "nnit sample -n 400"),
    "Seconds": (seconds_section, "make compare"),
}  # fmt: skip


def verdict_rows(task: TaskResults) -> list[Row]:
    """Hold every target that is meant for the task against what was measured."""
    rows = []
    for target in TARGETS:
        if target.only and task.task not in target.only:
            continue
        measured = target.measure(task)
        figure = MISSING if measured is None else f"{measured:.4g}"
        verdict = "-" if measured is None else "met" if target.met(measured) else "**missed**"
        rows.append([target.text, target.bound(), figure, verdict])
    return rows


def page(tasks: Sequence[TaskResults]) -> str:
    """Write the page."""
    parts = [HEAD, "## Targets\n"]
    for task in tasks:
        rows = verdict_rows(task)
        parts += [f"### {task.task}\n", markdown_table(["target", "bound", "measured", ""], rows)]
    parts += [
        "## Figures\n",
        "![success by width](figures/success_by_width.png)\n",
        "![success by depth](figures/success_by_depth.png)\n",
    ]
    for task in tasks:
        parts.append(f"## {task.task}\n")
        for title, (write, command) in SECTIONS.items():
            parts += [f"### {title}, {task.task}\n", write(task), f"Made by `{command}`.\n"]
    return "\n".join(parts)


def points(networks: Sequence[Network], *, depth: bool) -> dict[str, list[Point]]:
    """Return the points of a figure: networks of one method and size together."""
    sizes: dict[tuple[str, int], list[Network]] = {}
    for network in networks:
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
        shares = [task.share(source, *groups) for task in measured for groups in halves.values()]
        if source != "constant" and any(shares):
            rows.append([method_name(source), *(short_share(share, source) for share in shares)])
    head = [f"{task.task}, {half}" for task in measured for half in halves]
    return markdown_table(["method", *head], rows)


def absent(source: str) -> str:
    """Say why a method has no networks; within the trained range nothing is to be extrapolated."""
    return "as generated" if source == "extrapolated" else "cannot"


def short_share(share: Share | None, source: str) -> str:
    """Write a share with its interval in as few characters as may be."""
    if share is None:
        return absent(source)
    return f"{share.mean:.2f} [{share.interval.low:.2f}, {share.interval.high:.2f}]"


def put_between_markers(text: str, table: str) -> str:
    """Return a README with its table replaced.

    Raises:
        ValueError: the markers are not there, once each.
    """
    before, found, rest = text.partition(MARKERS[0])
    _, found_end, after = rest.partition(MARKERS[1])
    if not found or not found_end:
        raise ValueError(f"the README has no {' ... '.join(MARKERS)}")
    return f"{before}{MARKERS[0]}\n{table}{MARKERS[1]}{after}"


def write_page(results: Path, docs: Path, readme: Path | None = None) -> None:
    """Read all tasks and write the page, its figures, and the table of the README."""
    tasks = [read_task(results / task) for task in TASKS]
    if readme is not None:
        readme.write_text(put_between_markers(readme.read_text(), summary_table(tasks)))
    (docs / "figures").mkdir(parents=True, exist_ok=True)
    (docs / "results.md").write_text(page(tasks))
    for name, data in figures(tasks).items():
        (docs / "figures" / name).write_bytes(data)


if __name__ == "__main__":
    write_page(
        Path(sys.argv[1] if len(sys.argv) > 1 else "results"),
        Path(sys.argv[2] if len(sys.argv) > 2 else "docs"),
        Path(sys.argv[3]) if len(sys.argv) > 3 else None,
    )
