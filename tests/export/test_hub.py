"""``nnit push`` and ``nnit pull``, against a server on this machine with the hub's interface."""

import json
from pathlib import Path

import pytest
from export_examples import fault_of, tree, write_networks
from hub_stand_in import TOKEN, running_hub
from huggingface_hub import constants

from nnit.artifacts import hub_folder
from nnit.artifacts.reading import open_artifact, verify
from nnit.artifacts.samples import read_samples
from nnit_cli.main import main

FILES = ["README.md", "config.json", "model.safetensors", "nnit.json"]
REPO = "me/robot"


@pytest.fixture
def hub(monkeypatch):
    """A hub that is the only one, and somebody who may write there."""
    # The library was there before the variable: it reads it once, and not in all places the same.
    assert "127.0.0.1" not in constants.HF_URL_HOSTS
    with running_hub() as running:
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield running


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """The second of two networks as ``nnit export --hf`` writes it, beside the samples."""
    monkeypatch.chdir(tmp_path)
    write_networks(tmp_path / "samples", "action")
    words = ["export", "samples", "--network", "network-0001", "--hf", "--out", "hub"]
    assert main([*words, "--json"]) == 0
    return Path("hub/network-0001")


@pytest.fixture
def pushed(hub, folder, capsys) -> dict[str, str]:
    """What pushing it said."""
    capsys.readouterr()
    assert main(["push", str(folder), REPO, "--json"]) == 0
    return json.loads(capsys.readouterr().out)["summary"]


