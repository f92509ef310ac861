"""A run that was interrupted and goes on ends in the same bytes as one that was not."""

import shutil
import signal
from pathlib import Path

import pytest
from tiny_pipeline import (
    COMMANDS,
    FANNED_OUT,
    PARAMS,
    TRAININGS,
    Recorder,
    content,
    names,
    run,
    tree,
    with_section,
)

from nnit.artifacts.log import log_file
from nnit.errors import DamagedArtifactError, InterruptedRunError, OutputExistsError, UsageError

STEPS = 8  # of each training


def stop(name: str, source: Path, out: Path, after: int, number: int = 15, **options):
    """Run until it stops, a number of units later; return its progress and its error."""
    progress = Recorder(after, number)
    with pytest.raises(InterruptedRunError) as caught:
        run(name, source, out, progress=progress, **options)
    return progress, caught.value


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("name", TRAININGS)
def test_stopped_training_says_where_it_is_and_how_to_go_on(name, number, pipeline, tmp_path):
    """Exit code 128 + the signal, the step, the flag; the state is there and the output is not."""
    out = tmp_path / "out"
    progress, error = stop(name, pipeline, out, 5, number)
    assert error.exit_code == 128 + number
    assert error.faults == (
        f"{out}: stopped by {signal.Signals(number).name} at step 5 of {STEPS}, state saved; "
        "go on with the same command and --resume",
    )
    assert progress.units == 5
    assert names(tmp_path) == ["out.state"]


@pytest.mark.parametrize("name", TRAININGS)
def test_training_stopped_after_every_step_equals_an_uninterrupted_one(name, pipeline, tmp_path):
    """Seven stops and resumptions later the bytes are those of one go, and no state is left."""
    out = tmp_path / "out"
    for done in range(STEPS - 1):
        progress, _ = stop(name, pipeline, out, 1, resume=True)
        assert progress.parts == [(name, STEPS, done)]
    last = Recorder()
    run(name, pipeline, out, resume=True, progress=last)
    assert (last.parts, last.units) == ([(name, STEPS, STEPS - 1)], 1)
    assert tree(out) == tree(pipeline / COMMANDS[name].kind)
    assert names(tmp_path) == ["out"]


@pytest.mark.parametrize("name", TRAININGS)
def test_signal_after_the_last_step_comes_too_late(name, pipeline, tmp_path):
    """There is nothing left to resume: the artifact is written."""
    run(name, pipeline, tmp_path / "out", progress=Recorder(STEPS))
    assert tree(tmp_path / "out") == tree(pipeline / COMMANDS[name].kind)


@pytest.mark.parametrize("name", TRAININGS)
def test_saved_state_is_neither_used_nor_lost_without_being_asked(name, pipeline, tmp_path):
    """Without --resume or --force it is a usage error naming both; with --force it starts over."""
    out = tmp_path / "out"
    stop(name, pipeline, out, 4)
    before = tree(tmp_path)
    with pytest.raises(UsageError, match=r"saved at step 4; go on with --resume, or .* --force"):
        run(name, pipeline, out)
    assert tree(tmp_path) == before
    progress = Recorder()
    run(name, pipeline, out, force=True, progress=progress)
    assert progress.parts == [(name, STEPS, 0)]
    assert tree(out) == tree(pipeline / COMMANDS[name].kind)
    assert names(tmp_path) == ["out"]


@pytest.mark.parametrize("change", ["learning_rate", "seed"])
@pytest.mark.parametrize("name", TRAININGS)
def test_state_of_another_run_is_neither_mixed_in_nor_lost(name, change, pipeline, tmp_path):
    """With other parameters or seed one line asks for --force; then it ends as if alone."""
    out, alone = tmp_path / "out", tmp_path / "alone"
    other, seed = PARAMS, 1
    if change == "learning_rate":
        other, seed = with_section(PARAMS, name, learning_rate=5e-4), 0
    run(name, pipeline, alone, params=other, seed=seed)
    stop(name, pipeline, out, 4)
    before = tree(tmp_path)
    for resume in (False, True):
        with pytest.raises(UsageError) as caught:
            run(name, pipeline, out, params=other, seed=seed, resume=resume)
        assert caught.value.faults == (
            f"{out}: an interrupted run is saved at step 4 with other parameters, inputs or nnit; "
            f"start over with --force, or remove {out}.state",
        )
    assert tree(tmp_path) == before
    progress = Recorder()
    both = {"resume": change == "seed", "force": True}  # --resume finds nothing to go on from
    run(name, pipeline, out, params=other, seed=seed, **both, progress=progress)
    assert progress.parts == [(name, STEPS, 0)]
    assert tree(out) == tree(alone)
    assert content(out) != content(pipeline / COMMANDS[name].kind)
    assert names(tmp_path) == ["alone", "out"]


