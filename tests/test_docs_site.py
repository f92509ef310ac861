"""The reference of the documentation's site is made out of the code, and is whole."""

import importlib.util
import json
from types import ModuleType

import pytest
import yaml

from nnit_cli.app import PANELS, load
from nnit_cli.main import main
from stages.params import Params


@pytest.fixture(scope="module")
def hooks(repository) -> ModuleType:
    """docs/hooks.py, as MkDocs imports it."""
    spec = importlib.util.spec_from_file_location("hooks", repository / "docs/hooks.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def leaves(values: dict, prefix: str = "") -> dict[str, object]:
    """Return the parameters of nested sections by their whole names; weights are one parameter."""
    found: dict[str, object] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        found |= leaves(value, f"{name}.") if isinstance(value, dict) and value else {name: value}
    return found


def test_every_command_and_flag_is_in_the_reference(hooks):
    """With the text of its help."""
    page = hooks.commands_page()
    for name in (name for names in PANELS.values() for name in names):
        _, _, behind = page.partition(f"\n### nnit {name}\n")
        part = behind.partition("\n### ")[0]
        for one in load(name).params:
            flags = [flag for flag in one.opts if flag.startswith("--")]
            assert all(flag in part for flag in flags), (name, flags)


def test_every_parameter_is_listed_with_its_default(hooks, capsys):
    """On the site and at the terminal, each with a text."""
    expected = leaves(Params().model_dump(mode="json"))
    assert main(["params", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert {one["name"]: one["default"] for one in listed} == expected
    assert all(one["text"] for one in listed)
    page = hooks.parameters_page()
    assert all(f"| `{name}` | `" in page for name in expected)


def test_parameters_of_a_command_are_listed_by_its_name(capsys):
    """Either spelling of the section; another name is one line."""
    assert main(["params", "ghn-train"]) == 0
    printed = capsys.readouterr().out
    assert main(["params", "ghn_train"]) == 0
    assert capsys.readouterr().out == printed
    assert "ghn_train.decoder" in printed
    assert "diffuse_train" not in printed
    assert main(["params", "seed"]) == 2
    assert capsys.readouterr().err.startswith(
        "nnit: seed: no such section; there are architectures"
    )


def test_every_page_has_a_place_on_the_site(repository):
    """Or MkDocs would leave it out of the navigation."""
    text = (repository / "mkdocs.yml").read_text()
    named = json.dumps(yaml.safe_load(text)["nav"])
    assert all(page.name in named for page in (repository / "docs").glob("*.md"))
