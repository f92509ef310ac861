"""``nnit report``: every artifact on one page that stands alone."""

import base64
import json
import re
import shutil
from dataclasses import replace
from html import unescape
from urllib.parse import unquote

import pytest
from tiny_pipeline import COMMANDS, ORIGIN

from nnit.artifacts.log import log_file
from nnit.artifacts.reading import open_artifact
from nnit.artifacts.rollouts import read_rollouts, write_rollouts
from nnit.audit.report import TRAINED
from nnit.errors import (
    DamagedArtifactError,
    MissingArtifactError,
    OutputExistsError,
    UsageError,
)
from nnit.figures.palette import styles_of
from nnit_cli.main import main
from stages import report_sections
from stages.audit_tables import NOT_HELD_OUT
from stages.curves import is_curve
from stages.inspection import SOURCES
from stages.report import Inputs, write_report
from stages.report_sections import ALL_ROWS, SHOWN_METHODS, SHOWN_STEPS

MAX_BYTES = 5_000_000
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


def with_curve(path, points) -> None:
    """Give an artifact another loss curve."""
    manifest = open_artifact(path).manifest
    changed = replace(manifest, attributes={**manifest.attributes, "loss_curve": points})
    (path / "manifest.json").write_bytes(changed.to_bytes())


def specs_of(page: str) -> list[dict]:
    """Return the charts of a page."""
    found = re.findall(r'<script type="application/json">(.*?)</script>', page, re.DOTALL)
    return [json.loads(text) for text in found]


def test_page_shows_every_artifact_of_a_folder(pipeline, tmp_path):
    """Digest and success of each; figures lie within, and nothing is fetched."""
    page = page_of([pipeline], tmp_path / "report.html")
    for command in COMMANDS.values():
        assert f"{command.kind}: {pipeline / command.kind}" in page
        assert open_artifact(pipeline / command.kind).digest in page
    markup = re.sub(r'<script type="module">.*?</script>', "", page, flags=re.DOTALL)
    sources = re.findall(r' (?:src|href)="([^"]{5})', markup)
    assert {source for source in sources if not source.startswith("#")} == {"data:"}
    assert "default-src 'none'" in unescape(page)
    titles = [
        "ghn",
        "zoo",
        "generator",
        "flat",
        "Success over width and depth",
        "Loss of each network",
    ]
    assert all(f'<figure class="chart" aria-label="{title}' in page for title in titles)
    assert len(specs_of(page)) == 7  # and success by shape
    assert page.count('class="weights"') == 2
    assert "in patches of 8 x 8" in page
    assert len(page) < MAX_BYTES


def test_headline_is_about_shapes_that_nobody_trained(pipeline, tmp_path):
    """Of the rollouts with the most of them; the mean over networks, and the lowest of them."""
    page = page_of([pipeline], tmp_path / "report.html")
    rollouts, _ = read_rollouts(pipeline / "rollouts")
    samples = [one for one in rollouts.evaluations if one.source == "sample"]
    assert {one.kind for one in samples} == {"unseen_combo", "unseen_width"}
    shares = [one.success_once for one in samples]
    assert f'<span class="number">{sum(shares) / len(shares):.3f}</span>' in page
    assert "of 2 networks (generated) of 2 shapes that nobody trained, each in 2 episodes" in page
    assert f"<title>{rollouts.interface.task}: nnit report</title>" in page
    assert f"Lowest network: {min(shares):.3f}" in page


def test_the_page_has_the_words_of_inspect(pipeline, tmp_path):
    """For methods, and for shapes that no list holds out; drawn as what they are in artifacts."""
    rollouts, _ = read_rollouts(pipeline / "rollouts")
    evaluations = tuple(
        rollouts.evaluations[0]._replace(name=f"n{k}", source=source, kind=TRAINED)
        for k, source in enumerate(SOURCES)
    )
    write_rollouts(tmp_path / "it", replace(rollouts, evaluations=evaluations), ORIGIN)
    page = page_of([tmp_path / "it"], tmp_path / "report.html")
    cells = set(re.findall(r"<td[^>]*>([^<]*)</td>", page))
    assert {*SOURCES.values(), NOT_HELD_OUT} <= cells
    assert not {*SOURCES, TRAINED} & cells
    values = [value for spec in specs_of(page) for value in spec["data"]["values"]]
    assert {value["method"] for value in values} == set(SOURCES.values())
    assert {value["kind"] for value in values} == {NOT_HELD_OUT}
    assert "1 network (generated)" in page
    for source, word in SOURCES.items():
        assert styles_of([word])[word] == styles_of([source])[source]