def test_resume_and_force_go_on_and_replace_the_output(pipeline, tmp_path):
    """Together they lose no step of this very run."""
    name, out = "ghn-train", tmp_path / "out"
    run(name, pipeline, out, seed=1)
    stop(name, pipeline, out, 4, force=True)
    progress = Recorder()
    run(name, pipeline, out, resume=True, force=True, progress=progress)
    assert progress.parts == [(name, STEPS, 4)]
    assert tree(out) == tree(pipeline / "ghn")
    assert names(tmp_path) == ["out"]


@pytest.mark.parametrize("name", TRAININGS)
@pytest.mark.parametrize("force", [False, True])
def test_a_training_spares_a_link_in_the_place_of_its_state(force, name, pipeline, tmp_path):
    """Told in one line before any work; the folder behind it keeps its files."""
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "training.safetensors").write_text("x")
    (tmp_path / "out.state").symlink_to("models")
    before = tree(tmp_path / "models")
    with pytest.raises(UsageError, match=r"out\.state: is in the way of the state"):
        run(name, pipeline, tmp_path / "out", force=force)
    assert tree(tmp_path / "models") == before
    assert names(tmp_path) == ["models", "out.state"]


@pytest.mark.parametrize("name", TRAININGS)
def test_more_checkpoints_change_nothing(name, pipeline, tmp_path):
    """How often the state is saved is no part of a run: neither of its bytes nor of its key."""
    out = tmp_path / "out"
    stop(name, pipeline, out, 4, params=with_section(PARAMS, name, checkpoint_every=1))
    run(name, pipeline, out, resume=True)
    assert tree(out) == tree(pipeline / COMMANDS[name].kind)


@pytest.mark.parametrize("flipped", [False, True])
@pytest.mark.parametrize("name", TRAININGS)
def test_damaged_state_is_refused_with_the_way_out(name, flipped, pipeline, tmp_path):
    """Cut off or with a bit flipped: exit code 5; without the file it starts anew."""
    out = tmp_path / "out"
    stop(name, pipeline, out, 4)
    (state,) = (tmp_path / "out.state").iterdir()
    data = bytearray(state.read_bytes())
    data[-9] ^= 4
    state.write_bytes(data if flipped else data[:-9])
    with pytest.raises(DamagedArtifactError) as caught:
        run(name, pipeline, out, resume=True)
    assert caught.value.exit_code == 5
    assert str(state.parent) in caught.value.faults[0]
    assert str(state) in caught.value.faults[-1]
    assert caught.value.faults[-1].endswith(": move it away to start from the beginning")
    state.unlink()
    run(name, pipeline, out, resume=True)
    assert tree(out) == tree(pipeline / COMMANDS[name].kind)


@pytest.mark.parametrize("name", [*TRAININGS, *FANNED_OUT])
def test_finished_output_is_not_resumed(name, pipeline, tmp_path):
    """--resume alone does not replace an output that is there."""
    with pytest.raises(OutputExistsError):
        run(name, pipeline, pipeline / COMMANDS[name].kind, resume=True)


# Two branches that write seven networks each; two clones in one group, and twelve episodes, two to
# a unit.
PARTS = {
    "zoo-export": [("branches", 2), ("networks", 14)],
    "rollout": [("cloning", 2), ("episodes", 12)],
}
# Stops in the first part and in the second; what each run finds done, part by part.
STOPS = {
    "zoo-export": [(1, [0]), (2, [1, 0]), (None, [2, 7])],
    "rollout": [(1, [0, 0]), (2, [2, 0]), (None, [2, 2])],
}


