"""dvc.yaml, the stages, params.yaml and the commands agree with each other."""

from itertools import pairwise
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from nnit.architectures import held_out_kind
from nnit.mlp import parse_architecture
from nnit.tasks.registry import get_task
from nnit_cli.app import EVALUATION, PIPELINE, ROUNDS
from stages.algorithms import VERSIONS
from stages.params import Params
from stages.params_file import load_params

REPOSITORY = Path(__file__).parents[1]
STAGES = YAML(typ="safe", pure=True).load(REPOSITORY / "dvc.yaml")["stages"]
WITHOUT_PARAMETERS = ["report"]  # and without metrics
GATE = {"gate-samples": "sample", "gate": "rollout"}  # stage -> its command
# Keys of params.yaml that belong to no one stage, or to another way of running one.
SETTINGS = {"seed", "task", "data", "architectures", "ppo"}


def snake(stage: str) -> str:
    """Return a stage's name as a file's or a module's."""
    return stage.replace("-", "_")


def section_of(stage: str) -> str:
    """Return the name of a stage's module and section."""
    return snake(GATE.get(stage, stage))


def test_stages_commands_and_sections_have_the_same_names():
    """Four lists: dvc.yaml, the commands in their order, the modules, params.yaml."""
    without_gate = [stage for stage in STAGES if stage not in GATE]
    assert without_gate == [*PIPELINE, *WITHOUT_PARAMETERS]
    commands = [*PIPELINE, *ROUNDS, *EVALUATION]
    assert set(Params.model_fields) - SETTINGS == {snake(command) for command in commands}
    assert all((REPOSITORY / f"stages/{snake(command)}.py").is_file() for command in commands)


def test_params_file_says_the_defaults():
    """params.yaml of the project spells out the built-in defaults, every one of them."""
    path = REPOSITORY / "params.yaml"
    assert load_params(path) == Params()
    written = YAML(typ="safe", pure=True).load(path)
    defaults = Params().model_dump(mode="json")
    assert list(written) == list(defaults)
    for name, section in defaults.items():
        if isinstance(section, dict):
            assert list(written[name]) == list(section)


def test_demo_profile_holds_out_the_same_architectures():
    """The small profile is smaller, not easier."""
    profile = load_params(REPOSITORY / "profiles" / "demo.yaml")
    assert profile.architectures == Params().architectures
    assert profile.task == Params().task


@pytest.mark.parametrize("stage", STAGES)
def test_stage_runs_its_command(stage):
    """The command has the stage's name, the gate's apart, and writes metrics of that name."""
    words = STAGES[stage]["cmd"].split()
    assert words[:2] == ["nnit", GATE.get(stage, stage)]
    if stage in WITHOUT_PARAMETERS:
        return
    metrics = words[words.index("--metrics") + 1]
    assert metrics == f"metrics/{snake(stage)}.json"
    assert STAGES[stage]["metrics"] == [{metrics: {"cache": False}}]


@pytest.mark.parametrize("stage", [*PIPELINE, *GATE])
def test_stage_depends_on_the_version_of_its_algorithm(stage):
    """Of that of its command alone; it has one."""
    command = GATE.get(stage, stage)
    assert STAGES[stage]["params"][0] == {"stages/algorithms.py": [f"VERSIONS.{command}"]}
    assert command in VERSIONS
    assert all(d.startswith(("artifacts/", "metrics/")) for d in STAGES[stage].get("deps", []))


@pytest.mark.parametrize("stage", STAGES)
def test_stage_depends_on_what_it_reads(stage):
    """Every artifact named in the command is a dependency or the output, and made before."""
    made_before = [o for s in list(STAGES)[: list(STAGES).index(stage)] for o in STAGES[s]["outs"]]
    read = [d for d in STAGES[stage].get("deps", []) if d.startswith("artifacts/")]
    assert set(read) <= set(made_before)
    named = {word for word in STAGES[stage]["cmd"].split() if word.startswith("artifacts/")}
    assert named <= {*read, *STAGES[stage]["outs"]}


@pytest.mark.parametrize("stage", [*PIPELINE, *GATE])
def test_stage_depends_on_its_parameters(stage):
    """The seed and the stage's own section are among its parameters, and all of them exist."""
    assert {"seed", section_of(stage)} <= set(STAGES[stage]["params"][1:])
    for key in STAGES[stage]["params"][1:]:
        value = Params()
        for part in key.split("."):
            value = getattr(value, part)


def test_gate_judges_no_held_out_shape():
    """Its shapes are those of training, to the largest; held-out ones wait until it is passed."""
    samples, gate = (STAGES[stage]["cmd"].split() for stage in GATE)
    shapes = [parse_architecture(dims) for word, dims in pairwise(samples) if word == "--arch"]
    training_range = Params().architectures.training_range()
    assert [held_out_kind(shape, training_range) for shape in shapes] == [None] * len(shapes)
    assert (training_range.widths_max,) * training_range.depth_max in shapes
    assert "--held-out" not in samples
    assert "--min-success" in gate
    assert set(STAGES["gate"]["outs"]) <= set(STAGES["sample"]["deps"])


def test_gate_and_evaluation_share_no_episode():
    """Reset seeds of the one are none of the other's or of the demonstrations'."""
    flags = dict(pairwise(STAGES["gate"]["cmd"].split()))
    task = get_task(Params().task)
    demonstrated = range(task.demo_first_seed, task.demo_first_seed + task.demo_episodes)
    evaluated = range(Params().rollout.first_seed + task.evaluation_episodes)
    first = int(flags["--first-seed"])
    judged = range(first, first + int(flags["--episodes"]))
    assert not set(judged) & {*demonstrated, *evaluated}
