"""The tables of the results page: what was measured of one task, section by section.

A section of which nothing was measured is empty; a figure that is not there is said to be not
measured.
"""

import statistics
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from benchmarks.results import (
    GROUPS,
    REACH,
    Share,
    TaskResults,
    farthest,
    median_loss,
    share_below,
    share_of,
)
from benchmarks.targets import HELD_OUT, WITHIN, unbeaten
from nnit.alignment.smoothness import AXES
from nnit.mlp import format_architecture

METHODS = {  # source of a rollout -> what the page calls it
    "sample": "generated",
    "extrapolated": "generated as a whole, not grown",
    "cloning": "generated, trained to clone too",
    "ghn": "GHN asked again",
    "ghn-grown": "GHN asked again, grown",
    "cloned": "cloned directly",
    "nearest": "nearest zoo network, cropped or padded",
    "average": "average of zoo networks",
    "noise": "zoo network plus noise",
    "flat": "flat-vector diffusion",
    "unaligned": "generated, unaligned zoo",
    "constant": "best constant action",
}
LOSS_SOURCES = {
    "sample": "generated",
    "cloning": "trained to clone too",
    "ghn": "GHN",
    "cloned": "cloned",
}
SEED_SOURCES = ("sample", "ghn", "ghn-grown")
SMOOTHNESS_COLUMNS = {  # what the page calls a place -> block, lag
    "middle layers, neighbours (units shuffled)": (1, 1),
    "four apart": (1, 4),
    "neighbouring means of 4 x 4": (4, 1),
}
MISSING = "not measured"

Row = Sequence[str]


