"""Write the results page, its pictures and the README's tables out of ``results/studies``.

Prose is in the templates of ``studies/pages``; what they ask of the results is computed here.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

from studies.compare import OURS, WITHIN, Row, apart, difference, of_kinds, over_seeds, rows_of
from studies.figures import draw_alarms, draw_break_even, draw_differences
from studies.outcomes import RESULTS, Study, read_study, said_by
from studies.plan import jobs_of, parts_of, read_plan

PAGES = Path(__file__).with_name("pages")
UNORDERED = ("shuffled", "unaligned")  # as untold, of networks whose units have no common order
DOCS, README = Path("docs"), Path("README.md")


def read_studies(folder: Path = RESULTS) -> list[Study]:
    """Return all studies that have begun, in the order of the plan, tasks that it lacks last."""
    rank = {task: place for place, task in enumerate(read_plan()["tasks"])}
    found = [read_study(path) for path in sorted(folder.glob("*-seed-*.json"))]
    studies = [study for study in found if OURS in study.methods]
    return sorted(studies, key=lambda one: (rank.get(one.task, len(rank)), one.task, one.seed))


def write_pages(studies: Sequence[Study], docs: Path = DOCS, readme: Path = README) -> None:
    """Write ``results.md``, its pictures, and the README's table."""
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(PAGES),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    templates.filters |= {"number": number}
    facts = facts_of(studies)
    for name, draw, what in (
        ("differences", draw_differences, "headline"),
        ("break_even", draw_break_even, "many"),
        ("alarms", draw_alarms, "alarms"),
    ):
        if facts[what]:
            draw(facts[what], docs / "figures" / f"{name}.png")
    (docs / "results.md").write_text(templates.get_template("results.md").render(facts))
    start, end = "<!-- tasks -->", "<!-- /tasks -->"
    before, _, rest = readme.read_text().partition(start)
    _, found, after = rest.partition(end)
    if not found:
        raise ValueError(f"{readme}: has no {start} ... {end}")
    inside = templates.get_template("readme.md").render(facts).strip()
    readme.write_text(f"{before}{start}\n{inside}\n{end}{after}")


def facts_of(studies: Sequence[Study]) -> dict[str, Any]:
    """Return what the templates may ask for."""
    seeds = {one.task: [of for of in studies if of.task == one.task] for one in studies}
    first = {task: found[0] for task, found in seeds.items()}
    tasks = {task: rows_of(study.methods) for task, study in first.items()}
    inside = {
        task: [{m: of_kinds(found, WITHIN) for m, found in one.methods.items()} for one in of]
        for task, of in seeds.items()
    }
    within = {task: rows_of(found[0]) for task, found in inside.items()}
    plan = read_plan()
    return {
        "missing": missing_of(plan, studies),
        "methods": plan["methods"],
        "verdicts": {name: verdicts_on(name, within) for name in plan["methods"]},
        "unordered": {t: apart(of[0], "untold", UNORDERED) for t, of in inside.items()},
        "breadth": [(one, apart(one.asked("breadth"), OURS)) for one in studies],
        "tasks": tasks,
        "within": within,
        "headline": {task: tasks[task] for task in tasks if tasks[task][OURS].beyond},
        "seeds": {
            task: {
                method: [*(rows_of(one.methods)[method] for one in of), over_seeds(of, method)]
                for method in (OURS, "asked")
            }
            for task, of in seeds.items()
            if len(of) > 1 and all("asked" in one.methods for one in of)
        },
        "further": {  # clones need no hypernetwork: there are those of the first seed
            task: [difference(one[OURS], of[0]["cloned"]) for one in of[1:]]
            for task, of in inside.items()
            if "cloned" in of[0]
        },
        "reports": {task: study.reports for task, study in first.items()},
        "alarms": {t: one.reports["alarms"] for t, one in first.items() if "alarms" in one.reports},
        "first": first,
        "packaged": said_by("", Path(plan["artifacts"]["common"]["at"]))["bytes"],
        "many": {task: many_of(study) for task, study in first.items() if many_of(study)},
    }


def missing_of(plan: Mapping[str, Any], studies: Sequence[Study]) -> dict[str, list[str]]:
    """Return what is still to come of a task and seed; an empty list means all."""
    kept = {(study.task, study.seed): study.parts for study in studies}
    found = {}
    for job in jobs_of(plan, []):
        there = kept.get((job.task, job.seed), ())
        names = [name for name in parts_of(plan, job) if "/" in name and name not in there]
        said = [name for name in names if not name.startswith("samples/") and "/of-" not in name]
        if said:
            found[f"{job.task}, seed {job.seed}"] = said if there else []
    return found


def verdicts_on(method: str, tasks: Mapping[str, Mapping[str, Row]]) -> dict[str, Any]:
    """Return on which tasks generated networks are better than a method, alike, and worse."""
    found: dict[str, Any] = {"better": [], "alike": [], "worse": [], "open": [], "tasks": 0}
    for task, rows in tasks.items():
        if method in rows:
            found[rows[method].ahead.verdict].append(task)
            found["tasks"] += 1
    return found


def number(value: float | None, digits: int = 2, unit: float = 1.0) -> str:
    """Write a number; nothing was measured where there is none."""
    return "-" if value is None else f"{value / unit:.{digits}f}"


def many_of(study: Study) -> dict[str, dict[int, float]]:
    """Return processor seconds for a number of networks, all that they need included, by method."""
    found: dict[str, dict[int, float]] = {}
    for name, cost in study.costs.items():
        if name.startswith("many/") and None not in cost.values():
            method, _, count = name.removeprefix("many/").rpartition("-")
            found.setdefault(method, {})[int(count)] = cost["before"] + cost["own"]
    return {method: dict(sorted(counts.items())) for method, counts in found.items()}