def test_a_network_comes_back_as_it_went(pushed, hub, capsys):
    """Weights, interface and record, bit for bit; as samples that say where they come from."""
    assert main(["pull", REPO, "--out", "pulled", "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)["summary"]
    assert summary["revision"] == pushed["revision"]
    assert summary["digest"] == pushed["digest"]
    (samples, artifact), (sources, _) = read_samples(Path("pulled")), read_samples(Path("samples"))
    (sample,), source = samples.samples, sources.samples[1]
    assert samples.interface == sources.interface
    assert sample.network.hidden_dims == source.network.hidden_dims
    assert sample.network.weights.tobytes() == source.network.weights.tobytes()
    assert (sample.seed, sample.sample_index) == (source.seed, source.sample_index)
    assert sample.record.setting == source.record.setting
    assert (sample.record.actions == source.record.actions).all()
    assert artifact.manifest.params == {"repo": REPO, "revision": pushed["revision"]}
    assert artifact.manifest.parents == {"samples": pushed["digest"]}
    assert verify(Path("pulled")) == []
    assert main(["check-policy", "pulled"]) == 0


def test_the_folder_is_as_hubs_have_it(folder, pushed, hub):
    """Its files and no others are pushed; what else is in the repository stays."""
    assert sorted(tree(folder)) == FILES
    _, files = hub.files(REPO, "main")
    assert files == {".gitattributes": b"*.safetensors filter=lfs\n", **tree(folder)}
    card = files["README.md"].decode()
    assert card.startswith("---\nlibrary_name: nnit\npipeline_tag: robotics\n")
    assert open_artifact(Path("samples")).digest in card
    assert not hub.private[REPO]


def test_a_new_repository_may_be_private(folder, hub):
    """For those who ask for it."""
    assert main(["push", str(folder), REPO, "--private"]) == 0
    assert hub.private[REPO]


def test_only_what_is_checked_is_brought(pushed, hub):
    """Neither code beside it nor the card, which may say anything."""
    hub.commit(REPO, {"evil.py": b"raise SystemExit", "README.md": b"edited"})
    hub.asked.clear()
    assert main(["pull", REPO, "--out", "pulled"]) == 0
    assert hub.asked == {"config.json", "model.safetensors", "nnit.json"}
    assert not any("evil" in name for name in tree(Path("pulled")))


def test_a_commit_stays_what_it_was(pushed, hub, folder):
    """Pulled by its name, whatever came after."""
    hub.commit(REPO, {"model.safetensors": b"something else"})
    words = ["pull", REPO, "--revision", pushed["revision"], "--out", "pulled"]
    assert main(words) == 0
    assert verify(Path("pulled")) == []


def flipped(data: bytes) -> bytes:
    """Change the last byte."""
    return data[:-1] + bytes([data[-1] ^ 1])


HARMED = {  # file -> what becomes of it, exit code, and how the line begins
    "config.json": (flipped, 5, f"{REPO}/config.json: its bytes changed"),
    "model.safetensors": (flipped, 5, f"{REPO}/model.safetensors: its bytes changed"),
    "nnit.json": (flipped, 5, f"{REPO}/nnit.json: "),
}


@pytest.mark.parametrize("name", HARMED)
def test_what_was_changed_on_the_hub_is_refused(name, pushed, hub, folder, capsys):
    """One line with the file, and nothing is written; a folder that was changed is not pushed."""
    harm, code, start = HARMED[name]
    whole = (folder / name).read_bytes()
    hub.commit(REPO, {name: harm(whole)})
    assert fault_of(capsys, ["pull", REPO, "--out", "pulled"], code).startswith(start)
    assert not Path("pulled").exists()
    (folder / name).write_bytes(harm(whole))
    line = fault_of(capsys, ["push", str(folder), "me/other"], code)
    assert line.startswith(start.replace(REPO, str(folder)))
    assert "me/other" not in hub.commits


def test_more_bytes_than_a_network_has_are_not_brought(pushed, hub, capsys, monkeypatch):
    """The hub says how many there are before any comes."""
    monkeypatch.setitem(hub_folder.LIMITS, "model.safetensors", 1000)
    hub.asked.clear()
    line = fault_of(capsys, ["pull", REPO, "--out", "pulled"], 5)
    assert line == f"{REPO}/model.safetensors: larger than 1000 bytes"
    assert hub.asked == set()


def test_a_card_may_be_edited(hub, folder, capsys):
    """As long as the hub takes its front matter; but there is one."""
    card = folder / "README.md"
    card.write_text(f"{card.read_text()}\nBy me.\n")
    assert main(["push", str(folder), REPO]) == 0
    capsys.readouterr()
    before = dict(hub.commits[REPO])
    card.write_text("By me.\n")
    line = fault_of(capsys, ["push", str(folder), REPO], 2)
    assert line == f"{REPO}: Invalid metadata in README.md. - no metadata"
    card.unlink()
    line = fault_of(capsys, ["push", str(folder), REPO], 4)
    assert line == f"{card}: no such file; make it with `nnit export --hf`"
    assert hub.commits[REPO] == before


def test_what_is_not_there_is_said(pushed, hub, folder, capsys, monkeypatch):
    """Repository, revision, network, folder, hub, right to write; nothing is left of any."""
    hub.commit("me/bert", {"config.json": b"{}"})
    before = sorted(tree(Path()))
    lines = {
        ("pull", "me/none"): (4, f"me/none: no such repository at {hub.url}, or not for you"),
        ("pull", REPO, "--revision", "v2"): (4, f"{REPO}: has no such revision at {hub.url}"),
        ("pull", "me/bert"): (4, "me/bert: has no model.safetensors and no nnit.json; it is not"),
        ("pull", "a/b/c"): (2, "a/b/c: no name of a repository; give OWNER/NAME"),
        ("pull", REPO, "--out", "samples"): (2, "samples: exists already; replace it with --force"),
        ("push", "samples", REPO): (4, "samples/config.json: no such file; make it with `nnit exp"),
    }
    for words, (code, start) in lines.items():
        assert fault_of(capsys, list(words), code).startswith(start)
    monkeypatch.setenv("HF_TOKEN", "another")
    line = fault_of(capsys, ["push", str(folder), REPO], 6)
    assert line == f"{REPO}: {hub.url} answers 401; `hf auth whoami` says who you are there"
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    line = fault_of(capsys, ["pull", REPO], 6)
    assert line.startswith(f"{REPO}: http://127.0.0.1:9 can't be reached")
    assert sorted(tree(Path())) == before
