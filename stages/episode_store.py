"""Finished episodes of an interrupted rollout, kept beside its output."""

from collections.abc import Callable, Iterable

import numpy as np

from nnit.artifacts.state import UnitStore
from nnit.rollout.episodes import Trajectory, UnitKey, UnitResult
from nnit.rollout.metrics import Episode
from nnit.seeding import digest_text

RECORDED = ("observations", "actions", "success")  # of a trajectory, beside its seed


def _unit_id(key: UnitKey) -> str:
    return f"episodes-{digest_text(key.name)[:32]}-{key.first_episode}"


def save_unit(store: UnitStore, key: UnitKey, result: UnitResult) -> None:
    """Keep the episodes of a unit, and its trajectories if it has any."""
    columns = {
        name: np.array([getattr(episode, name) for episode in result.episodes])
        for name in Episode._fields
    }
    for name in RECORDED if result.trajectories else ():
        rows = [getattr(trajectory, name) for trajectory in result.trajectories]
        columns[f"trajectory.{name}"] = np.concatenate(rows)
    store.save(_unit_id(key), columns)


def load_unit(store: UnitStore, key: UnitKey) -> UnitResult | None:
    """Return the episodes of a unit, None where it is not finished."""
    columns = store.load(_unit_id(key))
    if columns is None:
        return None
    rows = zip(*(columns[name].tolist() for name in Episode._fields), strict=True)
    episodes = tuple(Episode(*row) for row in rows)
    recorded = [columns.get(f"trajectory.{name}") for name in RECORDED]
    ends = np.cumsum([episode.episode_len for episode in episodes])
    cuts = {"observations": ends + np.arange(1, len(ends) + 1)}  # one more than actions in each
    parts = [
        np.split(column, cuts.get(name, ends)[:-1])
        for name, column in zip(RECORDED, recorded, strict=True)
        if column is not None
    ]
    if len(parts) < len(RECORDED):
        return UnitResult(episodes)
    trajectories = (
        Trajectory(episode.seed, *arrays) for episode, *arrays in zip(episodes, *parts, strict=True)
    )
    return UnitResult(episodes, tuple(trajectories))


def load_units(store: UnitStore, keys: Iterable[UnitKey]) -> dict[UnitKey, UnitResult]:
    """Return the units that are finished."""
    return {key: result for key in keys if (result := load_unit(store, key)) is not None}


def saver(store: UnitStore) -> Callable[[UnitKey, UnitResult], None]:
    """Return a function that keeps each finished unit."""
    return lambda key, result: save_unit(store, key, result)
