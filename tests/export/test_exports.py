"""What is exported answers as torch does: scaling, clipping, bounds, choice; in its own runtime."""

import re
import shutil
import subprocess
import zipfile
from io import BytesIO

import numpy as np
import onnx
import pytest
from export_examples import SHAPES, network, policy

from nnit.errors import UsageError
from nnit.export.c_compiler import has_compiler, run_header
from nnit.export.c_header import header_text
from nnit.export.onnx_graph import onnx_answers, onnx_bytes
from nnit.export.policy import (
    TOLERANCE,
    Answers,
    largest_difference,
    observations_for,
    torch_answers,
    torch_module,
)
from nnit.export.torch_program import program_answers, program_bytes
from nnit.mlp import split_layers
from nnit.policy import NumpyPolicy

needs_compiler = pytest.mark.skipif(not has_compiler(), reason="no C compiler here")
ANSWERS = {
    "onnx": lambda one, observations: onnx_answers(onnx_bytes(one), observations),
    "pt2": lambda one, observations: program_answers(program_bytes(one), observations),
    "c": lambda one, observations: run_header(one, header_text(one), observations).answers,
}
FORMATS = ["onnx", "pt2", pytest.param("c", marks=needs_compiler)]

pytestmark = pytest.mark.seconds


@pytest.mark.parametrize("kind", ["action", "class", "recorded"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("form", FORMATS)
def test_answers_are_those_of_torch(form, shape, kind):
    """On 1,000 observations, some so far out that the clipping of inputs shows; and on no number.

    Torch's own are held against the policy that rollouts use.
    """
    one = policy(kind, shape)
    observations = observations_for(one)
    assert len(observations) == 1000
    observations[0, 2] = np.nan
    expected = torch_answers(torch_module(one), observations)
    found = ANSWERS[form](one, observations)
    assert found.outputs.shape == (1000, one.interface.act_dim)
    largest = max(1, abs(expected.outputs).max())
    np.testing.assert_allclose(found.outputs, expected.outputs, rtol=0, atol=TOLERANCE * largest)
    assert largest_difference(expected, found) <= TOLERANCE
    numpy_policy = NumpyPolicy(one.interface, shape, one.network.weights)
    actions = np.stack([numpy_policy(observation) for observation in observations])
    still = one.interface.in_units(np.zeros(one.interface.act_dim))
    assert (found.outputs[0] == still).all()  # what is no number stands still
    if kind == "class":
        assert found.chosen is not None
        assert (actions.argmax(axis=1) == found.chosen).all()
        assert len(set(found.chosen)) == one.interface.act_dim
    else:
        assert found.chosen is None
        inner, actions = found.outputs, one.interface.in_units(actions)
        np.testing.assert_allclose(inner, actions, rtol=0, atol=TOLERANCE * largest)
        if one.interface.recorded is not None:
            inner = one.interface.recorded.from_units(inner)
            assert (inner[:, 2] == 0).all()
        bounded = abs(inner) == 1
        assert bounded.any()
        assert not bounded.all()


@pytest.mark.parametrize("kind", ["action", "class"])
@pytest.mark.parametrize("form", ["onnx", "pt2"])
def test_any_number_of_observations_is_asked_at_once(form, kind):
    """Each is answered as if alone."""
    one = policy(kind, (3, 17, 5))
    data = {"onnx": onnx_bytes, "pt2": program_bytes}[form](one)
    answers = {"onnx": onnx_answers, "pt2": program_answers}[form]
    observations = observations_for(one)[:7]
    whole = answers(data, observations).outputs
    for k in range(7):
        alone = answers(data, observations[k : k + 1]).outputs
        np.testing.assert_allclose(alone[0], whole[k], rtol=0, atol=TOLERANCE)


def test_a_difference_is_seen():
    """Of a number by its size, and of a class that is not that of the largest number."""
    expected = Answers(np.array([[0.0, 1.0], [0.0, 100.0]], np.float32), np.array([1, 1]))
    near = Answers(np.array([[0.0, 1.5], [0.0, 100.0]], np.float32), np.array([1, 1]))
    assert largest_difference(expected, expected) == 0
    assert largest_difference(expected, near) == pytest.approx(0.005)
    other = expected._replace(chosen=np.array([1, 0]))
    assert largest_difference(expected, other) == float("inf")


@pytest.mark.parametrize("encode", [onnx_bytes, program_bytes, header_text])
def test_the_same_network_gives_the_same_bytes(encode):
    """And no path of this machine is in them."""
    one = policy("class", (3, 17, 5))
    data = encode(one)
    assert encode(one) == data
    text = data if isinstance(data, str) else data.decode("latin1")
    assert "site-packages" not in text
    assert "/nnit/" not in text


def test_a_program_holds_no_pickle():
    """PyTorch would put one there for its sample inputs."""
    with zipfile.ZipFile(BytesIO(program_bytes(policy("action")))) as archive:
        assert archive.read("nnit/data/sample_inputs/model.pt") == b""


def test_a_model_says_what_it_is_for():
    """Names of inputs and outputs, and what config.json says of the environment."""
    model = onnx.load_from_string(onnx_bytes(policy("class")))
    assert [one.name for one in model.graph.input] == ["observation"]
    assert [one.name for one in model.graph.output] == ["logits", "class"]
    about = {one.key: one.value for one in model.metadata_props}
    assert about["task"] == "gym:CartPole-v1"
    assert about["control_freq"] == "20"
    assert about["observation_layout"].startswith(
        '[{"name": "agent/qpos", "start": 0, "length": 4}'
    )


def test_a_model_beyond_what_onnx_holds_is_refused():
    """Before any memory is taken for it."""
    one = policy("action")
    network = one.network._replace(hidden_dims=(30000, 30000))
    with pytest.raises(UsageError, match=r"^--onnx: network-0000: a file of ONNX holds less than"):
        onnx_bytes(one._replace(network=network))


def test_a_header_holds_every_number_to_the_last_bit():
    """In as few digits as read back as the same."""
    one = policy("action", (3, 17, 5))
    arrays = dict(re.findall(r"network_0000_(\w+)\[\d+\] = \{([^}]*)\}", header_text(one)))
    numbers = {
        name: np.array(re.findall(r"([^,\n]+)f,", text), np.float32)
        for name, text in arrays.items()
    }
    assert numbers["obs_std"].tolist() == np.float32(one.interface.obs_std).tolist()
    layers = split_layers(one.interface.spec(one.network.hidden_dims), one.network.weights)
    for k, (weight, bias) in enumerate(layers):
        assert numbers[f"weight_{k}"].tobytes() == weight.T.tobytes()
        assert numbers[f"bias_{k}"].tobytes() == bias.tobytes()


@needs_compiler
def test_a_header_of_64_64_is_small_and_needs_no_library(tmp_path):
    """Below 100 kB once compiled, and nothing but the compiler's own memory calls is undefined."""
    one = policy("action")
    (tmp_path / "a.h").write_text(header_text(one))
    (tmp_path / "b.h").write_text(header_text(one._replace(name="network-0001")))
    (tmp_path / "main.c").write_text(
        '#include "a.h"\n#include "b.h"\n'
        "void act(const float *x, float *y) { network_0000_act(x, y); }\n"
        "void other(const float *x, float *y) { network_0001_act(x, y); }\n"
    )
    flags = ["-Os", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror"]
    languages = {"cc": ["-std=c99"], "c++": ["-std=c++11", "-x", "c++"]}
    for compiler, words in languages.items():
        if shutil.which(compiler) is None:
            continue
        command = [compiler, *words, *flags, "-c", "main.c", "-o", f"{compiler}.o"]
        subprocess.run(command, cwd=tmp_path, check=True)
    assert (tmp_path / "cc.o").stat().st_size < 2 * 100_000  # two networks
    assert (tmp_path / "cc.o").stat().st_size > 2 * one.num_bytes
    if shutil.which("nm"):
        listed = subprocess.run(
            ["nm", "-u", "cc.o"], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        assert set(listed.stdout.split()) <= {"U", "memcpy", "memset", "memmove"}


@needs_compiler
def test_the_compiler_is_asked_how_fast(tmp_path):
    """Some time, of one call: less than a thousand of them take."""
    one = policy("action")
    compiled = run_header(one, header_text(one), observations_for(one))
    assert 0 < compiled.latency_s < 1e-3


def test_bytes_of_the_numbers_are_those_of_the_arrays():
    """Weights, biases, mean and deviation, of four bytes each."""
    one = policy("action")
    count = network(one.interface, one.network.hidden_dims).weights.size
    assert one.num_bytes == 4 * (count + 2 * 5)
