"""The frontier: the same for any number of workers, resumable, and its networks are samples."""

import json

import pytest
from tiny_pipeline import PARAMS, PARAMS_NAME, Recorder, content, names, tree, with_section

from nnit.artifacts.frontier import FIGURE_NAME, read_frontier
from nnit.artifacts.samples import read_samples
from nnit.errors import InterruptedRunError, UsageError
from nnit.patterns import ArchitectureBounds
from nnit.progress import silent
from nnit_cli.main import main
from stages import frontier, sample
from stages.params import RunOptions

pytestmark = pytest.mark.sim

RULES = {
    "first_episodes": 1,
    "race_episodes": 2,
    "episodes": 3,
    "confirm_episodes": 2,
    "floor": 0.0,
    "min_success": 0.0,
}
SMALL = with_section(PARAMS, "frontier", shapes=3, steps=2, **RULES)
DEPTH_ONE = ArchitectureBounds(depth=1)


def run(pipeline, out, params=SMALL, bounds=DEPTH_ONE, progress=silent, **options):
    """Run the stage on the tiny generator."""
    return frontier.run(
        params,
        frontier.Inputs(pipeline / "generator", bounds, pipeline / "demos"),
        frontier.Outputs(out),
        options=RunOptions(**{"device": "cpu", "workers": 1, **options}),
        progress=progress,
    )


@pytest.fixture(scope="module")
def found(pipeline, tmp_path_factory):
    """A frontier of three shapes."""
    out = tmp_path_factory.mktemp("found") / "frontier"
    return out, run(pipeline, out)


def test_all_candidates_are_reported_and_the_front_is_kept(found):
    """Every shape with its sizes and episodes; the networks of the front as folders; a figure."""
    out, summary = found
    stored, _ = read_frontier(out, check="all")
    top = json.loads((out / "frontier.json").read_bytes())
    assert summary.shapes == len(top["candidates"]) == 3
    assert [len(entry["architecture"]) for entry in top["candidates"]] == [1, 1, 1]
    front = [entry["architecture"] for entry in top["candidates"] if entry["on_front"]]
    assert [list(one.network.hidden_dims) for one in stored.networks] == front
    assert summary.front == len(front) >= 1
    assert (out / FIGURE_NAME).read_bytes().startswith(b"\x89PNG")
    assert summary.met
    outcomes = [entry["confirmed_outcomes"] for entry in top["candidates"]]
    assert [len(one) for one in outcomes] == [2 * entry["on_front"] for entry in top["candidates"]]
    assert top["smallest"] == front[0]
    widths = ",".join(map(str, front[0]))
    assert summary.answer.startswith(
        f"smallest network with success >= 0 (lower bound): {widths} with "
    )
    assert summary.answer.endswith("in 2 fresh episodes")


def test_the_front_is_confirmed_in_other_states(found, pipeline, tmp_path):
    """Those after the race's; none are run where none are wanted."""
    later = with_section(SMALL, "frontier", first_seed=SMALL.frontier.episodes)
    run(pipeline, tmp_path / "later", later)
    ours, theirs = (read_frontier(path)[0].frontier for path in (found[0], tmp_path / "later"))
    assert any(one.confirmation for one in ours.candidates)
    for one, other in zip(ours.candidates, theirs.candidates, strict=True):
        assert one.confirmation in ((), other.standing.outcomes[:2])
    none = with_section(SMALL, "frontier", confirm_episodes=0)
    summary = run(pipeline, tmp_path / "none", none)
    assert "fresh" not in summary.answer
    stored, _ = read_frontier(tmp_path / "none")
    assert not any(one.confirmation for one in stored.frontier.candidates)


def test_larger_shapes_are_tried_where_the_smallest_was_lucky(pipeline, tmp_path, monkeypatch):
    """In states after those of the race, until one does as well there; each network's own."""
    ran = []

    def as_told(evaluator, ranges, store, progress):
        """All succeed in the race; afterwards only from the third candidate on."""
        ran.extend((one.key.name, one.first_episode, one.num_episodes) for one in ranges)
        return [
            tuple(
                k < 3 or int(one.key.name.removeprefix("candidate-")) >= 2
                for k in range(one.first_episode, one.first_episode + one.num_episodes)
            )
            for one in ranges
        ]

    monkeypatch.setattr(frontier, "run_ranges", as_told)
    params = with_section(SMALL, "frontier", min_success=0.2)  # two of two, or three of three
    progress = Recorder()
    summary = run(pipeline, tmp_path / "out", params, progress=progress)
    found = read_frontier(tmp_path / "out")[0].frontier
    assert (summary.met, found.smallest, found.front) == (True, 2, [0, 2])
    assert [len(one.confirmation) for one in found.candidates] == [2, 2, 2]
    assert [one for one in ran if one[1] >= 3] == [(f"candidate-000{k}", 3, 2) for k in range(3)]
    assert "not confirmed; trying " in "".join(progress.notes)
    assert summary.answer.endswith("(2 smaller not confirmed)")


