"""The studies: run what is compared, and write the page about it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from studies.outcomes import collect, file_of, read_kept, wanted
from studies.plan import Job, Part, jobs_of, parts_of, read_plan
from studies.run import beside, make_all

app = typer.Typer(add_completion=False, no_args_is_help=True)


@app.command()
def run(
    tasks: Annotated[list[str] | None, typer.Argument(help="Names, or files of your own.")] = None,
    params: Annotated[Path | None, typer.Option(help="The parameters of your own.")] = None,
) -> None:
    """Make what is missing of tasks, all that are in the plan by default, and keep the outcomes."""
    plan = read_plan()
    jobs = [(job, parts_of(plan, job)) for job in jobs_of(plan, tasks or [], params)]
    todo = [part for job, parts in jobs for part in wanted(parts, read_kept(job, parts))]

    def keep(made: Part) -> None:
        for job, parts in jobs:
            if made in parts.values():
                write(job, parts)

    for job, parts in jobs:  # what an earlier run made and was stopped before it was kept
        if job.of_task.exists():
            write(job, parts)
    failures = make_all(todo, keep)
    if failures:
        typer.echo("\n".join(["failed:", *failures]), err=True)
        raise typer.Exit(1)


def write(job: Job, parts: Mapping[str, Part]) -> None:
    """Keep what is known of a task and a training seed; whole, or as it was."""
    path, known = file_of(job), collect(job, parts)
    found = json.dumps(known, indent=1) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    if known["parts"] and not (path.exists() and path.read_text() == found):
        beside(path, "new").write_text(found)
        beside(path, "new").replace(path)


@app.command()
def page() -> None:
    """Write docs/results.md, its pictures and the README's tables."""
    from studies.page import read_studies, write_pages

    write_pages(read_studies())


if __name__ == "__main__":
    app()
