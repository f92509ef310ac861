"""The log of a training has every step once, and trackers are shown the same."""

import csv
import json
import struct
from types import SimpleNamespace

import pytest
from tiny_pipeline import COMMANDS, PARAMS, TRAININGS, Recorder, names, run

from nnit.artifacts.log import log_file, read_log
from nnit.errors import DamagedArtifactError, InterruptedRunError, ParamsError, UsageError
from nnit.progress import silent
from nnit.trackers import folder_of, require_trackers
from stages.checkpoints import UNREAD, Run, follow
from stages.params import RunOptions

STEPS = 8  # of each training
FIGURES = {
    "ghn-train": ["loss", "learning_rate", "seconds", "transitions_per_second"],
    "diffuse-train": [
        *["loss", "learning_rate", "weight_error", "arch_loss", "cloning_loss", "seconds"],
        "tokens_per_second",
    ],
    "flat-train": ["loss", "learning_rate", "seconds", "networks_per_second"],
}


def stop(name, source, out, after, **options):
    """Run until it stops, some steps later."""
    with pytest.raises(InterruptedRunError):
        run(name, source, out, progress=Recorder(after), **options)


def timeless(records):
    """Return records without what a clock says."""
    clock = ("seconds", "_per_second")
    return [{k: v for k, v in one.items() if not k.endswith(clock)} for one in records]


def dead_after(out, *lines):
    """Have a log look like that of a run that was killed some time after its checkpoint."""
    with log_file(out).open("a") as log:
        log.write("\n".join(lines))


@pytest.mark.parametrize("name", TRAININGS)
def test_every_step_is_logged_with_its_figures(name, pipeline):
    """In order, beside the artifact, and a rate that the schedule ends."""
    records = read_log(log_file(pipeline / COMMANDS[name].kind))
    assert [one["step"] for one in records] == [*range(1, STEPS + 1)]
    assert all(list(one) == ["step", *FIGURES[name]] for one in records)
    assert all(one["loss"] > 0 for one in records)
    seconds = [one["seconds"] for one in records]
    assert seconds == sorted(seconds)
    assert records[-1]["learning_rate"] < records[-2]["learning_rate"]


def test_branches_of_a_zoo_are_logged_in_their_mean(pipeline):
    """Beside the zoo, also where it was made in several goes."""
    records = read_log(pipeline / "zoo.log.jsonl")
    assert [one["step"] for one in records] == [*range(1, PARAMS.zoo_export.branch_steps + 1)]
    assert all(one["loss"] > 0 for one in records)


@pytest.mark.parametrize("name", TRAININGS)
def test_no_step_is_lost_or_logged_twice(name, pipeline, tmp_path):
    """Stopped, and killed behind a checkpoint in the middle of a line: as in one go."""
    out = tmp_path / "out"
    stop(name, pipeline, out, 3)
    before = read_log(log_file(out))
    assert [one["step"] for one in before] == [1, 2, 3]
    dead_after(out, '{"step": 4, "loss": 9.0}', '{"step": 5, "lo')
    stop(name, pipeline, out, 2, resume=True)
    run(name, pipeline, out, resume=True)
    after = read_log(log_file(out))
    assert after[:3] == before
    assert after[3]["seconds"] >= before[-1]["seconds"]
    assert timeless(after) == timeless(read_log(log_file(pipeline / COMMANDS[name].kind)))


def test_a_training_from_the_start_has_a_log_of_its_own(pipeline, tmp_path):
    """What an earlier one left there is gone."""
    out = tmp_path / "out"
    stop("ghn-train", pipeline, out, 4, seed=1)
    run("ghn-train", pipeline, out, force=True)
    assert timeless(read_log(log_file(out))) == timeless(read_log(pipeline / "ghn.log.jsonl"))


def test_a_log_that_lacks_steps_is_one_line_and_may_be_moved_away(pipeline, tmp_path):
    """It is neither taken for a whole one nor lost."""
    out = tmp_path / "out"
    stop("ghn-train", pipeline, out, 4)
    log_file(out).write_text('{"step": 1, "loss": 0.5}\n')
    with pytest.raises(DamagedArtifactError, match=r"end at step 1, .* from step 4; move it away"):
        run("ghn-train", pipeline, out, resume=True)
    log_file(out).rename(tmp_path / "mine")
    run("ghn-train", pipeline, out, resume=True)
    assert [one["step"] for one in read_log(log_file(out))] == [5, 6, 7, 8]


