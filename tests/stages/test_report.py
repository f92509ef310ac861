"""``nnit report``: every artifact on one page that stands alone."""

import json
import re
import shutil
from dataclasses import replace

import pytest
from tiny_pipeline import COMMANDS, ORIGIN

from nnit.artifacts.reading import open_artifact
from nnit.artifacts.rollouts import read_rollouts, write_rollouts
from nnit.errors import (
    DamagedArtifactError,
    MissingArtifactError,
    OutputExistsError,
    UsageError,
)
from nnit.figures.canvas import new_figure
from nnit_cli.main import main
from stages import report
from stages.report import Inputs, write_report

CURVE = "step,loss\n1,0.5\n2,0.25\n"
SEVERAL_KINDS = ("rollouts", "samples", "zoo", "demos")  # the last made first


@pytest.fixture
def some(pipeline):
    """Artifacts of several kinds, children before their parents."""
    return tuple(pipeline / kind for kind in SEVERAL_KINDS)


def page_of(paths, out, curves=(), **options) -> str:
    """Write a report and read it."""
    write_report(Inputs(tuple(paths), tuple(curves)), out, **options)
    return out.read_text()


def test_page_shows_every_artifact_of_a_folder(pipeline, tmp_path):
    """Digest and success of each; figures lie within, and nothing is fetched."""
    page = page_of([pipeline], tmp_path / "report.html")
    for command in COMMANDS.values():
        assert f"{command.kind}: {pipeline / command.kind}" in page
        assert open_artifact(pipeline / command.kind).digest in page
    sources = re.findall(r' (?:src|href)="([^"]{5})', page)
    assert {source for source in sources if not source.startswith("#")} == {"data:"}
    assert "http" not in re.sub(r"base64,[^\"]+", "", page)
    assert page.count("<img") == 3  # of the zoo, the samples and the rollouts
    assert "success_once with" not in page  # that is in a picture
    assert "unseen_combo" in page


def test_what_was_made_comes_after_what_it_was_made_from(some, tmp_path):
    """Whatever the order on the command line; a parent that is not shown is named by digest."""
    page = page_of(some, tmp_path / "report.html")
    places = [page.index(f"<h2>{kind}: ") for kind in SEVERAL_KINDS]
    assert places[0] > places[1]
    assert places[0] > places[3]
    assert places[2] > places[3]
    samples = open_artifact(some[1])
    (generator,) = samples.manifest.parents.values()
    assert f"generator {generator[:12]}" in page
    assert f"<td>{some[1]}, " in page or f", {some[1]}" in page


def test_the_same_artifacts_give_the_same_page(some, tmp_path):
    """Byte for byte, and an artifact that is named twice is shown once."""
    once = page_of(some, tmp_path / "one.html")
    assert page_of((*some, some[0]), tmp_path / "two.html") == once
    assert page_of(some[1:], tmp_path / "three.html") != once


def test_loss_curves_are_drawn(some, tmp_path):
    """One more picture for each; the name of the file is text."""
    curve = tmp_path / "a<b.csv"
    curve.write_text(CURVE)
    page = page_of(some[3:], tmp_path / "report.html", [curve])
    assert page.count("<img") == 1
    assert "a&lt;b.csv" in page


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", r"1: found nothing, expected a head"),
        ("a,b\n1,2\n", r"1: found a,b, expected a head"),
        ("step,loss\n1,0.5\n2\n", r"3: found '2', expected a step and a number"),
        ("step,loss\n1,nan\n", r"2: found nan, expected a finite number"),
        (f"step,loss\n{10**400},1\n", r"2: found '1000.*, expected a step and a number"),
    ],
)
def test_a_file_that_is_no_curve_is_one_line(some, tmp_path, text, reason):
    """File, line, what was found; and nothing is written."""
    curve = tmp_path / "curve.csv"
    curve.write_text(text)
    with pytest.raises(DamagedArtifactError, match=rf"curve\.csv:{reason}"):
        page_of(some, tmp_path / "report.html", [curve])
    assert [entry.name for entry in tmp_path.iterdir()] == ["curve.csv"]