def test_another_seed_gives_another_frontier(found, pipeline, tmp_path):
    """It reaches the networks, not the manifest alone."""
    out, _ = found
    run(pipeline, tmp_path / "other", seed=1)
    assert content(tmp_path / "other") != content(out)


def test_an_interrupted_frontier_goes_on(found, pipeline, tmp_path):
    """Stopped while sampling and while racing, it ends in the same bytes; nothing is made again.

    The number of workers, which is another, changes nothing either.
    """
    out, _ = found
    again = tmp_path / "again"
    for after in (1, 2):
        with pytest.raises(InterruptedRunError, match="--resume"):
            run(pipeline, again, progress=Recorder(after), resume=True)
        assert names(tmp_path) == ["again.state"]
        with pytest.raises(UsageError, match="saved; go on with --resume"):
            run(pipeline, again)
    progress = Recorder()
    run(pipeline, again, resume=True, progress=progress, workers=2)
    assert progress.parts[0] == ("networks", 3, 3)
    assert progress.parts[1][2] >= 1
    assert tree(again) == tree(out)
    assert names(tmp_path) == ["again"]


def test_networks_are_those_of_sample(found, pipeline, tmp_path):
    """The network of a shape is the first one that ``nnit sample --arch`` gives."""
    stored, _ = read_frontier(found[0])
    network = stored.networks[0].network
    sample.run(
        SMALL,
        sample.Inputs(pipeline / "generator", (network.hidden_dims,)),
        sample.Outputs(tmp_path / "samples"),
        options=RunOptions(device="cpu"),
    )
    (expected,) = read_samples(tmp_path / "samples")[0].samples
    assert expected.network.weights.tobytes() == network.weights.tobytes()


def test_generated_shapes_are_within_bounds(pipeline, tmp_path):
    """``spread: generated`` draws from the generator; too few shapes are said, and all taken."""
    params = with_section(PARAMS, "frontier", shapes=40, spread="generated", steps=2, **RULES)
    progress = Recorder()
    bounds = ArchitectureBounds(max_params=500)
    summary = run(pipeline, tmp_path / "out", params, bounds, progress)
    stored, _ = read_frontier(tmp_path / "out")
    assert 0 < summary.shapes < 40
    assert f"frontier: within bounds are {summary.shapes} shapes; all of them are tried" in (
        progress.notes
    )
    specs = [stored.interface.spec(one.hidden_dims) for one in stored.frontier.candidates]
    assert all(bounds.admit(spec) for spec in specs)


def test_impossible_requests_are_refused(pipeline, tmp_path):
    """Bounds that nothing meets, and reset seeds of the demonstrations: before any work."""
    with pytest.raises(UsageError, match="no architecture is within --max-params 9"):
        run(pipeline, tmp_path / "out", bounds=ArchitectureBounds(max_params=9))
    late = with_section(SMALL, "frontier", first_seed=10_000)
    with pytest.raises(UsageError, match="10000 is one of the demonstrations"):
        run(pipeline, tmp_path / "out", late)
    assert names(tmp_path) == []


def test_command_holds_the_gate_where_every_shape_fails(pipeline, tmp_path, capsys):
    """Given up before the race: an empty front, exit code 7, one line; the artifact is there."""
    out = tmp_path / "out"
    words = ["frontier", "--model", str(pipeline / "generator"), "--out", str(out), "--depth", "1"]
    words += ["--params", str(pipeline / PARAMS_NAME), "--workers", "1", "--shapes", "2"]
    words += ["--first-episodes", "10", "--race-episodes", "30", "--episodes", "40", "--steps", "2"]
    assert main([*words, "--floor", "0.5", "--require"]) == 7
    said = capsys.readouterr().err.rstrip()
    assert said.endswith(
        "nnit: --require: not met, smallest network with success >= 0.95 (lower bound): none of 2"
    )
    stored, _ = read_frontier(out, check="all")
    assert stored.networks == ()
    assert all(len(one.standing.outcomes) < 30 for one in stored.frontier.candidates)
    assert main(["inspect", str(out)]) == 0
    assert main([*words, "--race-episodes", "50", "--force"]) == 2


def test_the_table_names_the_networks_of_the_front(found, capsys):
    """``nnit inspect`` prints what the command does."""
    assert main(["inspect", str(found[0])]) == 0
    assert "network-0000" in capsys.readouterr().out


def test_it_is_told_where_no_network_could_do_the_job():
    """Of so few episodes even all successes leave a lower bound that is too low."""

    def said(**section):
        return frontier.too_few_episodes(with_section(PARAMS, "frontier", **section).frontier)

    enough = {"episodes": 73, "confirm_episodes": 150, "min_success": 0.95}
    assert said(**enough) == said(**{**enough, "confirm_episodes": 0}) == []
    [race, further] = said(**{**enough, "episodes": 72, "confirm_episodes": 149})
    assert race.startswith("frontier: episodes, 72, cannot show a success of min_success, 0.95: ")
    assert race.endswith("it takes 73")
    assert further.endswith("it takes 150")
    assert said(**{**enough, "min_success": 1.0})[0].endswith("is 0.950; it takes no number")
