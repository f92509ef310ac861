"""State to resume from: old or new after a crash, never of another run, never damaged unseen."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from artifact_examples import write

from nnit.artifacts.state import (
    SavedPart,
    State,
    UnitStore,
    clear_state,
    load_state,
    save_state,
    saved_parts,
    state_folder,
)
from nnit.errors import DamagedArtifactError, UsageError

TENSORS = {
    "weights": np.linspace(0, 1, 7, dtype=np.float32),
    "step": np.asarray(np.float32(3)),
    "generator": np.arange(16, dtype=np.uint8),
    "empty": np.ones((0, 2)),
    "diverged": np.array([np.nan, np.inf], np.float32),
}

pytestmark = pytest.mark.seconds


def test_state_comes_back_as_it_was_saved(tmp_path):
    """Tensors bit for bit, NaN included, with step and counters; the second save wins."""
    out = tmp_path / "ghn"
    save_state(out, "key", 1, {}, {})
    save_state(out, "key", 250, TENSORS, {"losses": [0.1, 1 / 3], "epoch": 4})
    state = load_state(out, "key")
    assert isinstance(state, State)
    assert (state.step, state.counters) == (250, {"losses": [0.1, 1 / 3], "epoch": 4})
    assert state.tensors.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert state.tensors[name].dtype == tensor.dtype
        assert state.tensors[name].shape == tensor.shape
        assert state.tensors[name].tobytes() == tensor.tobytes()
    assert [file.name for file in state_folder(out).iterdir()] == ["training.safetensors"]
    assert state_folder(out) == tmp_path / "ghn.state"


def test_state_of_another_run_is_told_apart(tmp_path):
    """It is not loaded; whose state and units are there is said without loading any."""
    out = tmp_path / "ghn"
    assert load_state(out, "key") is None
    assert saved_parts(out) == []
    save_state(out, "other", 12, TENSORS, {})
    UnitStore(out, "key").save("a", {})
    assert load_state(out, "key") is None
    assert saved_parts(out) == [SavedPart("other", 12), SavedPart("key", None)]
    clear_state(out, keep="key")
    assert load_state(out, "other") is None
    assert saved_parts(out) == [SavedPart("key", None)]
    clear_state(out)
    assert not list(tmp_path.iterdir())


def test_any_damage_of_a_state_is_found_and_the_way_out_named(tmp_path):
    """No flipped bit of the file changes what is loaded; truncation is damage too."""
    out = tmp_path / "ghn"
    save_state(out, "key", 5, TENSORS, {"a": 1})
    file = state_folder(out) / "training.safetensors"
    data = file.read_bytes()
    refused = 0
    for position in range(len(data)):
        changed = bytearray(data)
        changed[position] ^= 1 << (position % 8)
        file.write_bytes(changed)
        try:
            state = load_state(out, "key")
        except DamagedArtifactError as error:
            refused += 1
            assert "training.safetensors: move it away" in error.faults[-1]  # noqa: PT017
            continue
        # A flip may turn one space of the header's padding into another: nothing is lost by it.
        assert isinstance(state, State)
        assert (state.step, state.counters) == (5, {"a": 1})
        assert {k: v.tobytes() for k, v in state.tensors.items()} == {
            k: v.tobytes() for k, v in TENSORS.items()
        }
    assert refused > 0.97 * len(data)
    for size in (0, 7, len(data) // 2, len(data) - 1):
        file.write_bytes(data[:size])
        with pytest.raises(DamagedArtifactError):
            load_state(out, "key")


def test_clearing_keeps_what_is_not_state(tmp_path):
    """Only files go that say that this module wrote them, or have the names of unfinished ones."""
    out = tmp_path / "ghn"
    save_state(out, "key", 5, {}, {})
    UnitStore(out, "key").save("a", {})
    folder = state_folder(out)
    (folder / ".training.safetensors.tmp-1-abcdef01").write_text("half")
    (folder / "units" / ".a.safetensors.tmp-1-abcdef01").write_text("half")
    mine = (
        "notes.txt",
        "model.safetensors",
        "my.safetensors.tmp-backup",
        ".training.safetensors.tmp-mine",
        "units/b.safetensors",
        "units/.b.safetensors.tmp-mine",
        "units/a",
    )
    for name in mine:
        (folder / name).write_text(name)
    shutil.copy(folder / "units" / "a.safetensors", folder / "units" / "copy.safetensors")
    clear_state(out)
    left = {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}
    assert left == {*mine, "units/copy.safetensors"}


@pytest.mark.parametrize("linked", ["ghn.state", "ghn.state/units"])
def test_state_is_neither_looked_for_nor_cleared_through_a_link(linked, tmp_path):
    """What a folder of models has, be it named as state is, stays, and a run is told before it."""
    save_state(tmp_path / "models", "key", 5, {}, {})
    UnitStore(tmp_path / "models", "key").save("a", {})
    (tmp_path / linked).parent.mkdir(exist_ok=True)
    target = tmp_path / "models.state" / ("units" if linked.endswith("units") else "")
    (tmp_path / linked).symlink_to(target)
    clear_state(tmp_path / "ghn")
    assert len(list((tmp_path / "models.state").rglob("*.safetensors"))) == 2
    with pytest.raises(UsageError, match=f"{linked}: is in the way of the state") as caught:
        saved_parts(tmp_path / "ghn")
    assert "\n" not in str(caught.value)


def test_what_is_in_the_way_of_the_state_is_said_before_any_work(tmp_path):
    """A file, an artifact, and files with names of ours that say nothing of us."""
    out = tmp_path / "ghn"
    folder = state_folder(out)
    folder.write_text("x")
    with pytest.raises(UsageError, match="is in the way"):
        saved_parts(out)
    folder.unlink()
    write("zoo", folder)
    with pytest.raises(UsageError, match="is in the way"):
        saved_parts(out)
    for name in ("training.safetensors", "units/networks-0.safetensors"):
        shutil.rmtree(folder)
        for make in (lambda file: file.write_text("x"), os.mkfifo, Path.mkdir):
            shutil.rmtree(folder, ignore_errors=True)
            (folder / name).parent.mkdir(parents=True)
            make(folder / name)
            with pytest.raises(DamagedArtifactError, match=f"{name}: is damaged, or not") as caught:
                saved_parts(out)
            assert "\n" not in str(caught.value)


def test_units_are_kept_by_key_and_name(tmp_path):
    """A unit is loaded by the run that saved it; a damaged one counts as missing."""
    store = UnitStore(tmp_path / "zoo", "key")
    assert store.load("network-1") is None
    store.save("network-1", TENSORS)
    store.save("network-2", {"x": np.ones(2)})
    loaded = store.load("network-1")
    assert loaded is not None
    assert {k: v.tobytes() for k, v in loaded.items()} == {
        k: v.tobytes() for k, v in TENSORS.items()
    }
    assert UnitStore(tmp_path / "zoo", "other").load("network-1") is None
    folder = state_folder(tmp_path / "zoo") / "units"
    (folder / "network-2.safetensors").rename(folder / "network-3.safetensors")
    assert store.load("network-3") is None
    file = folder / "network-1.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"\x01")
    assert store.load("network-1") is None
    store.save("network-1", {"x": np.zeros(1)})
    assert store.load("network-1") is not None
    for name in ("../x", "", "a/b", ".hidden"):
        with pytest.raises(ValueError, match="not a unit's name"):
            store.save(name, {})


SAVE_FOR_EVER = """
import sys, time
from pathlib import Path
import numpy as np
from nnit.artifacts.state import save_state
out = Path(sys.argv[1])
for step in range(1, 10**6):
    save_state(out, "key", step, {"w": np.full(2**21, step, np.float32)}, {"step": step})
    print(step, flush=True)