def test_what_was_made_comes_after_what_it_was_made_from(some, tmp_path):
    """Whatever the order on the command line; a parent that is not shown is named by digest."""
    page = page_of(some, tmp_path / "report.html")
    places = [re.search(rf'id="part-\d+-title">{kind}: ', page).start() for kind in SEVERAL_KINDS]
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
    """One more chart for each; the name of the file is text."""
    curve = tmp_path / "a<b.csv"
    curve.write_text(CURVE)
    page = page_of(some[3:], tmp_path / "report.html", [curve])
    (spec,) = specs_of(page)
    assert [one["value"] for one in spec["data"]["values"]] == [0.5, 0.25]
    assert "a&lt;b.csv" in page


def test_the_log_of_a_training_beside_its_artifact_is_drawn(pipeline, tmp_path):
    """All that says how far it has come, thinned; where there is none, what the artifact holds."""
    shutil.copytree(pipeline / "generator", tmp_path / "generator")
    (spec,) = specs_of(page_of([tmp_path / "generator"], tmp_path / "one.html"))
    assert {one["name"] for one in spec["data"]["values"]} == {"loss"}
    records = [
        {"step": k, "loss": 1 / k, "cloning_loss": None if k < 9 else 0.5, "seconds": 1.0 * k}
        for k in range(1, 1001)
    ]
    log_file(tmp_path / "generator").write_text("".join(f"{json.dumps(one)}\n" for one in records))
    with_curve(tmp_path / "generator", [[500, 0.1], [1000, 0.2]])
    (spec,) = specs_of(page_of([tmp_path / "generator"], tmp_path / "two.html"))
    values = spec["data"]["values"]
    assert {one["name"] for one in values} == {"loss", "cloning_loss"}
    assert len(values) == 2 * SHOWN_STEPS
    assert max(one["step"] for one in values) == 1000


@pytest.mark.parametrize(("ends", "is_its"), [(7, False), (8, True), (9, True), (10, False)])
def test_the_log_of_another_training_is_left_aside(ends, is_its, pipeline, tmp_path):
    """One that was to replace the artifact, and was interrupted; points are two steps apart."""
    generator = tmp_path / "generator"
    shutil.copytree(pipeline / "generator", generator)
    with_curve(generator, [[step, 0.25] for step in (2, 4, 6, 8)])
    lines = [f'{{"step": {k}, "loss": 0.5}}\n' for k in range(1, ends + 1)]
    log_file(generator).write_text("".join(lines))
    (spec,) = specs_of(page_of([generator], tmp_path / "one.html"))
    values = [0.5] * ends if is_its else [0.25] * 4
    assert [one["value"] for one in spec["data"]["values"]] == values


def test_what_no_curve_can_show_is_left_out(pipeline, tmp_path):
    """Of a log, numbers beyond all bounds and what is none; a manifest's curve has to be one."""
    generator = tmp_path / "generator"
    shutil.copytree(pipeline / "generator", generator)
    with_curve(generator, [])
    odd = f'{{"step": 1, "loss": 0.5, "a": {10**400}, "b": true, "c": "x"}}\n'
    log_file(generator).write_text(odd + f'{{"step": {10**400}, "loss": 0.5}}\n')
    (spec,) = specs_of(page_of([generator], tmp_path / "one.html"))
    assert spec["data"]["values"] == [{"name": "loss", "step": 1, "value": 0.5}]
    log_file(generator).unlink()
    with_curve(generator, [[1, 2, 3]])
    with pytest.raises(DamagedArtifactError, match=r"loss_curve: .*must have at most 2 items"):
        page_of([generator], tmp_path / "two.html")


def test_rollouts_of_nothing_have_no_headline(pipeline, tmp_path):
    """They are an artifact among others."""
    rollouts, _ = read_rollouts(pipeline / "rollouts")
    write_rollouts(tmp_path / "it", replace(rollouts, evaluations=()), ORIGIN)
    page = page_of([tmp_path / "it"], tmp_path / "report.html")
    assert "<title>nnit report</title>" in page
    assert specs_of(page) == []


