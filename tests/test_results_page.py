"""The results page says what the committed files hold, no more and no less."""

import json
from pathlib import Path

import pytest

from benchmarks.collect import collect
from benchmarks.other_tasks import (
    how_trained,
    judge_all,
    other_tasks,
    short_tasks_table,
    targets_part,
)
from benchmarks.results import (
    TaskResults,
    group_of,
    parse_table,
    read_task,
    share_of,
)
from benchmarks.results_page import (
    TASKS,
    page,
    put_between_markers,
    summary_table,
    target_rows,
    write_page,
)
from benchmarks.results_tables import METHODS, MISSING, SECTIONS
from benchmarks.targets import TARGETS, unbeaten
from nnit.artifacts.manifest import Provenance
from nnit.artifacts.rollouts import Rollouts, write_rollouts
from nnit.errors import WrongKindError
from nnit.intervals import wilson_interval
from nnit.mlp import PolicyInterface
from nnit.rollout.metrics import Evaluation, summarise_episode

KINDS = ("unseen_combo", "unseen_width", "wider", "deeper")


def network(source, hidden_dims, kind, successes, loss=None, episodes=100):
    """Return an entry of a table."""
    return {
        "source": source,
        "hidden_dims": list(hidden_dims),
        "kind": kind,
        "successes": successes,
        "at_end": successes,
        "episodes": episodes,
        "loss": loss,
    }


def table(*networks, widths_max=256):
    """Return a table as ``benchmarks.collect`` writes it."""
    return {"task": "PickCube-v1", "digest": "", "widths_max": widths_max, "networks": networks}


def task_of(*networks, **more) -> TaskResults:
    """Return the results of a task with one seed."""
    return TaskResults("PickCube-v1", {0: parse_table(table(*networks))}, **more)


def verdict(task: TaskResults, text: str) -> str:
    """Return the figure and the verdict of a target."""
    (said,) = [row[2] for row in target_rows([task]) if row[0] == text and row[2]]
    return said


@pytest.mark.parametrize(
    ("widths", "group"),
    [((384, 64), "wider-1.5"), ((385,), "wider-2"), ((64, 512), "wider-2")],
)
def test_wider_shapes_are_two_groups(widths, group):
    """One and a half times the widest trained width divides them."""
    assert group_of("wider", widths, 256) == group
    assert group_of("deeper", widths, 256) == "deeper"


def test_numbers_are_rounded_and_intervals_said():
    """990 of 1,000 over ten equal shapes: Wilson's interval of 100 states, to three digits."""
    networks = [network("sample", (k, 8), "unseen_combo", 99) for k in range(1, 11)]
    text = page([task_of(*networks)])
    assert "| generated | 0.990 [0.946, 0.998] | 0.99 (1,8) |" in text
    assert "unseen combination (10 shapes)" in text


def test_shapes_that_differ_widen_the_interval():
    """One of two fails altogether: worth a single trial."""
    networks = [network("sample", (8,), "deeper", 100), network("sample", (9,), "deeper", 0)]
    share = share_of(parse_table(table(*networks)))
    assert share is not None
    assert (share.mean, share.interval, share.lowest_shape) == (0.5, wilson_interval(0.5, 1), (9,))


def test_a_shape_that_a_method_cannot_write_is_said():
    """No network of a kind: cannot; of some shapes: how many."""
    networks = [
        network("sample", (8,), "deeper", 100),
        network("sample", (9,), "deeper", 100),
        network("sample", (500,), "wider", 100),
        network("flat", (8,), "deeper", 50),
    ]
    (line,) = [li for li in page([task_of(*networks)]).split("\n") if METHODS["flat"] + " |" in li]
    assert "| cannot | 0.500 [" in line
    assert "] (1 of 2) |" in line


@pytest.mark.parametrize(("successes", "expected"), [(99, "0.99 met"), (98, "**0.98 missed**")])
def test_a_verdict_flips_at_the_target(successes, expected):
    """0.99 is met by 0.99 and missed by 0.98."""
    task = task_of(network("sample", (64, 96), "unseen_combo", successes))
    assert verdict(task, "success, unseen combination") == expected


