"""What a hostile hand does to JSON, to text and to bytes."""

import json
import random
from typing import Any

Path_ = tuple[str | int, ...]

DEEP: Any = 0
for _ in range(400):
    DEEP = [DEEP]
FORGED = "x\nFORGED line\x1b[31m"
HUGE, INFINITY = 10**18, float("inf")
MAX_PATH = 20
GONE = object()
VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 2**31 - 1, 2**63, -(2**70), 1e308, -1e308, 0.5, 5e-324, "", "0", FORGED,
    "\ud800", "../../etc/passwd", "a" * 100_000, [], {}, [[]], [None], DEEP, {"a": DEEP}, HUGE,
    [HUGE] * 3, [1] * 3000, float("nan"), INFINITY,
)  # fmt: skip
BITS = (
    b"NaN", b"-Infinity", b"1e999", b"[" * 5000, b'{"a":' * 3000, b"9" * 5000, b'"\\ud800"', b"\0",
    b"\xff\xfe", b"\xed\xa0\x80", b'{"a":1,"a":2}', b"1" + b"0" * 400, b"\n\n", b"'", b"{}" * 99,
    b"&a [*a]", b"!!python/object/apply:os.system [true]", b"*", b"? ", b"- - - - ", b"\t",
    b"<<: *a", b"\xe2\x80\xa8", b"\x80\x04\x95", b"PK\x03\x04", b"2001-01-01", b"0o777", b"1_000",
    b"128,*,", b"\xd9\xa3", b"@x.py", b"gym:", b"../", b"|", b"%YAML 9.9\n---\n",
)  # fmt: skip


def paths(value: object, here: Path_ = ()) -> list[Path_]:
    """Return the places of everything within JSON data, the whole first; not of what is deep."""
    found = [here]
    if len(here) < MAX_PATH and isinstance(value, dict | list):
        inner = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in inner:
            found += paths(item, (*here, key))
    return found


def at(value: Any, path: Path_) -> Any:
    """Return what is at a place."""
    for key in path:
        value = value[key]
    return value


def replaced(value: Any, path: Path_, new: object) -> Any:
    """Return a copy with another value at a place; without what was there for ``GONE``."""
    if not path:
        return new
    value = dict(value) if isinstance(value, dict) else list(value)
    if len(path) == 1 and new is GONE:
        del value[path[0]]
    else:
        inner = value.get(path[0]) if isinstance(value, dict) else value[path[0]]
        value[path[0]] = replaced(inner, path[1:], new)
    return value


def mutated(value: object, chance: random.Random) -> Any:
    """Return JSON data with one to three things changed."""
    for _ in range(chance.randint(1, 3)):
        path = chance.choice(paths(value))
        old = at(value, path)
        if path and chance.random() < 0.2:
            value = replaced(value, path, GONE)
        elif isinstance(old, dict) and chance.random() < 0.3:
            value = replaced(value, path, {**old, "more": chance.choice(VALUES)})
        elif isinstance(old, int | float) and chance.random() < 0.4:
            value = replaced(value, path, chance.choice((-old, old * 2, old + 1, old * 1e30)))
        else:
            value = replaced(value, path, chance.choice(VALUES))
    return value


def spoiled(data: bytes, chance: random.Random) -> bytes:
    """Return bytes with parts flipped, cut out, doubled, moved or put in."""
    for _ in range(chance.randint(1, 4)):
        start = chance.randrange(len(data) + 1)
        end = min(len(data), start + chance.choice((1, 2, 8, 100)))
        way = chance.randrange(5)
        if way == 0 and start < len(data):
            data = (
                data[:start] + bytes([data[start] ^ 1 << chance.randrange(8)]) + data[start + 1 :]
            )
        elif way == 1:
            data = data[:start] + data[end:]
        elif way == 2:
            data = data[:end] + data[start:]
        elif way == 3:
            data = data[:start] + chance.choice(BITS) + data[end:]
        else:
            data = data[:start] + chance.randbytes(end - start) + data[end:]
    return data


def json_bytes(value: object, chance: random.Random) -> bytes:
    """Spell JSON data, in nnit's way or another, perhaps with a key twice."""
    text = json.dumps(value, indent=chance.choice((1, 1, None)), sort_keys=True) + "\n"
    if chance.random() < 0.1:
        text = text.replace("{", '{"kind": 1, "kind": 2, ', 1)
    return text.encode("utf-8", "surrogatepass")
