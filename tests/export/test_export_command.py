"""``nnit export``: which networks, which files, and what is never written over."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from export_examples import fault_of, tree, write_networks

from nnit.errors import QualityGateError
from nnit.export.policy import TOLERANCE
from nnit_cli.main import main
from stages.export import Exported, require_agreement

FORMATS = ["--onnx", "--pt2", "--c", "--hf"]
FILES = [".h", ".onnx", ".pt2", "/README.md", "/config.json", "/model.safetensors", "/nnit.json"]

pytestmark = pytest.mark.seconds


@pytest.fixture
def samples(tmp_path, monkeypatch):
    """Two networks in a folder that commands run in."""
    monkeypatch.chdir(tmp_path)
    write_networks(tmp_path / "samples", "class")
    return "samples"


def test_every_network_in_every_format(samples, tmp_path, capsys):
    """Beside the samples; each file says its size and agrees with torch."""
    assert main(["export", samples, *FORMATS, "--check", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    names = [f"network-000{k}{part}" for k in range(2) for part in FILES]
    assert sorted(tree(tmp_path / "exports")) == sorted(names)
    paths = [
        f"exports/network-000{k}{part}" for k in (0, 1) for part in (".onnx", ".pt2", ".h", "")
    ]
    assert [one["path"] for one in found] == paths
    for one in found:
        path = Path(one["path"])
        files = list(path.iterdir()) if path.is_dir() else [path]
        assert one["bytes"] == sum(file.stat().st_size for file in files) > one["weight_bytes"]
        if one["note"]:  # the same weights; or no compiler here
            assert one["difference"] is None
        else:
            assert one["difference"] <= TOLERANCE
    assert [one["path"] for one in found if one["latency_us"]] == [
        path for path in paths if path.endswith(".h") and not found[2]["note"]
    ]


def test_only_the_network_that_is_named(samples, tmp_path, capsys):
    """Where --out says; people get a table of what there is to say."""
    words = ["export", samples, "--network", "network-0001", "--c", "--out", "deep/c"]
    assert main(words) == 0
    head, row, *ending = capsys.readouterr().out.splitlines()
    assert ending == ["", "files written: 1, in deep/c", f"next: nnit report {samples}"]
    assert head.split() == ["file", "bytes", "weights"]
    assert row.split()[0] == "deep/c/network-0001.h"
    assert [file.name for file in (tmp_path / "deep/c").iterdir()] == ["network-0001.h"]


@pytest.mark.parametrize(
    ("artifact", "count"), [("schema-1/samples", 2), ("schema-2/frontier", 1), ("schema-1/zoo", 2)]
)
def test_networks_that_say_less_of_themselves(artifact, count, repository, tmp_path, capsys):
    """Those of a frontier's front, of a zoo, and of old samples, by their place."""
    stored = repository / "tests/data/archives" / artifact
    assert main(["export", str(stored), "--c", "--hf", "--out", str(tmp_path)]) == 0
    assert "\nnext: nnit push " in capsys.readouterr().out
    headers = sorted(file.name for file in tmp_path.glob("*.h"))
    assert headers == [f"network-000{k}.h" for k in range(count)]


def test_an_earlier_export_is_replaced_by_force_alone(samples, tmp_path, capsys):
    """By the same bytes; without, nothing is touched, and the default is a folder beside it."""
    assert main(["export", samples, *FORMATS]) == 0
    before = tree(tmp_path / "exports")
    capsys.readouterr()
    line = fault_of(capsys, ["export", samples, *FORMATS, "--out", "exports"], 2)
    assert line == (
        "exports/network-0000.onnx: exists already; replace it with --force, or choose --out"
    )
    assert main(["export", samples, *FORMATS, "--force"]) == 0
    assert main(["export", samples, *FORMATS]) == 0
    assert tree(tmp_path / "exports") == tree(tmp_path / "exports-2") == before


def test_networks_of_two_inputs_do_not_mix(samples, tmp_path, capsys):
    """Their names are the same; each input has a folder, and a sibling where that is taken."""
    for name in ("samples-2", "zoo"):
        write_networks(tmp_path / name, "action", count=1)
    for name in ("samples", "samples-2", "zoo", "zoo"):
        assert main(["export", name, "--c"]) == 0
    folders = {path.name: sorted(tree(path)) for path in tmp_path.glob("exports*")}
    one = ["network-0000.h"]
    assert folders == {
        "exports": [*one, "network-0001.h"],
        "exports-samples-2": one,
        "exports-zoo": one,
        "exports-zoo-2": one,
    }


@pytest.mark.parametrize("part", FILES)
def test_what_is_somebody_elses_stays(part, samples, tmp_path, capsys):
    """Whatever --force says, and nothing is written beside it."""
    theirs = Path(f"exports/network-0001{part}")
    theirs.parent.mkdir(parents=True)
    theirs.write_bytes(b"theirs")
    line = fault_of(capsys, ["export", samples, *FORMATS, "--force"], 2)
    assert line.startswith(f"{theirs}: is not what this command wrote before")
    assert tree(tmp_path / "exports") == {f"network-0001{part}": b"theirs"}


def test_a_card_that_was_edited_stays(samples, capsys):
    """It is somebody's own by then."""
    assert main(["export", samples, "--hf"]) == 0
    card = Path("exports/network-0001/README.md")
    card.write_text(f"{card.read_text()}\nBy me.\n")
    capsys.readouterr()
    line = fault_of(capsys, ["export", samples, "--hf", "--force"], 2)
    assert line.startswith(f"{card}: is not what this command wrote before")


MISTAKES = {
    "samples": (2, "give at least one of --onnx, --pt2, --c, --hf"),
    "samples --c --network network-0002": (
        2,
        "--network network-0002: samples has network-0000, network-0001",
    ),
    "none --c": (
        4,
        "none: no such artifact; make it with `nnit sample` or `nnit frontier` or "
        "`nnit zoo-export`",
    ),
    "samples --c --out samples/x": (
        2,
        "samples/x/network-0000.h: lies inside the artifact {here}/samples, which it would damage",
    ),
}


@pytest.mark.parametrize("words", MISTAKES)
def test_a_mistake_is_said_in_one_line(words, samples, tmp_path, capsys):
    """Before anything is written."""
    code, line = MISTAKES[words]
    where = "--network network-0000 " if "--out" in words else ""
    found = fault_of(capsys, ["export", *f"{words} {where}".split()], code)
    assert found == line.format(here=tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["samples"]


def test_what_is_not_installed_is_said(samples, monkeypatch, capsys):
    """Without onnx no model; without onnxruntime, or a compiler, no comparison."""
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.setenv("PATH", "")
    assert main(["export", samples, "--onnx", "--c", "--check"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert printed.count("not checked: no onnxruntime here; pip install 'nnit[export]'") == 2
    assert printed.count("not checked: no C compiler here (cc)") == 2
    monkeypatch.setitem(sys.modules, "onnx", None)
    line = fault_of(capsys, ["export", samples, "--onnx", "--force"], 2)
    assert line == "--onnx: the package onnx is not installed; pip install 'nnit[export]'"


@pytest.mark.parametrize("difference", [2 * TOLERANCE, np.inf])
def test_a_file_that_differs_from_torch_is_a_fault(difference):
    """Exit code 7, and the line names it; rounding is none."""
    fine = Exported("network-0000", Path("a.onnx"), 1, 1, TOLERANCE, None, "")
    require_agreement([fine])
    with pytest.raises(QualityGateError, match=r"^--check: b\.onnx: differs from torch by "):
        require_agreement([fine, replace(fine, path=Path("b.onnx"), difference=difference)])
