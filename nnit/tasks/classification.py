"""Classification as a task: an episode is one labelled input, and success is its right class.

The place of an example, after a shuffle that is the same everywhere, is its reset seed: the first
fifth is evaluated, the rest is learnt from.
"""

import math
import zlib
from collections.abc import Callable
from functools import cache
from io import BufferedReader
from pathlib import Path

import numpy as np

from nnit.errors import DamagedArtifactError, MissingArtifactError, UsageError
from nnit.mlp import CLASS
from nnit.opening import open_regular
from nnit.tasks.checked import checked_examples
from nnit.tasks.npz import names_of, open_npz, read_member
from nnit.tasks.task import Examples, Observed, Simulation, Task

TEST_SHARE = 5  # one of so many is evaluated
DIGITS_DROPOUT = 0.2  # of pixels: there are few digits, and networks would know them by heart
DIGIT_CLASSES = 10
MNIST_SIDE = 28
MAX_DIGITS = 2**17  # MNIST has 70,000
MAX_DIGITS_BYTES = 2**29  # as they lie in a file: MNIST in float64 is 0.4 GiB
LARGEST = float(np.finfo(np.float32).max)
ROWS = 1024  # that are put into order at a time
CHUNK_BYTES = 2**20
KERAS = {part: (f"x_{part}", f"y_{part}") for part in ("test", "train")}  # what is evaluated first
IDX_IMAGES, IDX_LABELS = 0x0803, 0x0801  # unsigned bytes in three dimensions, and in one
IDX_FILES = {  # the names that MNIST has everywhere: images, labels
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
}


class ExampleSimulation:
    """Shows one example and says whether it was classified right."""

    def __init__(self, examples: Examples) -> None:
        self._inputs, self._labels = examples

    def reset(self, seed: int) -> np.ndarray:
        """Return the input ``(obs_dim,)`` at the place ``seed``."""
        self._place = seed
        return self._inputs[seed]

    def step(self, action: np.ndarray) -> Observed:
        """Compare the chosen class with the label; the episode ends."""
        right = int(action.argmax()) == int(self._labels[self._place])
        return Observed(self._inputs[self._place], right, done=True)


def simulate(task: Task) -> Simulation:
    """Return the examples of a task as episodes.

    Raises:
        UsageError: as ``checked_examples``.
    """
    assert task.examples is not None
    return ExampleSimulation(checked_examples(task, task.examples()))


def classification_task(
    task_id: str,
    examples: Callable[[], Examples],
    *,
    total: int,
    obs_dim: int,
    num_classes: int,
    num_test: int | None = None,
    shared_scaling: bool = False,
    input_dropout: float = 0.0,
) -> Task:
    """Return a task of labelled examples.

    Args:
        task_id: The task's name.
        examples: Returns them, always in the same order: first what is evaluated.
        total: How many there are.
        obs_dim: Numbers of an input.
        num_classes: Classes, numbered from 0.
        num_test: How many are evaluated; by default one of five.
        shared_scaling: One mean and deviation for all numbers of an input, as of pixels.
        input_dropout: Share of an input's numbers that are hidden at random while networks learn.
    """
    num_test = total // TEST_SHARE if num_test is None else num_test
    return Task(
        task_id,
        obs_dim,
        num_classes,
        horizon=1,
        simulate=simulate,
        examples=examples,
        output=CLASS,
        demo_episodes=total - num_test,
        demo_first_seed=num_test,
        evaluation_episodes=num_test,
        max_seed=total - 1,
        input_dropout=input_dropout,
        shared_scaling=shared_scaling,
    )


def shuffled(*parts: tuple[np.ndarray, np.ndarray]) -> Examples:
    """Put inputs and labels of each part into the one order that every machine has.

    The parts follow each other; numbers of any type become float32.
    """
    from nnit.seeding import numpy_generator  # imports torch, which knowing a task does not need

    total, size = sum(len(labels) for _, labels in parts), parts[0][0].shape[1]
    joined = Examples(np.empty((total, size), np.float32), np.empty(total, np.int64))
    start = 0
    for inputs, labels in parts:
        order = numpy_generator(0, "examples").permutation(len(labels))
        for first in range(0, len(order), ROWS):
            rows = order[first : first + ROWS]
            place = slice(start + first, start + first + len(rows))
            joined.inputs[place], joined.labels[place] = inputs[rows], labels[rows]
        start += len(order)
    return joined


