"""Finished episodes of demonstrations that several runs share out, kept beside the output."""

from collections.abc import Callable

import numpy as np

from nnit.artifacts.state import UnitStore
from nnit.tasks.collect import EpisodeRecord

LONG = ("observations", "actions")  # of a record, a row for each step
SHORT = ("success_once", "success_at_end", "seed")


def load_records(store: UnitStore, unit: int) -> list[EpisodeRecord] | None:
    """Return the episodes of a unit, None where it is not finished."""
    columns = store.load(f"demonstrations-{unit}")
    if columns is None:
        return None
    cuts = np.cumsum(columns["steps"])[:-1]
    rows = (np.split(columns[name], cuts) for name in LONG)
    return [
        EpisodeRecord(*record)
        for record in zip(*rows, *(columns[name].tolist() for name in SHORT), strict=True)
    ]


def records_saver(store: UnitStore) -> Callable[[int, list[EpisodeRecord]], None]:
    """Return a function that keeps each finished unit."""

    def save(unit: int, records: list[EpisodeRecord]) -> None:
        rows = {name: np.concatenate([getattr(one, name) for one in records]) for name in LONG}
        columns = {name: np.array([getattr(one, name) for one in records]) for name in SHORT}
        steps = np.array([len(one.actions) for one in records])
        store.save(f"demonstrations-{unit}", {**rows, **columns, "steps": steps})

    return save
