"""A sampled network acts without nnit: the page's lines in an interpreter with torch alone."""

import json
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy as np
import pytest

from nnit.artifacts.manifest import Provenance
from nnit.artifacts.samples import read_samples
from nnit.artifacts.zoo import write_zoo
from nnit.mlp import PolicyInterface
from nnit.policy import NumpyPolicy
from nnit.zoo.members import ZooMember, build_zoo
from stages import diffuse_train, sample, tokenize
from stages.params import Params, RunOptions

PAGE = Path(__file__).parents[2] / "docs/guide.md"
BLOCK = re.compile(r"<!-- plain-torch -->\s*```python\n(.*?)```\s*<!-- /plain-torch -->", re.DOTALL)
MAX_LINES = 15  # "ten lines", blank ones and imports aside
SHAPES = ((64,), (20, 9), (128, 256, 128))
INTERFACE = PolicyInterface(
    task="PushCube-v1",
    control_mode="pd_ee_delta_pos",
    obs_dim=35,
    act_dim=4,
    horizon=50,
    obs_mean=tuple(np.linspace(-1, 1, 35).tolist()),
    obs_std=tuple(np.linspace(0.001, 2, 35).astype(np.float32).tolist()),
    action_clip=0.9,
)
PARAMS = Params.model_validate(
    {"diffuse_train": {"steps": 5, "width": 32, "depth": 1, "heads": 2, "learning_rate": 1e-2}}
)
CPU = RunOptions(device="cpu")
# -I and -S keep out PYTHONPATH, the working folder and the .pth files of site-packages, and with
# them an nnit that is installed to be edited.
PRELUDE = f"""
import sys
sys.path += {sorted({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})!r}
import importlib.util
for package in ("nnit", "stages", "nnit_cli"):
    assert importlib.util.find_spec(package) is None, package
"""
CODA = """
observations = torch.tensor(json.load(sys.stdin))
with torch.no_grad():
    print(json.dumps([policy(observation).tolist() for observation in observations]))
"""


@pytest.fixture(scope="module")
def samples(tmp_path_factory) -> Path:
    """Networks of three shapes, sampled from a generator of a few steps."""
    folder = tmp_path_factory.mktemp("plain-torch")
    rng = np.random.default_rng(0)
    members = [ZooMember(dims, 0, 0, 0.0, float("nan")) for dims in ((32,), (16, 16), (64, 32))]
    weights = [
        rng.normal(0.05, 0.2, INTERFACE.spec(member.hidden_dims).num_parameters)
        for member in members
    ]
    zoo = build_zoo(members, [flat.astype(np.float32) for flat in weights], INTERFACE)
    trained_with = {"architectures": PARAMS.architectures.model_dump(mode="json")}
    write_zoo(folder / "zoo", zoo, Provenance("random", trained_with, 0))
    inputs = tokenize.Inputs(folder / "zoo")
    tokenize.run(PARAMS, inputs, tokenize.Outputs(folder / "tokens"), options=CPU)
    outputs = diffuse_train.Outputs(folder / "generator")
    diffuse_train.run(PARAMS, diffuse_train.Inputs(folder / "tokens"), outputs, options=CPU)
    inputs, outputs = sample.Inputs(outputs.generator, SHAPES), sample.Outputs(folder / "samples")
    sample.run(PARAMS, inputs, outputs, options=CPU)
    return outputs.samples


def plain_block() -> str:
    """Return the code between the markers of the page."""
    (block,) = BLOCK.findall(PAGE.read_text())
    return block


def run_plain(folder: Path, observations: np.ndarray) -> subprocess.CompletedProcess[str]:
    """Run the page's lines on a network's folder in an interpreter without nnit."""
    return subprocess.run(
        [sys.executable, "-I", "-S", "-c", PRELUDE + plain_block() + CODA, str(folder)],
        input=json.dumps(observations.tolist()),
        capture_output=True,
        text=True,
        check=False,
    )


def plain_actions(folder: Path, observations: np.ndarray) -> np.ndarray:
    """Return what the page's lines answer, after they have checked the recorded pairs."""
    done = run_plain(folder, observations)
    assert done.returncode == 0, done.stderr
    return np.array(json.loads(done.stdout), np.float32)


def test_block_of_the_readme_is_short():
    """Ten lines or so, and no word of nnit's."""
    lines = [line for line in plain_block().splitlines() if line.strip()]
    assert len(lines) <= MAX_LINES
    assert "nnit" not in plain_block()


@pytest.mark.parametrize("k", range(len(SHAPES)))
def test_plain_torch_acts_as_nnit_does(k, samples):
    """The same actions to 1e-5 on 50 observations, far ones that are clipped among them."""
    drawn, _ = read_samples(samples)
    network = drawn.samples[k].network
    assert network.hidden_dims == SHAPES[k]
    rng = np.random.default_rng(k)
    observations = rng.normal(0, 1, (50, INTERFACE.obs_dim)) * INTERFACE.obs_std
    observations = (observations + INTERFACE.obs_mean).astype(np.float32)
    observations[:5] *= 1000
    policy = NumpyPolicy(INTERFACE, network.hidden_dims, network.weights)
    expected = np.stack([policy(observation) for observation in observations])
    actions = plain_actions(samples / f"network-{k:04d}", observations)
    np.testing.assert_allclose(actions, expected, rtol=0, atol=1e-5)
    inside = np.abs(expected) < INTERFACE.action_clip
    assert inside.any()
    assert not inside.all()
    assert expected.std(axis=0).min() > 0.01


@pytest.mark.parametrize("k", range(len(SHAPES)))
def test_plain_torch_notices_another_network(k, samples, tmp_path):
    """One whose last recorded action is a hundredth off."""
    folder = tmp_path / "network"
    shutil.copytree(samples / f"network-{k:04d}", folder)
    config = json.loads((folder / "config.json").read_text())
    assert len(config["pairs"]) == 10
    action = config["pairs"][9][1]
    action[0] += -0.01 if action[0] > 0 else 0.01
    (folder / "config.json").write_text(json.dumps(config))
    done = run_plain(folder, np.zeros((1, INTERFACE.obs_dim)))
    assert done.returncode == 1
    assert "AssertionError" in done.stderr
