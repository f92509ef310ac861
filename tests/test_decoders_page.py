"""The page about decoders says what its result file says."""

import json

from benchmarks.decoders import MARK, PAGE, table

RESULTS = PAGE.parents[1] / "results" / "decoders.json"


def test_the_page_has_the_table_of_the_committed_results():
    """Otherwise run `python -m benchmarks.decoders results/decoders.json` again."""
    results = json.loads(RESULTS.read_text())
    assert PAGE.read_text().split(MARK)[1] == f"\n\n{table(results)}\n"