@pytest.mark.slow
@pytest.mark.sim
@pytest.mark.parametrize("name", FANNED_OUT)
def test_finished_units_are_not_made_again(name, pipeline, tmp_path):
    """Stopped in each of its parts, a run goes on behind what is finished, to the same bytes."""
    out = tmp_path / "out"
    totals = dict(PARTS[name])
    for after, done in STOPS[name]:
        labels = [label for label, _ in PARTS[name]][: len(done)]
        parts = [(label, totals[label], k) for label, k in zip(labels, done, strict=True)]
        progress = Recorder(after)
        if after is None:
            run(name, pipeline, out, resume=True, progress=progress)
            assert progress.units == sum(totals.values()) - sum(done)
        else:
            progress, error = stop(name, pipeline, out, after, resume=True)
            assert error.exit_code == 143
            (line,) = error.faults
            assert line.startswith(f"{out}: stopped by SIGTERM after ")
            assert line.endswith("saved; go on with the same command and --resume")
            assert names(tmp_path) == ["out.state"]
        assert progress.parts == parts
    assert tree(out) == tree(pipeline / COMMANDS[name].kind)
    assert names(tmp_path) == ["out"]


@pytest.mark.slow
@pytest.mark.sim
@pytest.mark.parametrize("name", FANNED_OUT)
def test_finished_units_are_not_lost_without_being_asked(name, pipeline, tmp_path):
    """Without --resume or --force it is one line that names both; --force makes them again."""
    out, (label, total) = tmp_path / "out", PARTS[name][0]
    stop(name, pipeline, out, 1)
    before = tree(tmp_path)
    with pytest.raises(UsageError) as caught:
        run(name, pipeline, out)
    assert caught.value.faults == (
        f"{out}: 1 finished unit of an interrupted run is saved; go on with --resume, or start "
        "over with --force",
    )
    assert tree(tmp_path) == before
    progress, _ = stop(name, pipeline, out, 0, force=True)
    assert progress.parts == [(label, total, 0)]
    assert names(tmp_path) == []


@pytest.mark.slow
@pytest.mark.sim
@pytest.mark.parametrize(
    ("name", "section", "change"),
    [
        # Branches learn in batches of the GHN's size.
        ("zoo-export", "ghn-train", {"batch_size": 16}),
        ("zoo-export", "architectures", {"widths_max": 20}),
        # Which networks count as held out is said in the rollouts.
        ("rollout", "architectures", {"widths_max": 20}),
    ],
)
def test_units_of_other_parameters_do_not_count(name, section, change, pipeline, tmp_path):
    """They are refused where anything that decides the artifact is another; --force drops them."""
    out, (label, total) = tmp_path / "out", PARTS[name][0]
    first, _ = stop(name, pipeline, out, 1)
    other = with_section(PARAMS, section, **change)
    for resume in (False, True):
        with pytest.raises(UsageError, match=r"1 finished unit .* with other .*--force"):
            run(name, pipeline, out, params=other, resume=resume)
    progress, _ = stop(name, pipeline, out, 0, resume=True)
    assert progress.parts[0] == (label, total, first.units)
    progress, _ = stop(name, pipeline, out, 0, params=other, resume=True, force=True)
    assert progress.parts == [(label, total, 0)]
    assert names(tmp_path) == []


@pytest.mark.slow
@pytest.mark.sim
@pytest.mark.parametrize("name", FANNED_OUT)
def test_files_of_the_users_beside_the_units_stay(name, pipeline, tmp_path):
    """Whatever they are called: a model in the state's folder, or in that of the units."""
    mine = {"out.state/model.safetensors": b"x", "out.state/units/my notes": b"y"}
    (tmp_path / "out.state" / "units").mkdir(parents=True)
    for path, data in mine.items():
        (tmp_path / path).write_bytes(data)
    run(name, pipeline, tmp_path / "out")
    assert tree(tmp_path / "out") == tree(pipeline / COMMANDS[name].kind)
    shutil.rmtree(tmp_path / "out")
    log_file(tmp_path / "out").unlink(missing_ok=True)
    assert tree(tmp_path) == mine