def test_targets_are_held_against_the_mean_over_training_seeds():
    """1.00 and 0.98 are 0.99; the lowest shape is that of any seed; each has a GHN of its own."""
    both = {
        seed: parse_table(
            table(
                network("sample", (64, 96), "unseen_combo", 100, 0.1),
                network("sample", (8, 9), "unseen_combo", 100 - 4 * seed, 0.1),
                network("ghn", (64, 96), "unseen_combo", 90, 0.2),
                network("ghn", (8, 9), "unseen_combo", 90, 0.2 if seed == 0 else 0.05),
            )
        )
        for seed in (0, 1)
    }
    task = TaskResults("PickCube-v1", both)
    assert verdict(task, "success, unseen combination") == "0.99 met"
    assert verdict(task, "lowest shape, unseen combination") == "0.96 met"
    losses = verdict(task, "shapes with a loss below the GHN's, unseen combination")
    assert losses == "**0.75 missed**"
    row = "| generated | unseen combination | 1.000 | 0.980 | 0.990 | 0.96 (8,9) |"
    assert row in page([task])
    assert row not in page([TaskResults("PickCube-v1", {0: both[0]})])


def test_losses_are_compared_shape_by_shape():
    """Three samples of a shape by their mean, against the one network of the hypernetwork."""
    task = task_of(
        network("sample", (8,), "unseen_width", 100, 0.1),
        network("sample", (8,), "unseen_width", 100, 0.3),
        network("sample", (9,), "unseen_width", 100, 0.5),
        network("ghn", (8,), "unseen_width", 100, 0.21),
        network("ghn", (9,), "unseen_width", 100, 0.4),
    )
    text = "shapes with a loss below the GHN's, unseen width"
    assert verdict(task, text) == "**0.5 missed**"
    row = f"| unseen width | 0.35000 | {MISSING} | 0.30500 | {MISSING} | 50 % |"
    assert row in page([task])


def test_a_baseline_counts_as_beaten_by_disjoint_intervals_alone():
    """Clearly worse is beaten; a little worse is named."""
    mine = network("sample", (8,), "deeper", 100)
    worse = [network("flat", (8,), "deeper", 20), network("nearest", (8,), "deeper", 98)]
    task = task_of(mine, *worse, network("ghn", (8,), "deeper", 100))
    assert unbeaten(task) == [("nearest", "deeper")]
    said = verdict(task, "baselines and kinds without a disjoint interval below")
    assert said == "**1 missed**"
    assert "Why:\n\n- *" in page([task])
    assert f"Not beaten with disjoint intervals: {METHODS['nearest']}, deeper." in page([task])


def test_limits_name_the_farthest_shape_that_reaches_the_bound(tmp_path):
    """0.90 counts, 0.89 does not; a network that was grown says nothing of limits.

    Where nothing beyond the trained range reaches it, one within it does.
    """
    limits = [
        network("sample", (640,), "", 90),
        network("sample", (768,), "", 89),
        network("sample", (64,) * 9, "", 95),
    ]
    grown = network("sample", (1024,), "wider", 99)
    (tmp_path / "networks-0.json").write_text(json.dumps(table(grown)))
    (tmp_path / "limits.json").write_text(json.dumps(table(*limits)))
    text, way = page([read_task(tmp_path)]), METHODS["extrapolated"]
    assert f"widest network that still reaches 0.90, {way}: 640, success 0.900 [" in text
    assert f"deepest network that still reaches 0.90, {way}: 64,64,64,64,64,64,64,64,64," in text
    inside = network("sample", (48, 144, 48, 96), "unseen_combo", 99)
    (tmp_path / "networks-0.json").write_text(json.dumps(table(grown, inside)))
    (tmp_path / "limits.json").write_text(json.dumps(table(*limits[:2])))
    text = page([read_task(tmp_path)])
    assert f"deepest network that still reaches 0.90, {way}: 48,144,48,96," in text