@cache
def digits() -> Examples:
    """Return scikit-learn's 1,797 handwritten digits of 8 x 8 pixels, 0 to 16; no download."""
    from sklearn.datasets import load_digits

    inputs, labels = load_digits(return_X_y=True)
    return shuffled((inputs, labels))


DIGITS = classification_task(
    "digits",
    digits,
    total=1797,
    obs_dim=64,
    num_classes=DIGIT_CLASSES,
    shared_scaling=True,
    input_dropout=DIGITS_DROPOUT,
)


def mnist(path: str | None) -> Task:
    """Return MNIST, or a part of it, from a file.

    Args:
        path: A ``.npz`` with ``images`` ``(N, 28, 28)`` and ``labels`` ``(N,)`` or with Keras's
            names, or a folder with MNIST's own IDX files, packed or not. A test set of its own
            is what is evaluated; else one example of five is.

    Raises:
        UsageError: no path.
        MissingArtifactError: nothing there.
        DamagedArtifactError: not such a file, other sizes, or labels out of range.
    """
    if path is None:
        raise UsageError(
            "--task mnist: needs the digits; give --data FILE.npz or the folder of the IDX files, "
            "or have them downloaded with --data FILE.npz --download"
        )
    examples, num_test = read_mnist(path)
    return classification_task(
        "mnist",
        lambda: examples,
        total=len(examples.labels),
        obs_dim=MNIST_SIDE**2,
        num_classes=DIGIT_CLASSES,
        num_test=num_test,
        shared_scaling=True,
        input_dropout=DIGITS_DROPOUT,
    )


@cache
def read_mnist(path: str) -> tuple[Examples, int | None]:
    """Return the examples of a file or folder, and how many of the first are a test set."""
    source = Path(path)
    parts = read_idx_folder(source) if source.is_dir() else read_npz(source)
    if sum(len(labels) for _, labels in parts) > MAX_DIGITS:
        raise DamagedArtifactError(f"--data {path}: holds more than {MAX_DIGITS} digits")
    num_test = len(parts[0][1]) if len(parts) > 1 else None
    return shuffled(*(checked(path, *part) for part in parts)), num_test


