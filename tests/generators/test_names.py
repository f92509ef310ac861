"""Which generator a word means."""

import json
from pathlib import Path

import pytest
from generators_examples import install

import nnit
from nnit.errors import MissingArtifactError, UsageError
from nnit.generators import names
from nnit.generators.choice import choose_task
from nnit.generators.names import CARD, cache_folder, choose_model, find_models, of_folder


@pytest.fixture
def source(tmp_path, monkeypatch) -> Path:
    """Something to install; an empty working folder, an empty cache, no NNIT_MODEL."""
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "manifest.json").write_text("{}")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("NNIT_MODEL", raising=False)
    monkeypatch.setattr(names, "BUNDLED", tmp_path / "bundled")
    return tmp_path / "source"


@pytest.fixture
def site(tmp_path, monkeypatch) -> Path:
    """A folder of installed packages."""
    (tmp_path / "site").mkdir()
    monkeypatch.syspath_prepend(tmp_path / "site")
    return tmp_path / "site"


def put_into_cache(name: str, version: str) -> Path:
    """Make a model folder in the cache; returns its artifact."""
    cache = cache_folder()
    assert cache is not None
    folder = cache / name / version / "generator"
    folder.mkdir(parents=True)
    return folder


def test_a_name_is_its_newest_version_wherever_it_is(source, site):
    """Versions are compared as versions, not as texts; code of packages is not run."""
    installed = install(site, source, "arm", "1.9")
    cached = put_into_cache("arm", "1.10")
    assert choose_model("arm").path == cached
    assert choose_model("arm@1.9").path == installed
    assert [(one.name, one.version, one.origin) for one in find_models()] == [
        ("arm", "1.9", "package"),
        ("arm", "1.10", "cache"),
    ]
    assert choose_model("arm").card == cached.parent / CARD


def test_folders_come_before_names(source, site):
    """And a word with a slash is never a name."""
    install(site, source, "arm", "1")
    Path("arm").mkdir()
    assert choose_model("arm") == of_folder(Path("arm"))
    with pytest.raises(
        MissingArtifactError,
        match=r"^\./arm@1: no such artifact; make it with `nnit diffuse-train`$",
    ):
        choose_model("./arm@1")
    (source.parent / "model" / "generator").mkdir(parents=True)
    assert of_folder(source.parent / "model").path == source.parent / "model" / "generator"


def test_without_a_word_the_variable_the_usual_folder_and_the_package(source, site, monkeypatch):
    """In this order."""
    with pytest.raises(MissingArtifactError, match=r"^artifacts/generator: no such artifact; make"):
        choose_model(None)
    (names.BUNDLED / "generator").mkdir(parents=True)
    bundled = choose_model(None)
    assert bundled.path == names.BUNDLED / "generator"
    assert (bundled.name, bundled.version) == ("common", nnit.__version__)
    newer = install(site, source, "common", "99")
    assert choose_model(None).path == newer
    Path("artifacts/generator").mkdir(parents=True)
    assert choose_model(None).path == Path("artifacts/generator")
    monkeypatch.setenv("NNIT_MODEL", str(source))
    assert choose_model(None).path == source


def test_a_missing_generator_is_told_with_those_that_are_near(source, site):
    """In folders below, hidden ones aside; other kinds of artifacts are none."""
    for place, kind in {"build/demo/generator": "generator", "build/demo/ghn": "ghn"}.items():
        Path(place).mkdir(parents=True)
        Path(place, "manifest.json").write_text(json.dumps({"kind": kind}))
    Path(".hidden/generator").mkdir(parents=True)
    Path(".hidden/generator/manifest.json").write_text('{"kind": "generator"}')
    line = (
        r"artifacts/generator: no such artifact; make it with `nnit diffuse-train`; near are "
        r"build/demo/generator: name one with --model, or for all commands with NNIT_MODEL$"
    )
    for word in (None, "artifacts/generator"):
        with pytest.raises(MissingArtifactError, match=line):
            choose_model(word)
    known = ["PushCube-v1", "PickCube-v1"]
    with pytest.raises(UsageError, match=r"choose one with --task; near are build/demo/generator"):
        choose_task(names.BUNDLED / "generator", known, None)
    with pytest.raises(UsageError, match=r"choose one with --task$"):
        choose_task(Path("my/generator"), known, None)


def test_an_unknown_name_gets_the_nearest(source, site):
    """Else all there are."""
    install(site, source, "common", "0.1")
    with pytest.raises(MissingArtifactError, match=r"--model comon: .* did you mean common\?"):
        choose_model("comon")
    with pytest.raises(MissingArtifactError, match=r"did you mean common@0\.1\?"):
        choose_model("common@0.2")
    with pytest.raises(MissingArtifactError, match=r"there are common, common@0\.1"):
        choose_model("x" * 5000)


def test_no_home_is_no_cache(source, monkeypatch):
    """A daemon's user may have none."""
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
    assert cache_folder() is None
    assert find_models() == []