def test_reports_are_read_where_they_are(tmp_path):
    """Audit, alignment, frontier and seconds, each from its file."""
    folder = tmp_path / "PickCube-v1"
    (folder / "seconds").mkdir(parents=True)
    estimate = {"mean": 0.625, "low": 0.5, "high": 0.75, "shapes": 5}
    group = {"group": "all", "samples": 15, "alarmed": 2, "weight_spread_ratio": estimate}
    smooth = {"role": "middle", "axis": "input units", "block": 1, "lag": 4, "shuffled": None}
    zoo = {"label": "cnn", "same_shape": {"by_weights": estimate}, "across_widths": None}
    zoo |= {"smoothness": [{**smooth, "autocorrelation": estimate}]}
    files = {
        "audit.json": {"groups": [group]},
        "audit-cloning.json": {"groups": [{**group, "alarmed": 7}]},
        "alignment.json": {"zoos": [zoo]},
        "frontier_speed.json": {"shapes": 200, "frontier_s": 601.0, "speed_up": 5.0},
        "seconds/demos.json": {"seconds": 61.4},
    }
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content))
    task = read_task(folder)
    text = page([task])
    assert "2 of 15 |" in text
    assert f"| all, {METHODS['cloning']} |" in text
    assert "7 of 15 |" in text
    assert "| cnn | 0.62 | not measured |" in text
    along = "| cnn | input units | not measured | 0.62 (not measured) | not measured |"
    assert along in text
    assert "| demos | 61 |" in text
    assert verdict(task, "frontier: seconds") == "**601 missed**"
    assert verdict(task, "frontier: times as fast as cloning") == "5 met"
    assert verdict(task, "spread in weights, to the branches'") == "0.625 met"
    assert verdict(task, "seconds of the pipeline") == "-"
    assert "Not measured: success (`nnit rollout" in text


def test_nothing_measured_still_makes_a_page(tmp_path):
    """Every target and every section says so, and both figures are drawn."""
    write_page(tmp_path / "results", tmp_path / "docs")
    text = (tmp_path / "docs" / "results.md").read_text()
    assert all(f"## {task}\n" in text for task in TASKS)
    assert " met |" not in text
    assert "missed" not in text
    assert "Why:" not in text
    rows = [line for line in text.split("\n") if " | at " in line]
    assert len(rows) == len(TARGETS)
    assert all(row.endswith(("| - |", "|  |")) for row in rows)
    assert text.count("Not measured: ") == len(TASKS)
    assert all(text.count(section.title.lower()) >= len(TASKS) for section in SECTIONS)
    for name in ("success_by_width.png", "success_by_depth.png"):
        assert (tmp_path / "docs" / "figures" / name).read_bytes().startswith(b"\x89PNG")


def test_the_page_is_the_same_every_time(tmp_path):
    """Same files, same bytes, figures too."""
    folder = tmp_path / "results" / "PickCube-v1"
    folder.mkdir(parents=True)
    networks = [
        network(source, (64, 8 * k), "deeper", 90 + k) for source in METHODS for k in (1, 2)
    ]
    (folder / "networks-0.json").write_text(json.dumps(table(*networks)))
    outs = [tmp_path / "one", tmp_path / "two"]
    for out in outs:
        write_page(tmp_path / "results", out)
    files = [{p.name: p.read_bytes() for p in out.rglob("*") if p.is_file()} for out in outs]
    assert files[0] == files[1]
    assert len(files[0]) == 3


def write_rollout(path: Path, success_seeds: range, seeds: range = range(4)) -> None:
    """Write a rollout of one network that is wider than any trained one."""
    interface = PolicyInterface("PickCube-v1", "x", 1, 1, 50, (0.0,), (1.0,))
    episodes = tuple(
        summarise_episode(k, seed, [seed in success_seeds]) for k, seed in enumerate(seeds)
    )
    evaluation = Evaluation("sample-0000", "sample", (300,), "wider", episodes, 0.25)
    origin = Provenance("rollout", {"architectures": {"widths_max": 256}}, 0)
    write_rollouts(path, Rollouts((evaluation,), interface), origin)


def test_collect_takes_the_counts_out_of_rollouts(tmp_path):
    """Counts and losses of every network, named by seed; what is missing is left out."""
    for name in ("rollouts", "rollouts-seed-2", "rollouts-limits"):
        write_rollout(tmp_path / "artifacts" / name, range(3))
    written = collect(tmp_path / "artifacts", tmp_path / "results")
    names = sorted(file.name for file in written)
    assert names == ["limits.json", "networks-0.json", "networks-2.json"]
    task = read_task(tmp_path / "results")
    assert sorted(task.seeds) == [0, 2]
    assert task.networks == (("sample", (300,), "wider-1.5", 3, 4, 0.25),)


