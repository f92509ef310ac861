"""``nnit rollout --video``: films beside the figures, which stay what they are."""

import numpy as np
import pytest
from film_player import played

from nnit.artifacts.manifest import Provenance
from nnit.artifacts.reading import verify
from nnit.artifacts.rollouts import read_rollouts
from nnit.artifacts.samples import Sample, SampleSet, write_samples
from nnit.mlp import CLASS, Network, PolicyInterface
from nnit.tasks.simulation import import_simulator
from nnit.tasks.vulkan import has_render_device
from nnit_cli.main import main

CART_POLE = PolicyInterface("gym:CartPole-v1", "none", 4, 2, 500, (0.0,) * 4, (1.0,) * 4)._replace(
    output=CLASS
)


def write_networks(path, interface, count=2, versions=None):
    """Networks of random weights, one hidden layer of 8 units."""
    rng = np.random.default_rng(0)
    size = interface.spec((8,)).num_parameters
    weights = rng.normal(size=(count, size)).astype(np.float32)
    samples = tuple(Sample(Network((8,), one), 0, k) for k, one in enumerate(weights))
    origin = Provenance("x", {}, 0)
    write_samples(path, SampleSet(samples, interface), origin, versions=versions)


@pytest.fixture
def cart_poles(tmp_path):
    """Two networks that balance a pole badly."""
    write_networks(tmp_path / "samples", CART_POLE)
    return tmp_path / "samples"


def roll_out(networks, out, *flags, quiet=True):
    """Run the command on three episodes; return its exit code."""
    words = ["rollout", str(networks), "--out", str(out), "--episodes", "3", "--workers", "1"]
    return main([*words, *["-q"] * quiet, *flags])


def test_each_network_is_filmed(cart_poles, tmp_path, capsys):
    """One film of each, as long as its first episode; the figures are the same bytes without."""
    out = tmp_path / "filmed"
    assert roll_out(cart_poles, out, "--video", quiet=False) == 0
    (where,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("films ")]
    assert roll_out(cart_poles, tmp_path / "plain") == 0
    assert (out / "eval.json").read_bytes() == (tmp_path / "plain" / "eval.json").read_bytes()
    assert not (tmp_path / "plain" / "videos").exists()
    evaluations = read_rollouts(out)[0].evaluations
    films = sorted((out / "videos").iterdir())
    assert [film.name for film in films] == [f"{one.name}.mp4" for one in evaluations]
    assert where.endswith(f"2 in {out}/videos: {films[0].name}; {films[1].name}")
    for film, evaluation in zip(films, evaluations, strict=True):
        fps, pictures = played(film)
        assert fps == 50
        assert pictures.shape == (evaluation.episodes[0].episode_len + 1, 400, 600, 3)
    assert verify(out) == []


def test_filmed_twice_the_bytes_are_the_same(cart_poles, tmp_path):
    """The manifest has the hash of every film."""
    for name in ("one", "two"):
        assert roll_out(cart_poles, tmp_path / name, "--video") == 0
    one, two = ((tmp_path / name / "manifest.json").read_bytes() for name in ("one", "two"))
    assert b"videos/" in one
    assert one == two


def test_baselines_are_not_filmed(cart_poles, tmp_path):
    """Only the networks that were asked for."""
    write_networks(tmp_path / "others", CART_POLE, count=3)
    also = f"others={tmp_path / 'others'}"
    assert roll_out(cart_poles, tmp_path / "out", "--video", "--also", also) == 0
    assert len(read_rollouts(tmp_path / "out")[0].evaluations) == 5
    assert len(list((tmp_path / "out" / "videos").iterdir())) == 2


def test_a_task_without_pictures_is_refused(tmp_path, capsys):
    """Exit code 2 and one line, before any episode."""
    digits = CART_POLE._replace(
        task="digits", obs_dim=64, act_dim=10, horizon=1, obs_mean=(0.0,) * 64, obs_std=(1.0,) * 64
    )
    write_networks(tmp_path / "samples", digits)
    assert roll_out(tmp_path / "samples", tmp_path / "out", "--video") == 2
    line = capsys.readouterr().err
    assert line == "nnit: --video: digits has no pictures of its episodes\n"
    assert not (tmp_path / "out").exists()


def test_films_are_not_made_on_a_gpu(cart_poles, tmp_path, monkeypatch, capsys):
    """As trajectories: many environments at once have no camera."""
    monkeypatch.setattr("stages.rollout.require_backend", lambda _: None)
    assert roll_out(cart_poles, tmp_path / "out", "--video", "--sim-backend", "physx_cuda") == 2
    assert capsys.readouterr().err.startswith("nnit: --video: goes with --sim-backend physx_cpu")


@pytest.mark.sim
def test_without_vulkan_exit_code_6(pipeline, tmp_path, capsys):
    """One line that says what to install, before any episode."""
    import_simulator()
    if has_render_device():
        pytest.skip("there is a Vulkan device to draw with")
    assert roll_out(pipeline / "samples", tmp_path / "out", "--video") == 6
    line = capsys.readouterr().err
    assert line.startswith("nnit: --video: found no Vulkan device")
    assert line.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
