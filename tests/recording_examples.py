"""A recording of a robot, two joints in degrees that go to a goal: as .npz and as LeRobot's."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from nnit.tasks.recordings import Recording

FPS = 30
VERSIONS = ("v2.1", "v3.0")


def record(episodes: int = 50, seed: int = 0) -> Recording:
    """Return episodes of 10 to 20 steps; the action is a target near by, in degrees."""
    rng = np.random.default_rng(seed)
    seen, done, ends = [], [], []
    for _ in range(episodes):
        place, goal = rng.uniform(-60, 60, (2, 2))
        for _ in range(int(rng.integers(10, 21))):
            target = place + np.clip(goal - place, -20, 20)
            seen.append(np.concatenate([place, goal]))
            done.append(target)
            place = place + 0.8 * (target - place) + rng.normal(0, 1, 2)
        ends.append(len(seen))
    return Recording(np.array(seen, np.float32), np.array(done, np.float32), np.array(ends), FPS)


def write_npz(path: Path, recording: Recording) -> Path:
    """Write what anybody would."""
    observations, actions, episode_ends, _ = recording
    np.savez(path, observations=observations, actions=actions, episode_ends=episode_ends)
    return path


def write_lerobot(folder: Path, recording: Recording, version: str, files: int = 3) -> Path:
    """Write a dataset as LeRobot does: a file for each episode in 2.1, several of each in 3.0.

    Args:
        folder: Which.
        recording: What.
        version: ``v2.1`` or ``v3.0``.
        files: Data files of version 3.0, two in a chunk.
    """
    observations, actions, ends, fps = recording
    lengths = np.diff(ends, prepend=0)
    index = np.repeat(np.arange(len(ends)), lengths)
    feature = {"dtype": "float32", "names": None}
    info = {
        "codebase_version": version,
        "fps": fps,
        "total_episodes": len(ends),
        "total_frames": len(actions),
        "data_path": "../../etc/passwd",  # ours says where files are
        "features": {
            "observation.state": {**feature, "shape": [observations.shape[1]]},
            "action": {**feature, "shape": [actions.shape[1]]},
        },
    }
    (folder / "meta").mkdir(parents=True)
    (folder / "meta/info.json").write_text(json.dumps(info))
    columns = {
        "observation.state": _rows(observations, fixed=version == "v3.0"),
        "action": _rows(actions, fixed=version == "v2.1"),
        "timestamp": pa.array(np.arange(len(index), dtype=np.float32) / fps),
        "episode_index": pa.array(index),
    }
    table = pa.table(columns)
    listed = {"episode_index": np.arange(len(ends)), "length": lengths}
    if version == "v2.1":
        lines = [json.dumps({"episode_index": k, "length": int(n)}) for k, n in enumerate(lengths)]
        (folder / "meta/episodes.jsonl").write_text("\n".join(lines) + "\n")
        for k, (end, length) in enumerate(zip(ends, lengths, strict=True)):
            path = folder / f"data/chunk-000/episode_{k:06d}.parquet"
            _write(path, table.slice(end - length, length))
        return folder
    _write(folder / "meta/episodes/chunk-000/file-000.parquet", pa.table(listed))
    for k, chosen in enumerate(np.array_split(np.arange(len(ends)), files)):
        rows = np.flatnonzero(np.isin(index, chosen))
        path = folder / f"data/chunk-{k // 2:03d}/file-{k % 2:03d}.parquet"
        _write(path, table.slice(rows[0], len(rows)))
    return folder


def _rows(array: np.ndarray, *, fixed: bool) -> pa.Array:
    """Return rows as lists, of a fixed length or of any; a single number is a number."""
    width = array.shape[1]
    flat = pa.array(array.reshape(-1))
    if width == 1:
        return flat
    if fixed:
        return pa.FixedSizeListArray.from_arrays(flat, width)
    return pa.ListArray.from_arrays(pa.array(np.arange(0, array.size + 1, width), pa.int32()), flat)


def _write(path: Path, table: pa.Table) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(table, path)
