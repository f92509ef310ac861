"""Local processes, Dask's workers, and shards that are merged: the same bytes by each."""

import json

import pytest
from command_server import Ended
from tiny_pipeline import COMMANDS, command_line, names, run, tree

from nnit.artifacts.locking import lock_output

pytestmark = [pytest.mark.sim]
SHARDS = 3


def test_zoo_by_dask_is_the_same(pipeline, cluster, tmp_path):
    """Two phases of training by workers that live on: the bytes of local ones."""
    run("zoo-export", pipeline, tmp_path / "zoo", workers=0, scheduler=cluster.address)
    assert tree(tmp_path / "zoo") == tree(pipeline / "zoo")
    assert names(tmp_path) == ["zoo"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["demos", "rollout"])
def test_physics_by_dask_is_the_same(name, pipeline, cluster, tmp_path):
    """Episodes run in a thread of a worker as in a process of their own."""
    run(name, pipeline, tmp_path / "out", workers=0, scheduler=cluster.address)
    assert tree(tmp_path / "out") == tree(pipeline / COMMANDS[name].kind)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "phases"), [("demos", 1), ("zoo-export", 2), ("rollout", 1)])
def test_shards_are_merged_to_the_same(name, phases, pipeline, server, tmp_path):
    """Each shard writes no artifact; merged they are what one run writes, and leave nothing."""
    words = command_line(name, pipeline, tmp_path / "out", "--json")
    for phase in range(phases):
        for number in range(1, SHARDS + 1):
            answer = said(server.run([*words, *shard(number)], cwd=tmp_path))
            assert answer["outputs"] == {}
            assert not (tmp_path / "out").exists()
            if number == 1:  # the last one finds all that it needs from the others
                is_last = "nnit merge" in answer["shard"]["next"]
                assert is_last == (phase == phases - 1)
    answer = said(server.run(["merge", *words], cwd=tmp_path))
    assert answer["outputs"] == {COMMANDS[name].kind: str(tmp_path / "out")}
    assert tree(tmp_path / "out") == tree(pipeline / COMMANDS[name].kind)
    assert names(tmp_path) == ["out"]


def test_shards_that_lack_something_are_not_merged(pipeline, server, tmp_path):
    """Missing, damaged, of other parameters, or still at work: one line that says which."""
    out = tmp_path / "out"
    words = command_line("zoo-export", pipeline, out, "--quiet")

    def refused(*more: str) -> str:
        ended = server.run(["merge", *words, *more], cwd=tmp_path)
        assert ended.code != 0
        assert not out.exists()
        (line,) = ended.err.splitlines()
        return line

    assert refused() == f"nnit: {out}: no shards of it are here; run some with --shard I/N"
    for number in (1, 2):
        assert server.run([*words, *shard(number, 2)], cwd=tmp_path).code == 0
    assert "1 of 2 units (networks) are missing or damaged; run shard 1 of 2 again" in refused()
    for number in (1, 2):
        assert server.run([*words, *shard(number, 2)], cwd=tmp_path).code == 0
    assert "of 2 shards these have other parameters, inputs or nnit: 1, 2" in refused("--seed", "1")
    with lock_output(tmp_path / "out.shard-2-of-2"):
        assert "out.shard-2-of-2: process" in refused()
    unit = next((tmp_path / "out.shard-2-of-2.state/units").glob("branches-*"))
    unit.write_bytes(unit.read_bytes()[:-1] + b"\0")
    assert "1 of 2 units (branches) are missing or damaged; run shard 2 of 2 again" in refused()
    assert server.run([*words, *shard(1, 4)], cwd=tmp_path).code == 0
    assert "the work was shared out among 2 and 4" in refused()


def test_a_stopped_shard_goes_on(pipeline, tmp_path, server):
    """It is not begun anew without being asked for, as any run that was stopped."""
    words = command_line("zoo-export", pipeline, tmp_path / "out", "--quiet", "--shard", "1/2")
    assert server.run(words, cwd=tmp_path).code == 0
    again = server.run(words, cwd=tmp_path)
    assert (again.code, "1 finished unit" in again.err) == (2, True)
    assert server.run([*words, "--resume"], cwd=tmp_path).code == 0


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["zoo-export", "--shard", "9/8"], "--shard 9/8: expected I/N with I from 1 to N"),
        (["zoo-export", "--shard", "0/8"], "--shard 0/8: expected I/N"),
        (["zoo-export", "--shard", "all"], "--shard all: expected I/N"),
        (["zoo-export", "--executor", "node1:8786"], "expected dask://HOST:PORT, as in"),
        (["zoo-export", "--executor", "dask://node1"], "expected dask://HOST:PORT, as in"),
        (
            ["rollout", "--executor", "dask://a:1", "--workers", "2"],
            "--workers: is of a run",
        ),
        (["demos", "--executor", "dask://a:1", "--shard", "1/2"], "--shard: is of a run without"),
        (["demos", "--task", "digits", "--shard", "1/2"], "digits has labelled examples"),
        (["demos", "--trajectories", "a.h5", "--shard", "1/2"], "--shard: is of a run without"),
        (
            ["baseline", "nearest", "--arch", "8", "--shard", "1/2"],
            "--shard: is of what is",
        ),
        (["merge", "artifacts/zoo"], "merge artifacts/zoo: give the command that the shards ran"),
        (["merge", "frontier"], "merge frontier: give the command that the shards ran"),
    ],
)
def test_what_makes_no_sense_is_one_line(words, line, server, tmp_path):
    """Before any work."""
    ended = server.run(words, cwd=tmp_path)
    assert (ended.code, ended.out) == (2, "")
    (found,) = [one for one in ended.err.splitlines() if one.startswith("nnit: ")]
    assert line in found
    assert [path for path in tmp_path.rglob("*") if not path.is_dir()] == []


def shard(number: int, count: int = SHARDS) -> list[str]:
    """Return the flags of a shard, which goes on where it was before."""
    return ["--shard", f"{number}/{count}", "--resume"]


def said(ended: Ended) -> dict:
    """Return what a command said on stdout."""
    assert ended.code == 0, ended.err
    return json.loads(ended.out)