def read_npz(path: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """Read images and labels, or those of a test set and then those of a training set.

    Raises:
        MissingArtifactError: nothing there.
        DamagedArtifactError: not such a file, or arrays that are larger than digits are.
    """
    what = f"--data {path}"
    with open_npz(path, what) as archive:
        found = names_of(archive)
        if {"images", "labels"} <= found:
            pairs = [("images", "labels")]
        elif {name for pair in KERAS.values() for name in pair} <= found:
            pairs = list(KERAS.values())
        else:
            shown = ", ".join(map(ascii, sorted(found)[:4])) or "nothing"
            raise DamagedArtifactError(f"{what}: found {shown}, expected images and labels")
        largest = MAX_DIGITS_BYTES // len(pairs)
        return [
            (
                read_member(archive, images, max_rows=MAX_DIGITS, max_bytes=largest),
                read_member(archive, labels, max_rows=MAX_DIGITS, max_bytes=largest),
            )
            for images, labels in pairs
        ]


def read_idx_folder(folder: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """Read MNIST's own files: images and labels of the test set, then of the training set.

    Raises:
        MissingArtifactError: no training set, or images without their labels, or labels alone.
        DamagedArtifactError: a file that is not what its name says.
    """
    found = []
    for names in IDX_FILES.values():
        files = [
            next((p for p in (folder / name, folder / f"{name}.gz") if p.is_file()), None)
            for name in names
        ]
        missing = [name for name, path in zip(names, files, strict=True) if path is None]
        if not missing:
            images, labels = (path for path in files if path is not None)
            found.append((read_idx(images, IDX_IMAGES), read_idx(labels, IDX_LABELS)))
        elif len(missing) == 1 or names == IDX_FILES["train"]:
            raise MissingArtifactError(f"--data {folder}: expected {' and '.join(missing)} in it")
    return found


def read_idx(path: Path, magic: int) -> np.ndarray:
    """Read an IDX file of bytes, gzipped or not.

    Raises:
        DamagedArtifactError: another type, more than digits are, or not as long as it says.
    """
    dimensions = magic & 0xFF
    head = 4 * (1 + dimensions)
    limit = head + MAX_DIGITS * (MNIST_SIDE**2 if magic == IDX_IMAGES else 1)
    with open_regular(path) as stream:
        try:
            data = _unpacked(stream, limit) if path.suffix == ".gz" else stream.read(limit + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise DamagedArtifactError(f"{path}: {error}") from None
    if len(data) < head or int.from_bytes(data[:4]) != magic:
        raise DamagedArtifactError(f"{path}: is no IDX file of bytes in {dimensions} dimensions")
    shape = tuple(np.frombuffer(data, ">u4", dimensions, 4).tolist())
    if len(data) > limit or max(shape) > MAX_DIGITS or len(data) - head != math.prod(shape):
        found = "more" if len(data) > limit else str(len(data) - head)
        raise DamagedArtifactError(
            f"{path}: found {found} bytes, expected {' x '.join(map(str, shape))}"
        )
    return np.frombuffer(data, np.uint8, offset=head).reshape(shape)


def _unpacked(stream: BufferedReader, limit: int) -> bytearray:
    """Return what a gzipped file holds, or its first ``limit`` bytes and one more.

    Raises:
        EOFError: it ends too early.
        OSError: it can't be read.
        zlib.error: it is not gzipped.
    """
    unpacking, data = zlib.decompressobj(zlib.MAX_WBITS | 16), bytearray()
    while not unpacking.eof and len(data) <= limit:
        packed = unpacking.unconsumed_tail or stream.read(CHUNK_BYTES)
        if not packed:
            raise EOFError("ends too early")
        data += unpacking.decompress(packed, limit + 1 - len(data))
    return data


def checked(path: str, images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return images as rows ``(N, 784)``, and labels.

    Raises:
        DamagedArtifactError: other sizes, not finite, or labels out of range; the line says which.
    """
    count = len(labels)
    if not count or images.shape not in {(count, MNIST_SIDE, MNIST_SIDE), (count, MNIST_SIDE**2)}:
        raise DamagedArtifactError(
            f"--data {path}: images: found {images.shape}, expected ({count}, 28, 28) as there are "
            f"{count} labels"
        )
    if not (labels.shape == (count,) and np.issubdtype(labels.dtype, np.integer)):
        raise DamagedArtifactError(
            f"--data {path}: labels: found {labels.dtype} {labels.shape}, expected whole numbers"
        )
    wrong = np.flatnonzero((labels < 0) | (labels >= DIGIT_CLASSES))
    if len(wrong):
        raise DamagedArtifactError(
            f"--data {path}: labels: entry {wrong[0]}: found {labels[wrong[0]]}, expected 0 to 9"
        )
    with np.errstate(invalid="ignore"):  # NaN is neither
        finite = float(images.min()) >= -LARGEST and float(images.max()) <= LARGEST
    if not finite:
        raise DamagedArtifactError(f"--data {path}: images: hold NaN or infinity")
    return images.reshape(count, -1), labels


def download_mnist(path: Path) -> None:
    """Fetch MNIST's 70,000 digits from OpenML and keep them in a ``.npz`` file.

    Raises:
        UsageError: not a ``.npz``.
        OSError: no network.
    """
    if path.suffix != ".npz":
        raise UsageError(f"--data {path}: a download is kept in a .npz file")
    from sklearn.datasets import fetch_openml

    inputs, targets = fetch_openml("mnist_784", version=1, as_frame=False, return_X_y=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    images = inputs.reshape(-1, MNIST_SIDE, MNIST_SIDE).astype(np.uint8)
    labels = targets.astype(np.uint8)
    unfinished = path.with_name(f".{path.name}.tmp")
    with unfinished.open("wb") as file:
        np.savez_compressed(file, images=images, labels=labels)
    unfinished.replace(path)
