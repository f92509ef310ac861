"""Parameters: defaults, precedence, and faults with their place in the file."""

import os
import time
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from nnit.errors import MissingArtifactError, ParamsError, UsageError
from stages.params import ArchitecturesParams, Params
from stages.params_file import load_params, override

MANY_FAULTS = """\
# a comment
seed: 1.5
tokenize:
  patch: 0
  pathc: 3
demos:
ghn-train:
  steps: 3
ghn_train:
  decoder: cn
  learning_rate: 2
  steps: "12"
rollout: {ghn_baseline: yes, episodes: true}
architectures:
  held_out:
    wider:
      - [1000]
      - [64]
      - [320]
      - [320]
"""
FAULT_LINES = """\
params.yaml:2:1: seed: must be a whole number (got 1.5)
params.yaml:4:3: tokenize.patch: must be greater than 0 (got 0)
params.yaml:5:3: tokenize.pathc: unknown key, did you mean patch?
params.yaml:6:1: demos: must be a section of keys (got null)
params.yaml:7:1: ghn-train: unknown key, did you mean ghn_train?
params.yaml:10:3: ghn_train.decoder: must be 'carrier', 'cnn' or 'pointwise' (got "cn")
params.yaml:11:3: ghn_train.learning_rate: must be less than or equal to 1 (got 2)
params.yaml:12:3: ghn_train.steps: must be a whole number (got "12")
params.yaml:13:11: rollout.ghn_baseline: must be true or false (got "yes")
params.yaml:13:30: rollout.episodes: must be a whole number (got true)
params.yaml:17:9: architectures.held_out.wider[0]: 1000 is wider than 2 x 256, the largest \
trained width
params.yaml:18:9: architectures.held_out.wider[1]: 64 is not wider: by the rules it is unseen_combo
params.yaml:20:9: architectures.held_out.wider[3]: is listed twice"""

pytestmark = pytest.mark.seconds


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path, monkeypatch):
    """No test reads the params.yaml of the project."""
    monkeypatch.chdir(tmp_path)


def write(text: str | bytes) -> Path:
    """Write params.yaml here."""
    path = Path("params.yaml")
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def faults(text: str | bytes) -> str:
    """Return the lines that loading the text raises."""
    with pytest.raises(ParamsError) as caught:
        load_params(write(text))
    return str(caught.value)


def test_all_faults_come_at_once_with_line_and_column():
    """Every fault of a file has its line, in the file's order."""
    assert faults(MANY_FAULTS) == FAULT_LINES


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: [1", "params.yaml:1:6: not YAML: expected ',' or ']', but got '<stream end>'"),
        ("- 1", "params.yaml:1:1: must be a section of keys (got [1])"),
        ("seed: *b", "params.yaml:1:7: not YAML: found undefined alias 'b'"),
        (
            "\tseed: 1",
            "params.yaml:1:1: not YAML: found character '\\t' that cannot start any token",
        ),
        (b"\xff\xfe\xfa", "params.yaml: not UTF-8 text at byte 0"),
        ("a: " + "[" * 5000, "params.yaml: nested too deeply, or in itself"),
        ("a: " + "[" * 50 + "]" * 50, "params.yaml:1:35: nested too deeply, or in itself"),
        ("seed: &a [*a]", "params.yaml:1:7: nested too deeply, or in itself"),
        ("tokenize: &a {<<: *a}", "params.yaml:1:11: nested too deeply, or in itself"),
        ("? [1, 2]\n: 3", "params.yaml:1:3: keys must be text"),
        ("seed: " + "1" * 5000, "params.yaml:1:7: a number of more than 100 digits"),
        (
            f"seed: {2**70}",
            "params.yaml:1:1: seed: must be less than 9223372036854775808 "
            "(got 1180591620717411303424)",
        ),
        (
            "ghn_train: {learning_rate: 1e400}",
            "params.yaml:1:13: ghn_train.learning_rate: must be a finite number (got Infinity)",
        ),
        *(
            (f"task: {value}", f"params.yaml:1:7: {tag}: not a kind of value that parameters have")
            for value, tag in {
                "2001-01-01": "!!timestamp",
                "2001-99-99": "!!timestamp",
                "!!binary abc=": "!!binary",
                "!!set {a, b}": "!!set",
                "!!omap [a: 1]": "!!omap",
                "!!int abc": "!!int",
                "!!bool [x]": "!!bool",
                "!mine 1": "!mine",
                "!!python/object/apply:os.getpid []": "!!python/object/apply:os.getpid",
            }.items()
        ),
        (
            "%YAML 1.1\n---\nseed: 0x_",
            "params.yaml: not YAML: invalid literal for int() with base 16: ''",
        ),
        ('task: "\\U00110000"', "params.yaml: not YAML: chr() arg not in range(0x110000)"),
        ("---\n---\n", "params.yaml:2:1: not YAML: but found another document"),
        ("#" * 2**16 + "#", "params.yaml: larger than 65536 bytes"),
        (
            "architectures: {held_out: {wider: [[]]}}",
            "params.yaml:1:36: architectures.held_out.wider[0]: must not be empty (got [])",
        ),
        (
            "architectures: {held_out: {wider: [[320], [0, 5]]}}",
            "params.yaml:1:44: architectures.held_out.wider[1][0]: must be greater than 0 (got 0)",
        ),
        ("demos: {noise: .nan}", "params.yaml:1:9: demos.noise: must be a finite number (got NaN)"),
        (
            "diffuse_train: {heads: 5}",
            "params.yaml:1:17: diffuse_train.heads: must divide width, 192 (got 5)",
        ),
        (
            "architectures: {held_out_widths: [16], widths_max: 16}",
            "params.yaml:1:17: architectures.held_out_widths: leaves no width to train on",
        ),
    ],
)
def test_one_fault_is_one_line(text, line):
    """Whatever is wrong with the file, a line says what and where."""
    assert faults(text) == line


