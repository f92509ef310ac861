"""The page is written out of what is kept."""

import json

import numpy as np
import pytest

from studies import figures, page
from studies.compare import OURS, rows_of
from studies.page import read_studies, write_pages

METHODS = ("generated", "asked", "packaged", "cloned", "slimmable", "tuned", "nearest")
CONTROLS = ("unaligned", "flat", "one-step", "regression", "mean")
SHAPES = {"unseen_combo": "16,8", "unseen_width": "12", "wider": "512", "deeper": "8,8,8,8,8"}


def crafted(task, seed, methods):
    """Return what is kept of a study."""
    chance = np.random.default_rng(seed)

    def networks():
        return [
            {
                "architecture": shape,
                "kind": kind,
                "loss": 0.01,
                "successes": "".join(chance.choice(["0", "1"], 20, p=[0.1, 0.9])),
            }
            for kind, shape in SHAPES.items()
        ]

    group = {"mean": 0.5}
    keys = ("novel_weights", "far_weights", "novel_actions", "novel_and_performs", "loss")
    audit = {
        **dict.fromkeys(keys, group),
        "weight_spread_ratio": group,
        "far_actions": None,
        "action_spread_ratio": None,
    }
    said = {"failed": 3, "episodes": 9, "auroc": 0.7, "auroc_95": [0.6, 0.8]}
    said |= {"true_alarms": 0.5, "false_alarms": 0.1, "lead": None}
    mean = {"mean": 0.5}
    zoo = {"label": "aligned", "same_shape": {"by_weights": mean, "by_activations": mean}}
    zoo["same_shape"]["chance"] = 0.1
    zoo |= {key: {"relative": mean} for key in ("line", "line_matched")}
    says = {f"outcomes/{name}": networks() for name in methods}
    says["alignment/zoo"] = {"zoos": [zoo]}
    says["breadth/generated"] = [{**one, "successes": "1" * 17 + "000"} for one in networks()]
    says["breadth/cloned"] = says["breadth/cloned-short"] = [
        {**one, "successes": "1" * 18 + "00"} for one in networks()
    ]
    says["audits/generated"] = audit
    says["alarms/generated"] = dict.fromkeys(("as trained", "heavier", "delayed"), said)
    made = {"ghn": 60, **{f"samples/{name}": 30 for name in methods}}
    made |= {"zoo": 1, "generator": 1, "many/generated-1": 1, "many/generated-24": 24}
    needs = {"needs": ["ghn"], "recipe": ""}
    parts = {
        name: {**needs, "needs": needs["needs"] * ("/" in name), "seconds": taken, "bytes": 1e6}
        for name, taken in made.items()
    }
    parts |= {name: {**needs, "seconds": 1, "says": what} for name, what in says.items()}
    parts["samples/asked"]["seconds"] = None  # was not measured
    return {"task": task, "seed": seed, "parts": parts}


def test_page_has_every_task_and_method_and_is_the_same_again(tmp_path):
    """Also where a task has no further seed, no report, or fewer methods."""
    kept = [crafted("PickCube-v1", seed, METHODS + CONTROLS) for seed in (0, 1)]
    kept.append(crafted("./own.py", 0, METHODS[:2] + METHODS[3:]))
    for one in kept:
        (tmp_path / f"{kept.index(one)}-seed-{one['seed']}.json").write_text(json.dumps(one))
    readme = tmp_path / "README.md"
    readme.write_text("a <!-- tasks --> old <!-- /tasks --> c")
    studies = read_studies(tmp_path)
    write_pages(studies, tmp_path, readme)
    page, first = (tmp_path / "results.md").read_text(), readme.read_text()
    for words in ("## PickCube-v1", "| ./own.py |", "slimmable", "All seeds", "AUROC"):
        assert words.lower() in page.lower()
    assert "| PickCube-v1 | 0." in first
    assert "- PickCube-v1, seed 0: cloned-short, average, noise, best" in page
    assert ", audits/tuned, " in page
    assert "- and all of StackCube-v1, seed 0; " in page
    assert first.index("PickCube-v1") < first.index("./own.py")
    assert "on PickCube-v1 4, 4 generated networks (by training seed), 0, 0 clones, 0, 0" in page
    assert "on ./own.py 4 generated networks, 0 clones, 0 clones of 2,000 steps, - of" in page
    assert "**Shown in part: no training" in page
    assert "| PickCube-v1 | 1 | generated | 0.850 | 0.850 | 0 | 4 | 0.85 |" in page
    assert "| PickCube-v1 | 0 | cloned-short | 0.900 | 0.900 | 0 | 0 | 0.90 | -0.050 [" in page
    assert "| packaged | 0." in page
    assert page.partition("| packaged | 0.")[2].partition("\n")[0].endswith("| - | 0.5 |")
    pictures = {path.stem for path in (tmp_path / "figures").glob("*.png")}
    assert pictures == {"differences", "break_even", "alarms"}
    assert "old" not in first
    assert (first[:2], first[-2:]) == ("a ", " c")
    write_pages(studies, tmp_path, readme)
    assert (tmp_path / "results.md").read_text() == page
    assert readme.read_text() == first