def test_what_is_no_log_is_not_overwritten(pipeline, tmp_path):
    """One line before any work."""
    log_file(tmp_path / "out").write_text("my notes")
    with pytest.raises(UsageError, match=r"out: its log goes to out\.log\.jsonl: is not what"):
        run("ghn-train", pipeline, tmp_path / "out")
    assert log_file(tmp_path / "out").read_text() == "my notes"
    assert names(tmp_path) == []


def test_the_step_that_has_no_number_is_logged(tmp_path):
    """As the last one: it is what was wrong."""
    run_ = Run(tmp_path / "out", "key", RunOptions(device="cpu"))
    steps = (SimpleNamespace(step=k, loss=loss) for k, loss in enumerate([2.0, float("inf")], 1))
    with pytest.raises(ParamsError):
        follow(steps, run_, silent, total=5, every=2, arrays=dict, state=None)
    assert [one["loss"] for one in read_log(log_file(run_.out))] == [2.0, None]


def test_a_gpu_is_waited_for_no_more_often_than_without_a_log(tmp_path):
    """Its losses are looked at together, and the log has all of them."""
    looked = set()

    class OnGpu:
        last = 0

        def __init__(self, step):
            self.step = OnGpu.last = step

        @property
        def loss(self):
            looked.add(OnGpu.last)
            return float(self.step)

    run_ = Run(tmp_path / "out", "key", RunOptions(device="cuda", trackers=("tensorboard",)))
    total = 2 * UNREAD + 5
    steps = map(OnGpu, range(1, total + 1))
    follow(steps, run_, silent, total=total, every=total, arrays=dict, state=None)
    assert looked == {UNREAD, 2 * UNREAD, total}
    assert [one["loss"] for one in read_log(log_file(run_.out))] == [*range(1, total + 1)]


def read_tensorboard(out):
    """Return name -> points, read by TensorBoard."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder_of(out, "tensorboard")), {"scalars": 0})
    events.Reload()
    return {
        name: [(one.step, one.value) for one in events.Scalars(name)]
        for name in events.Tags()["scalars"]
    }


def read_dvclive(out):
    """Return name -> points, from DVCLive's tables."""
    found = {}
    for path in (folder_of(out, "dvclive") / "plots" / "metrics").iterdir():
        with path.open(newline="") as stream:
            rows = csv.DictReader(stream, delimiter="\t")
            found[path.stem] = [(int(row["step"]), float(row[path.stem])) for row in rows]
    return found


def read_wandb(out):
    """Return name -> points, from the records of all runs that W&B would send.

    Its file is a log of LevelDB: blocks of 32 KiB, of pieces behind a head of seven bytes.
    """
    from wandb.proto.wandb_internal_pb2 import Record

    found = {}
    for path in sorted((folder_of(out, "wandb").parent / "wandb").glob("offline-run-*/*.wandb")):
        data, at, record = path.read_bytes(), 7, b""
        while at + 7 <= len(data):
            _, length, kind = struct.unpack_from("<IHB", data, at)
            record += data[at + 7 : at + 7 + length]
            at += 7 + length
            left = -at % 2**15
            at += left if left < 7 else 0
            if kind in (1, 4):  # whole, or its last piece
                said, record = Record.FromString(record), b""
                for item in said.history.item:
                    points = found.setdefault(item.key or item.nested_key[0], [])
                    points.append((said.history.step.num, float(item.value_json)))
    return {name: points for name, points in found.items() if not name.startswith("_")}


@pytest.mark.parametrize(
    ("tracker", "read"),
    [
        ("tensorboard", read_tensorboard),
        ("dvclive", read_dvclive),
        pytest.param("wandb", read_wandb, marks=pytest.mark.slow),
    ],
)
def test_a_tracker_has_what_the_log_has(tracker, read, pipeline, tmp_path, monkeypatch):
    """Every step once, of a training that was stopped, and killed behind a checkpoint."""
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    out, options = tmp_path / "out", {"trackers": (tracker,)}
    stop("diffuse-train", pipeline, out, 3, **options)
    killed = {"step": 4, "loss": 9.0}
    dead_after(out, json.dumps(killed))
    run("diffuse-train", pipeline, out, resume=True, **options)
    records = read_log(log_file(out))
    found = read(out)
    assert sorted(found) == sorted(name for name in records[0] if name != "step")
    for name, points in found.items():
        assert [step for step, _ in points] == [*range(1, STEPS + 1)]
        assert [value for _, value in points] == pytest.approx([one[name] for one in records])


def test_a_tracker_that_is_not_installed_is_one_line():
    """It says which extra has it."""
    with pytest.raises(UsageError) as caught:
        require_trackers(["tensorboard", "no_such_tracker"])
    assert str(caught.value) == (
        "--log no_such_tracker: needs nnit[no_such_tracker]; pip install 'nnit[no_such_tracker]'"
    )
