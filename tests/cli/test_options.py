"""Where outputs go by default, and which value wins."""

from pathlib import Path, PosixPath

import pytest

from nnit_cli.app import PANELS, load
from nnit_cli.flags import wanted_patterns
from nnit_cli.options import RunFlags
from nnit_cli.places import HOME, beside, beside_of
from nnit_cli.session import open_session


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path, monkeypatch):
    """No test reads the params.yaml of the project."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("path", "expected"),
    [("zoo", "tokens"), ("zoo/", "tokens"), ("a/zoo", "a/tokens"), ("/a/zoo", "/a/tokens")],
)
def test_output_lies_beside_the_first_input(path, expected):
    """The kind's name as a folder beside it."""
    assert beside(Path(path), "tokens") == Path(expected)


def test_output_beside_the_current_folder(tmp_path):
    """A zoo that is the current folder has its tokens beside it, not in it."""
    (tmp_path / "deep").mkdir()
    assert beside(Path(), "tokens") == tmp_path.parent / "tokens"
    assert beside(Path("deep/.."), "tokens") == tmp_path.parent / "tokens"


@pytest.mark.parametrize(
    ("path", "expected"),
    [("samples", "exports"), ("a/samples/", "a/exports"), ("a/zoo", "a/exports-zoo")],
)
def test_inputs_beside_each_other_have_an_output_each(path, expected):
    """The usual one the short name, others their own behind it."""
    assert beside_of(Path(path), "exports", usual="samples") == Path(expected)


def test_outputs_have_one_home():
    """Inputs that nobody names are read from artifacts, and what is made lies beside them."""
    commands = {name: load(name) for names in PANELS.values() for name in names}
    flags = [(name, one) for name, command in commands.items() for one in command.params]
    usual = {one.default.parent for name, one in flags if type(one.default) is PosixPath}
    assert usual == {HOME, Path()}  # nnit models looks here
    places = [one.help for _, one in flags if one.name == "out"]
    assert all(", beside " in text or "[default: artifacts/" in text for text in places)


def test_flag_beats_file_beats_default():
    """Of three values the nearest counts; the other parameters are untouched."""
    Path("params.yaml").write_text("seed: 3\ntokenize: {patch: 8}\n")
    session = open_session("tokenize", RunFlags(), {"patch": None})
    assert (session.params.tokenize.patch, session.options.seed) == (8, 3)
    session = open_session("tokenize", RunFlags(seed=4), {"patch": 4})
    assert (session.params.tokenize.patch, session.options.seed) == (4, 4)
    assert session.params.seed == 4
    session = open_session("tokenize", RunFlags(params=Path("/dev/null")), {"patch": None})
    assert (session.params.tokenize.patch, session.options.seed) == (16, 0)


def test_options_reach_the_run():
    """Device, workers, force and resume as they were typed."""
    session = open_session(
        "ghn-train", RunFlags(force=True), {}, device="cpu", workers=3, resume=True
    )
    options = session.options
    assert (options.device, options.workers, options.force, options.resume) == (
        "cpu",
        3,
        True,
        True,
    )


def test_architectures_of_flags_and_of_the_file():
    """Those of --arch come first, then the held-out and the repeated ones."""
    session = open_session("sample", RunFlags(), {})
    held_out = session.params.architectures.held_out.listed()
    assert wanted_patterns(session.params, ["8,9"], held_out=False) == ((8, 9),)
    assert wanted_patterns(session.params, ["8"], held_out=True) == ((8,), *held_out)
    repeated = session.params.zoo_export.repeated
    wanted = wanted_patterns(session.params, ["8"], held_out=True, repeated=True)
    assert wanted == ((8,), *held_out, *repeated)
    assert wanted_patterns(session.params, None, held_out=False) == (None,)
    assert wanted_patterns(session.params, ["8,*"], held_out=False) == ((8, None),)


def test_model_of_the_environment_is_used_and_named(nnit):
    """NNIT_MODEL stands in for --model, and a flag goes before it."""
    named = nnit("sample", "--arch", "8", NNIT_MODEL="elsewhere")
    assert (named.returncode, named.stderr[:40]) == (4, "nnit: --model elsewhere: no such folder,")
    flagged = nnit("sample", "--arch", "8", "--model", "./here", NNIT_MODEL="elsewhere")
    assert flagged.stderr == "nnit: ./here: no such artifact; make it with `nnit diffuse-train`\n"