@pytest.mark.parametrize(
    ("outcomes", "spread", "shown"),
    [
        ("1" * 2000, "1" * 20, "Shown:"),
        ("10" * 1000, "1" * 20, "part"),
        ("1" * 2000, "0" * 20, "part"),
    ],
)
def test_a_further_seed_can_take_back_what_the_first_showed(tmp_path, outcomes, spread, shown):
    """In the shapes of all methods, or in random ones."""
    for seed in (0, 1):
        kept = crafted("PickCube-v1", seed, ("generated", "cloned", "asked"))
        for name, part in kept["parts"].items():
            report, _, method = name.partition("/")
            later = seed == 1 and method == OURS
            if report == "outcomes":
                for one in part["says"]:
                    one["successes"] = outcomes if later else "1" * 2000
            if report == "breadth":
                for one in part["says"]:
                    one["successes"] = spread if later else "1" * 20
        (tmp_path / f"0-seed-{seed}.json").write_text(json.dumps(kept))
    page = page_of(tmp_path)
    assert shown in page.partition(": no training")[0][-20:] + ":"
    alike = int(outcomes == "1" * 2000)
    level = "1.000 / 1.000, 1.00" if alike else "0.500 / 0.500, 0.50"
    assert f"the lowest network: {level} on PickCube-v1: {alike} of 1 alike" in page


def page_of(folder):
    """Return the page of all studies in a folder."""
    readme = folder / "README.md"
    readme.write_text("<!-- tasks --><!-- /tasks -->")
    write_pages(read_studies(folder), folder, readme)
    return (folder / "results.md").read_text()


@pytest.mark.parametrize(("beaten", "shown"), [(1, "Not shown"), (4, "Shown on PickCube-v1")])
def test_a_generator_is_needed_where_every_rival_is_beaten(tmp_path, beaten, shown):
    """On one and the same task; ahead of one of them says nothing."""
    rivals = ("slimmable", "asked", "tuned", "nearest")
    kept = crafted("PickCube-v1", 0, (OURS, "cloned", *rivals))
    for name, part in kept["parts"].items():
        report, _, method = name.partition("/")
        for one in part["says"] if report == "outcomes" else ():
            one["successes"] = ("0" if method in rivals[:beaten] else "1") * 400
    (tmp_path / "0-seed-0.json").write_text(json.dumps(kept))
    assert f"**{shown}: that a generator is needed" in page_of(tmp_path)


def test_what_is_to_come_is_said_until_nothing_is(tmp_path, monkeypatch):
    """Also where all tasks have begun, or only reports are missing."""
    plan = {**page.read_plan(), "tasks": {"a": {}}}
    monkeypatch.setattr(page, "read_plan", lambda: plan)
    methods = ("generated", "packaged", "cloned", "slimmable", "asked", "tuned")
    path = tmp_path / "a-seed-0.json"
    path.write_text(json.dumps(crafted("a", 0, methods)))
    assert (
        "not run to its end.** To come are, of what has begun:\n\n- a, seed 0: nearest\n\n"
        in page_of(tmp_path)
    )
    path.write_text(json.dumps(crafted("a", 0, (*methods, "nearest"))))
    assert "not run to its end" not in page_of(tmp_path)


def test_every_difference_stands_at_the_name_of_its_method(tmp_path, monkeypatch):
    """Also where one task has fewer methods than another beside it."""
    drawn = []
    monkeypatch.setattr(figures, "save", lambda figure, _: drawn.append(figure))
    for number, (task, methods) in enumerate(
        {"a": METHODS, "b": (METHODS[0], METHODS[1], METHODS[3])}.items()
    ):
        kept = json.dumps(crafted(task, number, methods))
        (tmp_path / f"{task}-seed-0.json").write_text(kept)
    tasks = {one.task: rows_of(one.methods) for one in read_studies(tmp_path)}
    figures.draw_differences(tasks, tmp_path / "x.png")
    for axis, rows in zip(drawn[0].axes, tasks.values(), strict=True):
        names = {
            place: label.get_text()
            for place, label in zip(
                axis.get_yticks(), drawn[0].axes[0].get_yticklabels(), strict=True
            )
        }
        points = [line for line in axis.lines if len(line.get_xdata()) == 1]
        found = {names[line.get_ydata()[0]]: line.get_xdata()[0] for line in points}
        assert found == {
            name: pytest.approx(row.ahead.mean) for name, row in rows.items() if name != OURS
        }


def test_a_readme_without_its_block_is_refused(tmp_path):
    """It names the file and what it lacks."""
    (tmp_path / "0-seed-0.json").write_text(json.dumps(crafted("PickCube-v1", 0, METHODS)))
    (tmp_path / "README.md").write_text("nothing")
    with pytest.raises(ValueError, match=r"README\.md: has no <!-- tasks -->"):
        write_pages(read_studies(tmp_path), tmp_path, tmp_path / "README.md")
