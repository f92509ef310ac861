"""Pages of the documentation, followed literally: every command, and what is shown below it."""

import re
import shlex
import shutil
from pathlib import Path

import pytest
from docs_pages import blocks_of, pages

from nnit.artifacts.rollouts import read_rollouts
from nnit.tasks.vulkan import check_render_device
from nnit_cli.main import main

REPOSITORY = Path(__file__).parents[2]
FOLLOWED = ("ci.md", "models.md", "tutorial.md")
NUMBER = re.compile(r"-?\d[\d,.]*(e-?\d+)?")


def masked(text: str) -> list[str]:
    """Return lines without numbers, and with one space where there are several."""
    return [" ".join(NUMBER.sub("#", line).split()) for line in text.splitlines()]


def assert_shown(shown: str, printed: str) -> None:
    """What a page shows was printed, numbers aside; ``...`` stands for any lines."""
    rest = masked(printed)
    for part in shown.split("...\n"):
        lines = masked(part)
        places = [k for k in range(len(rest)) if rest[k : k + len(lines)] == lines]
        assert places or not lines, f"{part}\nis not in\n{printed}"
        rest = rest[places[0] + len(lines) :] if places else rest


@pytest.mark.slow
@pytest.mark.sim
@pytest.mark.parametrize("name", FOLLOWED)
def test_a_page_works_as_it_says(name, tmp_path, monkeypatch, capsys):
    """Commands one after the other, in a folder that is empty before."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    arm = tmp_path / "cache/nnit/models/arm/1.0"  # a model that models.md speaks of
    shutil.copytree(REPOSITORY / "nnit/generators/common", arm)
    for block in blocks_of(REPOSITORY / "docs" / name):
        for command, output in () if block.why_not_run else block.shown:
            program, *words = shlex.split(command, comments=True)
            assert program == "nnit", command
            capsys.readouterr()
            assert main(words) == 0, command
            assert_shown(output, capsys.readouterr().out)
    for code in re.findall(r"```python\n(.*?)```", (REPOSITORY / "docs" / name).read_text(), re.S):
        names: dict = {}
        exec(code, names)
        assert names["actions"].shape == (5, 4)


@pytest.mark.slow
@pytest.mark.sim
def test_the_first_screen_of_the_readme_ends_with_a_policy_that_works(tmp_path, monkeypatch):
    """On a film in the report, where there is something to draw with."""
    monkeypatch.chdir(tmp_path)
    is_filmed = not check_render_device().fix
    install, *commands = blocks_of(REPOSITORY / "README.md")[0].shown
    assert install.command == "pip install ."
    for command, _ in commands:
        words = shlex.split(command, comments=True)[1:]
        assert main([word for word in words if word != "--video" or is_filmed]) == 0, command
    rollouts, _ = read_rollouts(Path("artifacts/rollouts"))
    assert rollouts.evaluations[0].success_once >= 0.9
    assert {path.name for path in Path().iterdir()} == {"artifacts", "report.html"}
    assert ("data:video/mp4" in Path("report.html").read_text()) == is_filmed


@pytest.mark.parametrize("page", pages(REPOSITORY), ids=lambda page: page.name)
def test_what_a_page_shows_is_run_or_says_why_not(page):
    """By the test above, or by one that names the page."""
    if all(block.why_not_run for block in blocks_of(page)) or page.name in FOLLOWED:
        return
    tests = (REPOSITORY / "tests").rglob("test_*.py")
    assert any(f"docs/{page.name}" in test.read_text() for test in tests)
