"""Units of work as bytes for other processes: what several share goes to each process once.

Demonstrations or the arrays of a hypernetwork are the same objects in many units, wherever in them.
Each such array is packed apart, and units hold a token in its place.
"""

import io
import itertools
import pickle
import traceback
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

SHARED_BYTES = 16 * 1024  # from which on an array is worth a message of its own
_tokens = itertools.count()  # of this process: no two of its shared arrays have the same


class Crate(NamedTuple):
    """A unit, packed."""

    data: bytes
    tokens: tuple[int, ...]  # of the shared arrays that belong to it


@dataclass(frozen=True)
class Finished:
    """How a unit ended."""

    index: int
    result: Any
    error: Exception | None


class Cargo:
    """The units of a round, and the arrays that they share.

    Args:
        units: Picklable; they stay as they are meanwhile.
        todo: The indices of those that are to be sent.
    """

    def __init__(self, units: Sequence[Any], todo: Sequence[int]) -> None:
        found = {k: _large_arrays(units[k]) for k in todo}
        counts = Counter(key for arrays in found.values() for key in arrays)
        several = {key: next(_tokens) for key, count in counts.items() if count > 1}
        self._units, self._token_of = units, several
        self._arrays: dict[int, Any] = {}
        self._tokens: dict[int, tuple[int, ...]] = {}
        for k, arrays in found.items():
            mine = {several[key]: array for key, array in arrays.items() if key in several}
            self._arrays |= mine
            self._tokens[k] = tuple(mine)
        self._left = Counter(token for tokens in self._tokens.values() for token in tokens)

    def pack(self, index: int) -> Crate:
        """Pack a unit without what it shares."""
        stream = io.BytesIO()
        _Packer(stream, self._token_of).dump(self._units[index])
        return Crate(stream.getvalue(), self._tokens[index])

    def array(self, token: int) -> Any:  # noqa: ANN401
        """Return a shared array."""
        return self._arrays[token]

    def finish(self, index: int) -> None:
        """Take note that a unit is finished."""
        self._left.subtract(self._tokens[index])

    def is_needed(self, token: int) -> bool:
        """Whether an array belongs to a unit that is not finished."""
        return self._left[token] > 0


def attempt(
    function: Callable[[Any], Any], index: int, crate: Crate, shared: Mapping[int, Any]
) -> Finished:
    """Run a unit where it has arrived; an error is returned, with its traceback as a note."""
    try:
        return Finished(index, function(unpack(crate, shared)), None)
    except Exception as error:  # noqa: BLE001 - raised again by whom it is returned to
        error.add_note(f"in a worker process:\n{traceback.format_exc()}")
        return Finished(index, None, error)


def unpack(crate: Crate, shared: Mapping[int, Any]) -> Any:  # noqa: ANN401
    """Inverse of ``Cargo.pack``; shared numpy arrays can't be written to.

    Args:
        crate: A packed unit.
        shared: Arrays by token, all of its own among them.
    """
    return _Unpacker(io.BytesIO(crate.data), shared).load()


class _Packer(pickle.Pickler):
    """Puts tokens in place of shared arrays."""

    def __init__(self, stream: io.BytesIO, token_of: Mapping[int, int]) -> None:
        super().__init__(stream, protocol=pickle.HIGHEST_PROTOCOL)
        self._token_of = token_of

    def persistent_id(self, obj: Any) -> int | None:  # noqa: ANN401
        """Return the token of a shared array, None for anything else."""
        return self._token_of.get(id(obj))


class _Unpacker(pickle.Unpickler):
    """Puts shared arrays in place of tokens."""

    def __init__(self, stream: io.BytesIO, shared: Mapping[int, Any]) -> None:
        super().__init__(stream)
        self._shared = shared

    def persistent_load(self, pid: int) -> Any:  # noqa: ANN401
        """Return a shared array."""
        array = self._shared[pid]
        if hasattr(array, "setflags"):  # else one unit could change what the next one gets
            array.setflags(write=False)
        return array


class _Finder(pickle.Pickler):
    """Looks for large arrays, and goes on without what is in them."""

    def __init__(self) -> None:
        super().__init__(io.BytesIO(), protocol=pickle.HIGHEST_PROTOCOL)
        self.found: dict[int, Any] = {}  # by id, which is theirs as long as they are here

    def persistent_id(self, obj: Any) -> int | None:  # noqa: ANN401
        """Return the id of a large array, of numpy or torch, None for anything else."""
        size = obj.nbytes if hasattr(type(obj), "nbytes") else 0
        if not isinstance(size, int) or size < SHARED_BYTES:
            return None
        self.found[id(obj)] = obj
        return id(obj)


def _large_arrays(unit: Any) -> dict[int, Any]:  # noqa: ANN401
    finder = _Finder()
    finder.dump(unit)
    return finder.found
