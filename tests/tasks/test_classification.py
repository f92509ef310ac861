"""Examples as episodes, and files of digits."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from nnit.errors import DamagedArtifactError, MissingArtifactError, NnitError, UsageError
from nnit.mlp import MlpSpec, Network
from nnit.ppo.collect import FragmentUnit, explore
from nnit.rollout.episodes import EvaluationRequest, evaluate_networks
from nnit.tasks import classification
from nnit.tasks.collect import DemoRequest, Teacher, collect_demos
from nnit.tasks.registry import get_task
from nnit.tasks.task import TaskRef
from stages.ghn_ppo import plain_interface

pytestmark = pytest.mark.seconds


def digits_file(path, count=50, **changed):
    """Write a made-up .npz of digits, with some arrays replaced."""
    rng = np.random.default_rng(0)
    arrays = {
        "images": rng.integers(0, 256, (count, 28, 28), dtype=np.uint8),
        "labels": (np.arange(count) % 10).astype(np.uint8),
    }
    np.savez(path, **{**arrays, **changed})
    return str(path)


def idx(array) -> bytes:
    """Return an IDX file of bytes, written by hand from its description."""
    head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return head + array.tobytes()


def test_accuracy_is_the_mean_success():
    """A network that always says 3 is right exactly as often as 3 is the label."""
    task = get_task("digits")
    interface = collect_demos(TaskRef("digits"), DemoRequest(100)).interface
    spec = MlpSpec(64, 10, (4,))
    weights = np.zeros(spec.num_parameters, np.float32)
    weights[-10 + 3] = 1
    request = EvaluationRequest("three", "made", (4,), "", weights)
    (found,) = evaluate_networks([request], interface, task.evaluation_episodes)
    labels = task.examples().labels[: task.evaluation_episodes]
    assert found.success_once == np.mean(labels == 3)
    assert all(episode.episode_len == 1 for episode in found.episodes)


def test_what_is_evaluated_is_not_learnt_from():
    """The examples of both parts are all examples, each once."""
    task = get_task("digits")
    demos = collect_demos(TaskRef("digits"))
    examples = task.examples()
    assert len(demos.observations) + task.evaluation_episodes == len(examples.labels) == 1797
    assert np.array_equal(demos.observations, examples.inputs[task.evaluation_episodes :])
    assert np.array_equal(demos.actions.argmax(1), examples.labels[task.evaluation_episodes :])


def test_pixels_of_digits_are_hidden_while_networks_learn(tmp_path):
    """A fifth of them, or as many as one says; no number of another task, of classes or not."""
    mnist = TaskRef("mnist", digits_file(tmp_path / "some.npz"))
    cart = TaskRef("gym:CartPole-v1")
    found = [collect_demos(ref, DemoRequest(2)) for ref in (TaskRef("digits"), mnist, cart)]
    assert [demos.input_dropout for demos in found] == [0.2, 0.2, 0]
    assert collect_demos(mnist, DemoRequest(2, input_dropout=0.0)).input_dropout == 0


def test_pixels_share_their_scaling():
    """Mean 0 and deviation 1 over all pixels, and a pixel that is always 0 stays small."""
    demos = collect_demos(TaskRef("digits"))
    scaled = demos.interface.standardise(demos.observations)
    assert abs(scaled.mean()) < 1e-4
    assert abs(scaled.std() - 1) < 1e-3
    assert np.abs(scaled[:, 0]).max() < 2


def test_seeds_beyond_the_examples_are_refused():
    """The line says which there are."""
    with pytest.raises(UsageError, match="within 0 to 1796"):
        collect_demos(TaskRef("digits"), DemoRequest(1500))


def test_a_file_of_digits(tmp_path):
    """A fifth is evaluated; the same file gives the same order, and every image its own label."""
    path = digits_file(tmp_path / "some.npz")
    task = get_task(TaskRef("mnist", path))
    assert (task.evaluation_episodes, task.demo_episodes, task.max_seed) == (10, 40, 49)
    with np.load(path) as file:
        by_image = {i.tobytes(): k for i, k in zip(file["images"], file["labels"], strict=True)}
    inputs, labels = task.examples()
    assert [by_image[row.astype(np.uint8).tobytes()] for row in inputs] == labels.tolist()


@pytest.mark.parametrize("packed", [False, True])
def test_a_folder_of_idx_files(tmp_path, packed):
    """The test set of the folder is what is evaluated."""
    rng = np.random.default_rng(1)
    for part, count, label in (("train", 30, 1), ("test", 7, 7)):
        images = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        arrays = (images, np.full(count, label, np.uint8))
        for name, array in zip(classification.IDX_FILES[part], arrays, strict=True):
            path = tmp_path / (name + ".gz" * packed)
            path.write_bytes(gzip.compress(idx(array)) if packed else idx(array))
    task = get_task(TaskRef("mnist", str(tmp_path)))
    assert task.evaluation_episodes == 7
    assert task.examples().labels.tolist() == [7] * 7 + [1] * 30


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"labels": np.full(50, 10)}, "entry 0: found 10, expected 0 to 9"),
        ({"labels": np.full(50, 1.5)}, "labels: found float64"),
        ({"labels": np.arange(49) % 10}, "images: found"),
        ({"images": np.zeros((50, 27, 28))}, "images: found"),
        ({"images": np.full((50, 28, 28), np.nan)}, "NaN or infinity"),
    ],
)
def test_wrong_digits_are_one_line(tmp_path, changed, said):
    """It names the file, the field, and what was found."""
    path = digits_file(tmp_path / "wrong.npz", **changed)
    with pytest.raises(DamagedArtifactError, match=said) as caught:
        get_task(TaskRef("mnist", path))
    assert path in str(caught.value)
    assert "\n" not in str(caught.value)


def test_other_files_are_one_line(tmp_path):
    """No path, nothing there, not a .npz, an IDX file that ends too early, an empty folder."""
    text = tmp_path / "text.npz"
    text.write_text("no digits")
    nothing, truncated = tmp_path / "nothing.npz", tmp_path / "truncated.npz"
    nothing.write_bytes(b"")
    whole = Path(digits_file(tmp_path / "whole.npz")).read_bytes()
    truncated.write_bytes(whole[: len(whole) // 2])
    cut, empty = tmp_path / "cut", tmp_path / "empty"
    cut.mkdir()
    empty.mkdir()
    images, labels = classification.IDX_FILES["train"]
    (cut / images).write_bytes(idx(np.zeros((3, 28, 28), np.uint8))[:-1])
    (cut / labels).write_bytes(idx(np.zeros(3, np.uint8)))
    cases = {
        None: UsageError,
        str(tmp_path / "none.npz"): MissingArtifactError,
        str(text): DamagedArtifactError,
        str(nothing): DamagedArtifactError,
        str(truncated): DamagedArtifactError,
        str(cut): DamagedArtifactError,
        str(empty): MissingArtifactError,
    }
    for path, error in cases.items():
        with pytest.raises(error) as caught:
            get_task(TaskRef("mnist", path))
        assert isinstance(caught.value, NnitError)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("part", ["test", "train"])
@pytest.mark.parametrize("absent", [0, 1])
def test_half_of_a_set_is_missed(tmp_path, part, absent):
    """Images without labels, or labels alone: the line has the name of the other file."""
    for names in classification.IDX_FILES.values():
        arrays = np.zeros((10, 28, 28), np.uint8), np.arange(10, dtype=np.uint8)
        for name, array in zip(names, arrays, strict=True):
            (tmp_path / name).write_bytes(idx(array))
    name = classification.IDX_FILES[part][absent]
    (tmp_path / name).unlink()
    with pytest.raises(MissingArtifactError, match=f"expected {name} in it"):
        get_task(TaskRef("mnist", str(tmp_path)))


def test_a_download_becomes_a_file_of_digits(tmp_path, monkeypatch):
    """What OpenML gives, rows of floats and text labels, is read back as images and numbers."""
    rows = np.arange(20 * 784, dtype=float).reshape(20, 784) % 256
    labels = np.array([str(k % 10) for k in range(20)], object)
    monkeypatch.setattr("sklearn.datasets.fetch_openml", lambda *_, **__: (rows, labels))
    path = tmp_path / "new" / "mnist.npz"
    classification.download_mnist(path)
    task = get_task(TaskRef("mnist", str(path)))
    assert task.max_seed == 19
    assert sorted(task.examples().labels.tolist()) == sorted(list(range(10)) * 2)


def test_policies_explore_examples_that_are_there():
    """Reset seeds end where the examples do, and those that are evaluated are left alone."""
    ref, task = TaskRef("digits"), get_task("digits")
    interface = plain_interface(task)
    weights = np.zeros(interface.spec((4,)).num_parameters, np.float32)
    unit = FragmentUnit(ref, interface, (4,), weights, np.zeros(10, np.float32), 200, 0, (0,))
    assert len(explore(unit).actions) == 200


def test_labels_need_no_teacher():
    """A network would not be asked; who gave one is told."""
    interface = plain_interface(get_task("digits"))
    weights = np.zeros(interface.spec((4,)).num_parameters, np.float32)
    teacher = Teacher(interface, Network((4,), weights))
    with pytest.raises(UsageError, match="--teacher: digits has labels"):
        collect_demos(TaskRef("digits"), DemoRequest(3, teacher=teacher))