"""


def test_a_killed_training_leaves_the_last_state_whole(tmp_path):
    """After SIGKILL at random moments the state is the last reported one or the next."""
    chooser = np.random.default_rng(0)
    for _ in range(8):
        command = [sys.executable, "-c", SAVE_FOR_EVER, str(tmp_path / "ghn")]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as training:
            assert training.stdout is not None
            assert training.stdout.readline() == b"1\n"
            time.sleep(chooser.uniform(0, 0.1))
            training.kill()
            reported = [1, *map(int, training.stdout.read().split())]
        assert training.returncode == -signal.SIGKILL
        state = load_state(tmp_path / "ghn", "key")
        assert isinstance(state, State)
        assert state.step in (reported[-1], reported[-1] + 1)
        assert (state.tensors["w"] == state.step).all()
        clear_state(tmp_path / "ghn")
        assert not list(tmp_path.iterdir())


def test_a_state_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    """A failing write of the new state does not touch the old one, nor leave a file behind."""
    save_state(tmp_path / "ghn", "key", 1, TENSORS, {})

    def failing(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(KeyboardInterrupt):
        save_state(tmp_path / "ghn", "key", 2, TENSORS, {})
    state = load_state(tmp_path / "ghn", "key")
    assert isinstance(state, State)
    assert state.step == 1
    assert len(list(Path(state_folder(tmp_path / "ghn")).iterdir())) == 1
