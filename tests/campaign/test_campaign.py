"""The campaign notices what it looks for, and a sample of it finds nothing."""

import json
import os
import subprocess
import sys
import time

import pytest

from nnit.errors import DamagedArtifactError

from .__main__ import PARTS, table
from .trials import Attack, Fault, failures_of, numbered, rows_of, run_trials

SHARES = {"damage": 0.003, "kills": 0.003, "fuzz": 0.0015, "resealed": 0.003, "snapshot": 0.05}
COUNTED = ("accepted", "crashed", "hung", "over_memory", "bytes_lost")


def refuse(_k, _chance, _folder):
    """Do what should be done."""
    raise DamagedArtifactError("refused")


def take_memory(_k, _chance, _folder):
    """Touch more than is allowed."""
    bytearray(1100 * 2**20)


TRIED = {
    "refused": (refuse, ()),
    "accepted": (lambda *_: Fault("accepted", "x"), ("accepted",)),
    "lost": (lambda *_: Fault("lost", "x", 1), ("accepted", "bytes_lost")),
    "raised": (lambda *_: 1 // 0, ("crashed",)),
    "aborted": (lambda *_: os._exit(1), ("crashed",)),
    "asleep": (lambda *_: time.sleep(60), ("hung",)),
    "memory": (take_memory, ("over_memory",)),
    "address": (lambda *_: bytearray(2**40), ("over_memory",)),
}


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_every_way_of_succeeding_is_counted_and_can_be_run_again(tmp_path):
    """What crashes, hangs or takes memory ends its own trial alone, and every row adds up."""
    patience_s = {"asleep": 2}
    attacks = [
        Attack(name, 2, trial, patience_s=patience_s.get(name, 30))
        for name, (trial, _) in TRIED.items()
    ]
    every = list(numbered(attacks))
    found = run_trials(every, 0, tmp_path, workers=2, deadline=time.monotonic() + 60)
    rows = {row["attack"]: row for row in rows_of(every, found)}
    for name, (_, columns) in TRIED.items():
        assert rows[name]["trials"] == 2
        assert [column for column in COUNTED if rows[name][column] == 2] == list(columns)
    failures = failures_of("damage", every, found, 0)
    assert [failure["times"] for failure in failures] == [2] * (len(TRIED) - 1)
    assert failures[0]["again"] == "python -m tests.campaign --part damage --seed 0 --only 2"


@pytest.mark.slow
@pytest.mark.parametrize("part", PARTS)
def test_a_sample_of_the_campaign_finds_nothing(part, repository, tmp_path):
    """No attack is accepted, nothing crashes, hangs, takes too much memory or is lost."""
    words = ["--part", part, "--share", str(SHARES[part]), "--out", str(tmp_path / "found.json")]
    done = subprocess.run(
        [sys.executable, "-m", "tests.campaign", *words],
        cwd=repository,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["failures"] == []
    assert found["totals"]["trials"] > 0
    assert done.returncode == 0


def test_the_table_of_the_docs_is_that_of_the_last_campaign(repository):
    """``docs/security.md`` says what ``results/campaign.json`` does."""
    results = repository / "results/campaign.json"
    if not results.exists():
        pytest.skip("no campaign was run yet")
    page = (repository / "docs/security.md").read_text()
    shown = page.partition("<!-- campaign -->\n")[2].partition("<!-- /campaign -->")[0]
    assert shown.strip() == table(json.loads(results.read_text())).strip()