def test_an_unknown_task_is_one_line():
    """With what may have been meant, and what there is."""
    line = faults("task: PushCub-v1")
    assert line.startswith("params.yaml:1:1: task: unknown task; did you mean PushCube-v1? Known")
    assert line.endswith('or a file as in ./my_task.py (got "PushCub-v1")')
    assert "\n" not in line


def test_twice_the_same_key_is_a_fault():
    """YAML parsers that take the last one hide a mistake."""
    assert faults("tokenize: {patch: 1}\ntokenize: {patch: 2}").startswith(
        'params.yaml:2:1: not YAML: found duplicate key "tokenize"'
    )


def doubling(first: str, rest: str) -> str:
    """Return a file of 20 keys, each ten of the one before it."""
    lines = [f"k0: &k0 {first}"]
    lines += [f"k{k}: &k{k} {rest % ', '.join([f'*k{k - 1}'] * 10)}" for k in range(1, 20)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    "text",
    [
        doubling("[1]", "[%s]"),
        doubling("{a: 1}", "{<<: [%s]}"),
        f"a: &a {'x' * 2**15}\nb: [*a, *a]",
    ],
)
def test_what_aliases_stand_for_counts_each_time(text):
    """A small file that grows without end, or by as much as is allowed, is refused before."""
    assert faults(text) == "params.yaml: larger than 65536 bytes with its aliases written out"


def test_aliases_and_merged_keys_are_read():
    """A key that stands there counts before a merged one; a fault has the place that it is in."""
    few = "demos: {episodes: &few 3}\nrollout: {episodes: *few}"
    assert load_params(write(few)).rollout.episodes == 3
    assert load_params(write("tokenize:\n  <<: {patch: 0}\n  patch: 4")).tokenize.patch == 4
    line = "params.yaml:1:17: tokenize.patch: must be greater than 0 (got 0)"
    assert faults("tokenize: {<<: {patch: 0}}") == line


@pytest.mark.parametrize(
    "text",
    [
        "{" + ",".join(f"k{k}: 1" for k in range(6000)) + "}",
        "tokenize:\n" + "".join(f"  patc{k}: 1\n" for k in range(4500)),
        "architectures: {held_out: {wider: [" + "[x]," * 14_000 + "]}}",
        "a: [" + "1," * 32_000 + "]",
        "a: " + "[" * 65_000,
        "a: " + "- " * 32_000,
    ],
)
def test_the_largest_file_is_answered_in_seconds(text):
    """Whatever is in it: a hundred faults at most, and how many more there are."""
    started = time.process_time()
    lines = faults(text).splitlines()
    assert time.process_time() - started < 5
    assert len(lines) in {1, 101}
    assert all(len(line) < 400 for line in lines)


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_what_is_no_regular_file_is_one_line(tmp_path, make):
    """A folder, or a pipe that nobody writes to."""
    make(tmp_path / "p.yaml")
    with pytest.raises(ParamsError, match=r"p\.yaml: is not a regular file$"):
        load_params(tmp_path / "p.yaml")


def test_a_device_without_end_is_one_line():
    """It is not read."""
    with pytest.raises(ParamsError, match=r"^/dev/zero: is not a regular file$"):
        load_params(Path("/dev/zero"))


def test_file_named_and_missing_is_missing_input():
    """A named file that isn't there is exit code 4; the unnamed default file may be absent."""
    with pytest.raises(MissingArtifactError) as caught:
        load_params(Path("other.yaml"))
    assert (caught.value.exit_code, str(caught.value)) == (
        4,
        "other.yaml: no such parameter file",
    )
    assert load_params() == Params()


def test_default_file_is_read_where_there_is_one():
    """Without a name, params.yaml here counts, and what it leaves out keeps its default."""
    write("tokenize: {patch: 8}")
    params = load_params()
    assert params.tokenize.patch == 8
    assert params.ghn_train == Params().ghn_train


def test_empty_file_is_all_defaults():
    """A file of comments says nothing."""
    assert load_params(write("# nothing\n")) == Params()


def test_defaults_survive_a_round_trip_through_yaml():
    """Writing all defaults as YAML and reading them back gives the same parameters."""
    with Path("params.yaml").open("w") as file:
        YAML(typ="safe", pure=True).dump(Params().model_dump(mode="json"), file)
    assert load_params() == Params()


def test_every_parameter_says_what_it_is():
    """Each key of each section has a description."""
    for name, field in Params.model_fields.items():
        nested = getattr(field.annotation, "model_fields", {name: field})
        assert [key for key, value in nested.items() if not value.description] == []


def test_flags_lie_over_the_section_and_none_means_not_given():
    """A flag wins; one that was not given leaves the file's value."""
    section = override(Params().tokenize, patch=8)
    assert section.patch == 8
    assert override(section, patch=None) == section
    assert override(Params(), seed=3, task=None).seed == 3


def test_an_impossible_flag_is_named_as_it_is_typed():
    """All impossible flags at once, in kebab case."""
    with pytest.raises(UsageError) as caught:
        override(Params().diffuse_train, learning_rate=7.0, steps=0)
    assert caught.value.faults == (
        "--steps: must be greater than 0 (got 0)",
        "--learning-rate: must be less than or equal to 1 (got 7.0)",
    )


def test_parameters_do_not_change():
    """A section is frozen."""
    with pytest.raises(ValueError, match="frozen"):
        Params().tokenize.patch = 3


def test_rules_hold_without_a_file_too():
    """Parameters made in Python obey the same rules."""
    with pytest.raises(ValueError, match="must be at least depth_min, 5"):
        ArchitecturesParams(depth_min=5)
