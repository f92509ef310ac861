"""A network is refused where control mode, control frequency or observation are not its own."""

import subprocess
import sys

import numpy as np
import pytest

from nnit.fit import layout_of, require_fit

OBSERVATION = {
    "agent": {"qpos": np.zeros((1, 9)), "empty": {}, "qvel": np.zeros(9)},
    "extra": {"is_grasped": np.zeros(1), "near": True, "goal_pos": np.zeros((1, 3))},
}
LAYOUT = [
    {"name": "agent/qpos", "start": 0, "length": 9},
    {"name": "agent/qvel", "start": 9, "length": 9},
    {"name": "extra/is_grasped", "start": 18, "length": 1},
    {"name": "extra/near", "start": 19, "length": 1},
    {"name": "extra/goal_pos", "start": 20, "length": 3},
]
CONFIG = {"control_mode": "pd_ee_delta_pos", "control_freq": 20, "observation_layout": LAYOUT}


def swapped():
    """The same parts, robot last."""
    return {"extra": OBSERVATION["extra"], "agent": OBSERVATION["agent"]}


def test_parts_lie_in_the_order_of_the_observation():
    """Nested names, numbers alone, and one environment's dimension of 1."""
    assert layout_of(OBSERVATION) == LAYOUT


@pytest.mark.parametrize(
    ("here", "line"),
    [
        (("pd_joint_pos", 20, OBSERVATION), "control_mode pd_ee_delta_pos, expected pd_joint_pos"),
        (("pd_ee_delta_pos", 50, OBSERVATION), "control_freq 20, expected 50"),
        (("pd_ee_delta_pos", 20, swapped()), "'agent/qpos', 'start': 0, 'length': 9}, expected {"),
        (("pd_ee_delta_pos", 20, {"agent": OBSERVATION["agent"]}), "extra/is_grasped"),
    ],
)
def test_what_differs_is_said_in_one_line(here, line):
    """Found and expected; of the observation the first part that differs."""
    with pytest.raises(ValueError, match=r"^found ") as caught:
        require_fit(CONFIG, *here)
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_fits_or_is_not_known_is_let_pass():
    """A network of another simulator says neither frequency nor parts."""
    require_fit(CONFIG, "pd_ee_delta_pos", 20, OBSERVATION)
    unknown = {**CONFIG, "control_freq": None, "observation_layout": []}
    require_fit(unknown, "pd_ee_delta_pos", 50, swapped())


def test_nothing_but_the_standard_library_is_imported():
    """So it runs on a robot's machine as it is."""
    code = "import sys, nnit.fit; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    ours = set(done.stdout.split()) - set(sys.stdlib_module_names)
    assert not ours & {"torch", "numpy", "safetensors", "zarr", "gymnasium", "mani_skill"}