def test_outputs_and_inputs_that_cannot_be(some, tmp_path):
    """A file that is there, a folder, nothing to show, a damaged artifact."""
    out = tmp_path / "report.html"
    page = page_of(some, out)
    with pytest.raises(OutputExistsError, match="exists already"):
        page_of(some[:1], out)
    assert out.read_text() == page
    assert page_of(some[:1], out, force=True) != page
    with pytest.raises(UsageError, match="is a folder; name a file"):
        page_of(some, tmp_path, force=True)
    (tmp_path / "thesis.html").write_text("years of work")
    for name, reason in (("thesis.html", "is not what"), ("demos/report.html", "lies inside")):
        shutil.copytree(some[3], tmp_path / "demos", dirs_exist_ok=True)
        with pytest.raises(UsageError, match=rf"--out .*{name}: {reason}"):
            page_of(some, tmp_path / name, force=True)
    assert (tmp_path / "thesis.html").read_text() == "years of work"
    with pytest.raises(MissingArtifactError, match="no such artifact"):
        page_of([tmp_path / "none"], tmp_path / "x.html")
    (tmp_path / "empty").mkdir()
    with pytest.raises(MissingArtifactError, match="neither an artifact nor"):
        page_of([tmp_path / "empty"], tmp_path / "x.html")
    harmed = tmp_path / "harmed"
    shutil.copytree(some[0], harmed)
    text = (harmed / "eval.json").read_text()
    (harmed / "eval.json").write_text(text.replace("true", "fals", 1))
    with pytest.raises(DamagedArtifactError):
        page_of([harmed], tmp_path / "x.html")
    assert not (tmp_path / "x.html").exists()


def test_command_says_what_it_wrote(some, tmp_path, capsys):
    """JSON on stdout; the default is beside the first artifact."""
    shutil.copytree(some[3], tmp_path / "demos")
    assert main(["report", str(tmp_path / "demos"), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    out = tmp_path / "report.html"
    assert answer["outputs"] == {"report": str(out)}
    assert answer["summary"] == {"artifacts": 1, "curves": 0, "bytes": out.stat().st_size}


HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    r"$\frac$",
    "\u6f22\n\x1b[2J",
    "x" * 10_000,
)


def test_text_of_an_artifact_is_text(pipeline, tmp_path):
    """Neither markup on the page nor a formula in a figure, whatever networks are called."""
    rollouts, _ = read_rollouts(pipeline / "rollouts")
    one = rollouts.evaluations[0]
    evaluations = [
        one._replace(name=f"{k} {text}", source=f"{k} {text}", kind=text)
        for k, text in enumerate(HOSTILE)
    ]
    write_rollouts(tmp_path / "it", replace(rollouts, evaluations=tuple(evaluations)), ORIGIN)
    page = page_of([tmp_path / "it"], tmp_path / "report.html")
    assert "<script" not in page
    assert page.count("<img") == 1
    assert "&lt;script&gt;" in page


def test_a_figure_shows_what_can_be_read(pipeline, tmp_path, monkeypatch):
    """Of thousands of shapes and sources the first few hundred and the first few."""
    drawn = {}

    def draw(methods, label):
        drawn.update(methods)
        return new_figure(1, 1)

    monkeypatch.setattr(report, "draw_by_architecture", draw)
    rollouts, _ = read_rollouts(pipeline / "rollouts")
    many = [
        rollouts.evaluations[0]._replace(
            name=str(k), hidden_dims=(k + 1,), source="a" if k < 300 else f"b{k}"
        )
        for k in range(400)
    ]
    write_rollouts(tmp_path / "it", replace(rollouts, evaluations=tuple(many)), ORIGIN)
    page_of([tmp_path / "it"], tmp_path / "report.html")
    assert len(drawn.pop("a")) == report.SHOWN_ROWS
    assert len(drawn) < report.SHOWN_SOURCES
