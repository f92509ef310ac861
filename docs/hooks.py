"""What MkDocs is told beside mkdocs.yml: pages made out of the code, and links to its files.

``reference/`` is made anew at each build. Pages link to files of the repository, as people read
them there; the site takes those files along, under ``files/``.
"""

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from typer.core import TyperCommand, TyperGroup

from nnit_cli.app import PANELS, load
from stages.keys import Described, described

REPOSITORY = Path(__file__).resolve().parents[1]
PAGES, COPIES = "docs/", "files/"  # where pages are in the repository, where copies on the site
TAKEN_ALONG = ("CHANGELOG.md", "SECURITY.md")  # which mkdocs.yml names
LINK = re.compile(r"\[([^]]*)\]\((?!https?://|#)([^)#\s]+)(#[^)\s]*)?\)")
PYTHON = """# Python

What `import nnit` offers; all else may change between versions.

::: nnit.generate

::: nnit.load_generator

::: nnit.generators.ready.LoadedGenerator

::: nnit.generators.policy.MlpPolicy
"""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the reference, and the files that pages link to."""
    made = {"commands.md": commands_page(), "parameters.md": parameters_page(), "python.md": PYTHON}
    pages = list(files.documentation_pages())
    outside = set(TAKEN_ALONG)
    for page in pages:
        links = LINK.findall(page.content_string)
        outside |= {linked_path(page.src_uri, target) for _, target, _ in links}
    for name, text in made.items():
        files.append(File.generated(config, f"reference/{name}", content=text))
    for path in sorted(path for path in outside if not path.startswith(PAGES)):
        if (REPOSITORY / path).is_file():
            data = (REPOSITORY / path).read_bytes()
            files.append(File.generated(config, f"{COPIES}{path}", content=data))
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Have links to files of the repository lead to their copies; of a folder's, the name stays."""
    here = page.file.src_uri

    def relinked(match: re.Match[str]) -> str:
        text, target, anchor = match.groups(default="")
        path = linked_path(here, target)
        if (REPOSITORY / path).is_dir():
            return f"{text} (`{path}`)"
        place = path.removeprefix(PAGES) if path.startswith(PAGES) else f"{COPIES}{path}"
        return f"[{text}]({posixpath.relpath(place, posixpath.dirname(here) or '.')}{anchor})"

    return LINK.sub(relinked, markdown)


def linked_path(page: str, target: str) -> str:
    """Return the path in the repository of what a page of the site links to there."""
    source = page.removeprefix(COPIES) if page.startswith(COPIES) else f"{PAGES}{page}"
    return posixpath.normpath(posixpath.join(posixpath.dirname(source), target))


def parameters_page() -> str:
    """Return the parameters, section by section."""
    lines = [
        "# Parameters",
        "",
        "Of `params.yaml`, and of the file that `--params` names. A flag goes before the file, "
        "which goes before the default. `nnit params` shows the same at the terminal.",
    ]
    for section, ones in described().items():
        lines += ["", f"## {section or 'For all commands'}", "", *table(map(parameter_row, ones))]
    return "\n".join(lines) + "\n"


def parameter_row(one: Described) -> tuple[str, str, str]:
    """Return the cells of a parameter."""
    return f"`{one.name}`", f"`{one.shown}`", one.text


def table(rows: Iterator[tuple[str, str, str]]) -> list[str]:
    """Return a table of parameters."""
    cells = [[cell.replace("|", r"\|") for cell in row] for row in rows]
    return ["| parameter | default | what it is |", "|---|---|---|", *map(as_row, cells)]


def as_row(cells: list[str]) -> str:
    """Return a row of a table."""
    return f"| {' | '.join(cells)} |"


def commands_page() -> str:
    """Return what ``--help`` of each command says."""
    lines = ["# Commands", "", "What `nnit COMMAND --help` says. Exit codes:", "", exit_codes()]
    for panel, names in PANELS.items():
        lines += ["", f"## {panel}"]
        for name in names:
            lines += command_lines(name, load(name))
    return "\n".join(lines) + "\n"


def exit_codes() -> str:
    """Return the sentence that ``nnit_cli.outcome`` begins with."""
    from nnit_cli import outcome

    _, _, rest = (outcome.__doc__ or "").partition("\n\n")
    return rest.strip()


def command_lines(name: str, command: TyperCommand | TyperGroup) -> list[str]:
    """Return the part of the page about a command, and those about commands below it."""
    context = typer.Context(command, info_name=f"nnit {name}")
    usage = " ".join(command.collect_usage_pieces(context))
    lines = ["", f"### nnit {name}", "", (command.help or "").strip(), ""]
    lines += ["```text", f"nnit {name} {usage}", "```"]
    panels: dict[str, list[str]] = {}
    for one in command.params:
        said = one.get_help_record(context)
        title = getattr(one, "rich_help_panel", None) or f"{one.param_type_name}s".capitalize()
        if said:
            panels.setdefault(title, []).append(flag_row(*said))
    for title, rows in panels.items():
        lines += ["", f"**{title}**", "", "| flag | what it is |", "|---|---|", *rows]
    for below, sub in getattr(command, "commands", {}).items():
        lines += command_lines(f"{name} {below}", sub)
    return lines


def flag_row(flag: str, text: str) -> str:
    """Return the row of a flag or an argument; its help is Rich's markup."""
    return as_row([f"`{flag}`".replace("|", r"\|"), text.replace(r"\[", "[").replace("|", r"\|")])