def markdown_table(head: Row, rows: Iterable[Row]) -> str:
    """Write a table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def absent(task: TaskResults, source: str) -> str:
    """Say why a method has no networks; within the trained range nothing is grown or not."""
    if source not in task.sources:
        return "not run"
    return {"extrapolated": "as generated", "ghn-grown": "as asked again"}.get(source, "cannot")


def write_share(share: Share, expected_shapes: int) -> str:
    """Write a share with its interval, and say where shapes are missing."""
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
        return ""
    groups = [group for group in GROUPS if shapes_in(task, group)]
    rows = []
    for source in [s for s in METHODS if s in task.sources] + [
        s for s in task.sources if s not in METHODS
    ]:
        if source == "constant":
            continue  # one network says all there is to say; it stands below the table
        shares = {g: task.share(source, g) for g in groups}
        cells = [
            write_share(share, shapes_in(task, g)) if share else absent(task, source)
            for g, share in shares.items()
        ]
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
    """Write the headline: success for every training seed; nothing where there is one alone."""
    if len(task.seeds) < 2:
        return ""
    rows = []
    for source in SEED_SOURCES:
        for group in GROUPS:
            shares = [one.share(source, group) for one in task.each_seed]
            known = [share for share in shares if share]
            if known:
                cells = [write_number(share.mean if share else None) for share in shares]
                worst = min(known, key=lambda share: share.lowest)
                lowest = f"{worst.lowest:.2f} ({format_architecture(worst.lowest_shape)})"
                mean = f"{statistics.fmean(share.mean for share in known):.3f}"
                rows.append([method_name(source), GROUPS[group], *cells, mean, lowest])
    seeds = [f"seed {seed}" for seed in task.seeds]
    head = ["method", "held out as", *seeds, "mean", "lowest shape of any seed"]
    return markdown_table(head, rows) if rows else ""


def loss_section(task: TaskResults) -> str:
    """Write the cloning losses of samples, hypernetwork and direct cloning."""
    if all(network.loss is None for network in task.networks):
        return ""
    rows = []
    for group in GROUPS:
        sets = [task.select(source, group) for source in LOSS_SOURCES]
        if sets[0]:
            below = share_below(sets[0], task.select("ghn", group))
            share = MISSING if below is None else f"{100 * below:.0f} %"
            losses = [write_number(median_loss(networks), 5) for networks in sets]
            rows.append([GROUPS[group], *losses, share])
    head = ["median over shapes", *LOSS_SOURCES.values(), "generated ones below the GHN"]
    return markdown_table(head, rows)


def limits_section(task: TaskResults) -> str:
    """Say how far it goes. Within the trained range every network is generated as a whole."""
    if not task.limits:
        return ""
    within = [n for n in task.networks if n.source == "sample" and n.group in WITHIN]
    lines = []
    for source in ("extrapolated", "ghn"):
        networks = [n for n in (*task.limits, *task.networks) if n.source == source]
        networks += within if source == "extrapolated" else []
        for deepest, word in ((False, "widest"), (True, "deepest")):
            found = farthest(networks, deepest=deepest)
            said = (
                f"{format_architecture(found[0])}, success {write_share(found[1], 1)}"
                if found
                else "none"
            )
            lines.append(
                f"- {word} network that still reaches {REACH:.2f}, {method_name(source)}: {said}"
            )
    return "\n".join(lines) + "\n"


def audit_section(task: TaskResults) -> str:
    """Write the audit's means over shapes, by kind.

    In the end those of eight samples a shape, and of the generator that clones too.
    """
    groups = task.reports.get("audit", {}).get("groups", [])
    if not groups:
        return ""
    further = {"audit-eight": "eight samples a shape", "audit-cloning": METHODS["cloning"]}
    groups = [
        *groups,
        *(
            {**one, "group": f"all, {what}"}
            for name, what in further.items()
            for one in task.reports.get(name, {}).get("groups", [])
            if one["group"] == "all"
        ),
    ]
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
        return ""
    any_ranks = any(zoo.get("ranks") for zoo in zoos)  # since schema 2 of the report
    rows = []
    for zoo in zoos:
        same = zoo.get("same_shape") or {}
        across = zoo.get("across_widths") or {}
        cells = [
            (same.get("by_weights") or {}).get("mean"),
            (same.get("by_activations") or {}).get("mean"),
            same.get("chance"),
            (across.get("by_activations") or {}).get("mean"),
            ((zoo.get("line") or {}).get("relative") or {}).get("mean"),
            ((zoo.get("line_matched") or {}).get("relative") or {}).get("mean"),
        ]
        if any_ranks:
            cells.append(rank_share(zoo.get("ranks") or []))
        rows.append([zoo["label"], *(write_number(cell, 2) for cell in cells)])
    head = [
        "zoo",
        "index kept, by weights",
        "by activations",
        "by chance",
        "by activations, from width to width",
        "barrier (relative)",
        "barrier after matching",
        *["rank of layers between hidden ones, over the largest"] * any_ranks,
    ]
    return markdown_table(head, rows)


def rank_share(ranks: list[dict[str, Any]]) -> float | None:
    """Return the mean share of singular values that hold 99 % of the energy, None of no layer."""
    between = [rank for rank in ranks if 1 < rank["layer"] <= len(rank["hidden_dims"])]
    shares = [rank["values"] / rank["largest"] for rank in between]
    return sum(shares) / len(shares) if shares else None


def smoothness_section(task: TaskResults) -> str:
    """Write how alike weights at a distance are, and those of the same network shuffled."""
    zoos = task.reports.get("alignment", {}).get("zoos", [])
    rows = [
        [
            zoo["label"],
            axis,
            *(write_smoothness(zoo["smoothness"], axis, *at) for at in SMOOTHNESS_COLUMNS.values()),
        ]
        for zoo in zoos
        for axis in AXES
        if zoo.get("smoothness")
    ]
    return markdown_table(["zoo", "along", *SMOOTHNESS_COLUMNS], rows) if rows else ""


def write_smoothness(spots: list[dict[str, Any]], axis: str, block: int, lag: int) -> str:
    """Write the autocorrelation of middle layers at a distance, and that of shuffled ones."""
    wanted = {"role": "middle", "axis": axis, "block": block, "lag": lag}
    for spot in spots:
        if wanted.items() <= spot.items():
            values = [(spot[name] or {}).get("mean") for name in ("autocorrelation", "shuffled")]
            return "{} ({})".format(*(write_number(value, 2) for value in values))
    return MISSING


def frontier_section(task: TaskResults) -> str:
    """Write what the frontier answers, what it takes, and how well it agrees with cloning."""
    names = {
        "shapes": (("metrics/frontier", "shapes"), 0),
        "of them on the front": (("metrics/frontier", "front"), 0),
        "episodes": (("metrics/frontier", "episodes"), 0),
        "seconds": (("seconds/frontier", "seconds"), 0),
        "seconds, in turns with cloning": (("frontier_speed", "frontier_s"), 0),
        "seconds of cloning and evaluating the same shapes": (("frontier_speed", "cloning_s"), 0),
        "times as fast": (("frontier_speed", "speed_up"), 1),
        "mean difference of success": (("frontier_speed", "difference_mean"), 3),
    }
    figures = {text: (task.number(*path), digits) for text, (path, digits) in names.items()}
    if all(figure is None for figure, _ in figures.values()):
        return ""
    rows = [[text, write_number(figure, digits)] for text, (figure, digits) in figures.items()]
    answer = task.reports.get("frontier", {}).get("answer")
    said = f"The {answer}.\n\n" if answer else ""
    return said + markdown_table(["frontier", ""], rows)


def architectures_section(task: TaskResults) -> str:
    """Write how generated architectures compare with the zoo's."""
    sets = task.reports.get("architectures", {})
    if not sets:
        return ""
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
        return ""
    table = markdown_table(["stage", "seconds", "processor seconds", "cores"], rows)
    cloning = task.number("metrics/rollout-baselines", "clone_s_mean")
    if cloning is None:
        cloning = task.number("metrics/rollout", "clone_s_mean")
    return table if cloning is None else f"{table}\nCloning one network: {cloning:.1f} seconds.\n"


class Section(NamedTuple):
    """A part of the page for each task."""

    title: str
    write: Callable[[TaskResults], str]  # empty where nothing was measured
    command: str  # that makes its figures


SECTIONS = (
    Section(
        "Success",
        success_section,
        "nnit rollout samples --also LABEL=PATH --loss-demos demos-fresh",
    ),
    Section("Training seeds", seeds_section, "nnit rollout samples-seed-N"),
    Section("Cloning loss", loss_section, "nnit rollout --loss-demos demos-fresh"),
    Section("How far it goes", limits_section, "nnit rollout samples-limits"),
    Section("Audit", audit_section, "nnit audit samples"),
    Section(
        "Alignment", alignment_section, "nnit align-report carrier=zoo pointwise=zoo-pointwise ..."
    ),
    Section(
        "Smoothness",
        smoothness_section,
        "nnit align-report carrier=zoo pointwise=zoo-pointwise ...",
    ),
    Section("Frontier", frontier_section, "nnit frontier --model generator"),
    Section("Generated architectures", architectures_section, "nnit sample -n 400"),
    Section("Seconds", seconds_section, "make compare"),
)