def test_rollouts_that_were_run_apart_are_of_the_same_episodes(tmp_path):
    """They join the table under their method's name; on other reset seeds they are refused."""
    write_rollout(tmp_path / "artifacts" / "rollouts", range(3))
    write_rollout(tmp_path / "artifacts" / "rollouts-flat", range(1))
    write_rollout(tmp_path / "artifacts" / "rollouts-baselines", range(2))
    collect(tmp_path / "artifacts", tmp_path / "results")
    assert read_task(tmp_path / "results").networks == (
        ("sample", (300,), "wider-1.5", 3, 4, 0.25),
        ("nearest", (300,), "wider-1.5", 2, 4, 0.25),
        ("flat", (300,), "wider-1.5", 1, 4, 0.25),
    )
    write_rollout(tmp_path / "artifacts" / "rollouts-unaligned", range(3), range(1, 5))
    with pytest.raises(WrongKindError, match="rollouts-unaligned: was not run on the reset seeds"):
        collect(tmp_path / "artifacts", tmp_path / "results")


@pytest.mark.parametrize(
    ("sample", "ghn", "cloned", "reason"),
    [
        (0.9, 0.8, 1.0, "the hypernetwork's networks, which the zoo begins with"),
        (0.9, 0.95, 1.0, "the hypernetwork asked again does better"),
        (0.98, 0.8, 1.0, ""),  # met
    ],
)
def test_the_reason_of_a_miss_follows_from_the_other_methods(sample, ghn, cloned, reason):
    """Each is held against what the same file says of them; what is met needs none."""
    shares = {"sample": sample, "ghn": ghn, "cloned": cloned}
    sources = {name: {"success_once": share} for name, share in shares.items()}
    report = {"task": "PullCube-v1", "sources": sources, "of_cloned": sample / cloned}
    text = "\n".join(targets_part(judge_all([report], None, None, [], {})))
    assert ("missed" in text) == (sample / cloned < 0.97)
    assert (reason in text) if reason else ("Why" not in text)


def test_the_readme_gets_its_table_between_the_markers():
    """Once and twice the same, the rest of the file as it was; what a method can't do is said."""
    task = task_of(
        network("sample", (8, 8), "unseen_combo", 99),
        network("sample", (300,), "wider", 50),
        network("flat", (8, 8), "unseen_combo", 1),
    )
    text = "before\n<!-- results -->\nold\n<!-- /results -->\nafter\n"
    once = put_between_markers(text, summary_table([task]))
    assert "| generated | 0.99 [0.95, 1.00] | 0.50 [0.40, 0.60] |" in once
    assert "| flat-vector diffusion | 0.01 [0.00, 0.05] | cannot |" in once
    other = task_of(network("sample", (8, 8), "unseen_combo", 99))
    assert "| cannot | not run | not run |" in summary_table([task, other])
    assert "old" not in once
    assert once.startswith("before\n")
    assert once.endswith("<!-- /results -->\nafter\n")
    assert put_between_markers(once, summary_table([task])) == once
    with pytest.raises(ValueError, match="results"):
        put_between_markers("no markers", "")