def test_small_films_lie_within_and_others_beside(pipeline, tmp_path, monkeypatch):
    """A link leads from the page to the film, also where the page lies elsewhere."""
    rollouts, _ = read_rollouts(pipeline / "rollouts")
    films = {"sample-0000": b"small", "sample-0001": b"x" * 100}
    monkeypatch.setattr(report_sections, "FILM_BYTES", 50)
    write_rollouts(tmp_path / "its films" / "it", rollouts, ORIGIN, films=films)
    (tmp_path / "pages").mkdir()
    page = page_of([tmp_path / "its films" / "it"], tmp_path / "pages" / "report.html")
    (within,) = re.findall(r'<video[^>]* src="data:video/mp4;base64,([^"]*)"', page)
    assert base64.b64decode(within) == b"small"
    (beside,) = re.findall(r'href="(\.\.[^"]*)"', page)
    assert (tmp_path / "pages" / unquote(beside)).read_bytes() == films["sample-0001"]


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


@pytest.mark.parametrize(
    ("text", "is_its"), [(CURVE, True), ("step,loss", False), ("step,loss\n", True), ("", False)]
)
def test_a_curve_is_told_from_other_files(text, is_its):
    """By its head and its rows, each with an end."""
    assert is_curve(text.encode()) == is_its


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
    """JSON on stdout, or where the page is; the default is beside the first artifact."""
    shutil.copytree(some[3], tmp_path / "demos")
    assert main(["report", str(tmp_path / "demos"), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    out = tmp_path / "report.html"
    assert answer["outputs"] == {"report": str(out)}
    assert answer["summary"] == {"artifacts": 1, "curves": 0, "bytes": out.stat().st_size}
    assert main(["report", str(tmp_path / "demos")]) == 0
    first, *_, result, following = capsys.readouterr().out.splitlines()
    assert following == f"next: python -m webbrowser {out}"
    assert first.split() == ["report", str(out)]
    assert result == f"artifacts on one page: 1, in {out}"


HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    r"$\frac$",
    "\u6f22\n\x1b[2J",
    "x" * 10_000,
)


def test_text_of_an_artifact_is_text(pipeline, tmp_path):
    """No markup on the page, whatever networks are called; the scripts are those of every page."""
    rollouts, _ = read_rollouts(pipeline / "rollouts")
    one = rollouts.evaluations[0]
    evaluations = [
        one._replace(name=f"{k} {text}", source=f"{k} {text}", kind=text)
        for k, text in enumerate(HOSTILE)
    ]
    write_rollouts(tmp_path / "it", replace(rollouts, evaluations=tuple(evaluations)), ORIGIN)
    page = page_of([tmp_path / "it"], tmp_path / "report.html")
    usual = page_of([pipeline / "rollouts"], tmp_path / "usual.html")
    policy = re.compile(r'http-equiv="Content-Security-Policy" content="([^"]*)"')
    assert policy.findall(page) == policy.findall(usual)
    assert page.count("<script") == usual.count("<script")
    assert page.count("<img") == usual.count("<img")
    assert "&lt;script&gt;" in page
    assert HOSTILE[0] in str(specs_of(page))


def test_a_chart_shows_what_can_be_read(pipeline, tmp_path):
    """Of thousands of shapes and methods the first few hundred and the first few; a small page."""
    rollouts, _ = read_rollouts(pipeline / "rollouts")
    many = [
        rollouts.evaluations[0]._replace(
            name=str(k), hidden_dims=(k + 1,), source="sample" if k < 300 else f"b{k}"
        )
        for k in range(3000)
    ]
    write_rollouts(tmp_path / "it", replace(rollouts, evaluations=tuple(many)), ORIGIN)
    page = page_of([tmp_path / "it"], tmp_path / "report.html")
    assert len(page) < MAX_BYTES
    values = specs_of(page)[1]["data"]["values"]
    assert sum(one["method"] == "generated" for one in values) == ALL_ROWS // SHOWN_METHODS
    assert len({one["method"] for one in values}) <= SHOWN_METHODS
    assert f"The {ALL_ROWS:,} lowest of 3,000 networks" in page