def test_further_tasks_are_read_where_they_are(tmp_path):
    """A row for each file; nothing at all where there is none."""
    assert other_tasks(tmp_path) == []
    success = {
        "success_once": 0.95,
        "interval_95": [0.9, 0.975],
        "lowest": 0.5,
        "lowest_shape": "64,96",
        "return_mean": -123.2,
    }
    report = {
        "command": "python -m benchmarks.tasks PullCube-v1 --profile some.yaml",
        "task": "PullCube-v1",
        "sources": {"sample": success},
        "of_cloned": None,
        "lowest_of_its_clone": 0.875,
    }
    both = {"together": success, "unchanged": True, "alone": success, "of_alone": 1.0}
    both |= {"of_cloned": 0.9, "lowest_of_its_clone": 0.875}
    both["generator_alone"] = {"inputs": ["demos", "tokens"], "steps": 3000}
    learned = {
        "task": "gym:Pendulum-v1",
        "shapes": dict.fromkeys(("trained", "held_out", "all"), success),
        "curve": [[1, -1500.0], [2, -200.0]],
        "seconds": {"ghn": 61.4},
    }
    drawn = {"source": "sample", "kind": "wider", "episodes": 100, "loss": None}
    drawn = [{**drawn, "hidden_dims": [300 + k], "successes": 100 - 20 * k} for k in range(4)]
    expert = {"tasks": {"PullCube-v1": {"success_once": {"share": 0.997}}}}
    many = {
        "task": "PushCube-v1",
        "workers": 2,
        "networks": 64,
        "shapes": 60,
        "episodes": 8,
        "seconds": {"evaluated": [11.0, 10.0, 30.0], "replayed": [9.9, 10.0, 10.1]},
        "ratio": 1.1,
    }
    kinds = dict.fromkeys(("unseen_combo", "unseen_width", "wider", "deeper"), success)
    spread = {
        "task": "PullCube-v1",
        "seeds": [{"seed": 2, "float32": kinds, "bfloat16": kinds, "seconds": {"ghn": 1.0}}],
        "steps": {"1": success, "10": success},
        "samples_of_a_shape": {"64,96": [0.5, 1.0]},
    }
    files = {
        "experts.json": expert,
        "spread/PullCube-v1.json": spread,
        "many_networks.json": many,
        "tasks/PullCube-v1.json": report,
        "tasks/together.json": {
            "command": "python -m benchmarks.together PullCube-v1",
            "added": ["PokeCube-v1"],
            "added_steps": 1200,
            "bytes": 18_200_000,
            "seconds": {"generator": 600.0, "generator-added": 1900.0},
            "tasks": {
                "PullCube-v1": both,
                "PokeCube-v1": {**both, "unchanged": False, "of_alone": 0.7},
            },
        },
        "new_shapes/PushCube-v1/networks-0.json": {"widths_max": 256, "networks": drawn},
        "reinforcement/gym-Pendulum-v1.json": learned,
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(json.dumps(content))
    text = "\n".join(other_tasks(tmp_path))
    report["sources"] = dict.fromkeys(("sample", "ghn", "cloned"), success)
    (tmp_path / "tasks" / "PullCube-v1.json").write_text(json.dumps(report))
    assert how_trained({"generator": {"inputs": ["demos", "tokens"]}}).endswith("demonstrations")
    low, high = wilson_interval(0.7, 0.7 * 0.3 / (0.2 / 3 / 4))  # of 1, 0.8, 0.6 and 0.4
    second = f"wider, to 1.5 x | 0.700 [{low:.3f}, {high:.3f}], lowest 0.40 | - | - | - |"
    assert second in text
    short = short_tasks_table(tmp_path)
    assert "| PullCube-v1 | 0.950 [0.900, 0.975] |" in short
    assert f"0.975] | {MISSING} |" in short
    between = put_between_markers("a\n<!-- tasks -->\nold\n<!-- /tasks -->\nb\n", short, "tasks")
    assert between == f"a\n<!-- tasks -->\n{short}<!-- /tasks -->\nb\n"
    cell = "0.950 [0.900, 0.975]"
    missing = "not measured"
    assert (
        f"| PullCube-v1 | 0.997 | {cell} | {missing} | {missing} | 0.50 (64,96) | {missing} | "
        "0.875 | weights alone | `--profile some.yaml` |" in text
    )
    assert (
        "lowest generated network, as a share of its clone | at least 0.9 | **0.875 missed** |"
        in text
    )
    lowest = f"{cell}, lowest 0.50"
    for precision in ("float32", "bfloat16"):
        assert f"| PullCube-v1 | 2 | {precision} | {' | '.join([lowest] * 4)} |" in text
    assert f"| PullCube-v1 | {lowest} | {lowest} |\n" in text
    assert "| PullCube-v1 | 64,96 | 2 | 0.500 | 0.750 |" in text
    rest = f"{cell} | {cell} | 1.000 | 0.900 | 0.875 |"
    assert f"| PullCube-v1 | {rest}" in text
    assert f"| PokeCube-v1, added | {rest.replace('1.000', '0.700')}" in text
    assert "The file has 18.2 MB; training took 10 minutes." in text
    assert "added in 1,200 steps; its own generator had 3,000." in text
    assert "tasks whose networks change when PokeCube-v1 is added | at most 0 | 0 met |" in text
    assert "seconds to add PokeCube-v1 | at most 1800 | **1900 missed** |" in text
    beside = "PullCube-v1, one generator for all: a share of direct cloning's"
    assert f"{beside} | at least 0.95 | **0.9 missed** |" in text
    row = f"| gym:Pendulum-v1 | -123.2 | -123.2 | -123.2 | {cell} | -1500.0 to -200.0 | 61 |"
    assert row in text
    row = "| PushCube-v1 | 64 of 60 shapes, 8 episodes each | 2 | 11.0 | 10.0 | 1.100 |"
    assert row in text
    assert "| PullCube-v1: success as a share of direct cloning's | at least 0.97 | - |" in text
    learnt = "gym:Pendulum-v1: mean return of the hypernetwork trained by reinforcement"
    assert f"| {learnt} | at least -250 | -123.2 met |" in text
    assert "simulator's own time | at most 1.15 | 1.1 met |" in text
