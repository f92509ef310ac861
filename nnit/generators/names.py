"""Generators by name: folders, those of installed packages, and those in a local cache.

A model folder holds an artifact ``generator`` and, where somebody wrote one, its card
``card.md``. A package brings one along by an entry point of the group ``nnit.models``: its name is
the model's, its value the package that is the folder, and the package's version is the model's. In
the cache a model lies in ``NAME/VERSION``. Nothing is ever downloaded.
"""

import difflib
import os
import re
from collections.abc import Iterator
from importlib import metadata
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Literal, NamedTuple

from packaging.version import InvalidVersion, Version

from nnit import __version__
from nnit.errors import MissingArtifactError

GROUP = "nnit.models"
GENERATOR, CARD = "generator", "card.md"
VARIABLE = "NNIT_MODEL"
SHOWN_NEAR = 4  # generators in a message
USUAL = Path("artifacts/generator")  # where the pipeline puts one
PACKAGED = "common"  # the one that comes with nnit
BUNDLED = Path(__file__).parent / PACKAGED  # its folder
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")

Origin = Literal["folder", "package", "cache"]


class Model(NamedTuple):
    """A generator that was found."""

    name: str
    version: str  # empty of a folder
    path: Path  # of its artifact
    origin: Origin
    requires: tuple[str, ...] = ()  # of its package, such as "nnit<0.2,>=0.1"

    @property
    def card(self) -> Path:
        """Where its card is, if it has one."""
        return self.path.parent / CARD


def choose_model(word: str | None) -> Model:
    """Find the generator that is meant.

    Args:
        word: A folder, ``NAME``, which is its newest version, or ``NAME@VERSION``. None stands for
            what ``NNIT_MODEL`` says, else ``artifacts/generator``, else the one of the package.

    Raises:
        MissingArtifactError: there is none of that name, or no such folder; the line names the
            nearest names, or the generators in and below the working folder.
    """
    word = word or os.environ.get(VARIABLE) or None
    if word is None:
        return _usual()
    path = Path(word)
    if os.path.exists(word):  # noqa: PTH110 - also of words that are no path
        return of_folder(path)
    if os.sep in word:
        raise MissingArtifactError(
            f"{word}: no such artifact; make it with `nnit diffuse-train`{near_hint()}"
        )
    name, _, version = word.partition("@")
    models = find_models()
    found = [one for one in models if one.name == name and version in ("", one.version)]
    if not found:
        raise MissingArtifactError(_no_such(word, models))
    return max(found, key=_age)


def of_folder(path: Path) -> Model:
    """Return the generator in a folder: an artifact, or a model folder that holds one."""
    inner = path / GENERATOR
    return Model(path.name, "", inner if inner.is_dir() else path, "folder")


def find_models() -> list[Model]:
    """Return the generators that have names, by name and version.

    What can't be read is left out: a package that was removed by half, a cache that isn't there.
    """
    found = [*_bundled(), *_of_packages(), *_of_cache()]
    return sorted(found, key=lambda one: (one.name, _age(one), one.origin))


def cache_folder() -> Path | None:
    """Return where the cache of models is; None where there is no home."""
    named = os.environ.get("XDG_CACHE_HOME")
    try:
        base = Path(named) if named else Path.home() / ".cache"
    except RuntimeError:  # no home
        return None
    return base / "nnit" / "models"


def _usual() -> Model:
    if USUAL.exists():
        return of_folder(USUAL)
    models = find_models()
    packaged = [one for one in models if one.name == PACKAGED]
    if packaged:
        return max(packaged, key=_age)
    near = near_hint() or (
        f", or name one with --model or {VARIABLE} (`nnit models` lists what is there)"
    )
    raise MissingArtifactError(
        f"{USUAL}: no such artifact; make it with `nnit diffuse-train`{near}"
    )


def comes_with_nnit(path: Path) -> bool:
    """Whether a generator is the one of the package, which nobody has to name."""
    return path == BUNDLED / GENERATOR


def near_hint() -> str:
    """Say which generators are in and below the working folder, and how one is named, if any."""
    from nnit.generators.near import generators_near  # which reads manifests: for messages alone

    found = list(map(str, generators_near()))
    if not found:
        return ""
    more = f" and {len(found) - SHOWN_NEAR} more" if len(found) > SHOWN_NEAR else ""
    return (
        f"; near are {', '.join(found[:SHOWN_NEAR])}{more}: name one with --model, or for all "
        f"commands with {VARIABLE}"
    )


def _bundled() -> Iterator[Model]:
    if BUNDLED.is_dir():
        yield Model(PACKAGED, __version__, BUNDLED / GENERATOR, "package")


def _of_packages() -> Iterator[Model]:
    for point in metadata.entry_points(group=GROUP):
        folder = _package_folder(point.value)
        if folder is not None and point.dist is not None and NAME.fullmatch(point.name):
            needs = tuple(
                one for one in point.dist.requires or () if re.match(r"nnit\b(?![-_.\w])", one)
            )
            yield Model(point.name, point.dist.version, folder / GENERATOR, "package", needs)


def _package_folder(package: str) -> Path | None:
    """Return where a package lies without running any of it."""
    places: list[str] | None = None
    for part in package.split("."):
        spec = PathFinder.find_spec(part, places)
        if spec is None or spec.submodule_search_locations is None:
            return None
        places = list(spec.submodule_search_locations)
    return Path(places[0]) if places else None


def _of_cache() -> Iterator[Model]:
    cache = cache_folder()
    try:
        folders = [] if cache is None else list(cache.glob(f"*/*/{GENERATOR}"))
    except OSError:
        return
    for folder in folders:
        version, name = folder.parent.name, folder.parent.parent.name
        if NAME.fullmatch(name) and NAME.fullmatch(version):
            yield Model(name, version, folder, "cache")


def _age(model: Model) -> tuple[bool, Version]:
    try:
        return True, Version(model.version)
    except InvalidVersion:
        return False, Version("0")


def _no_such(word: str, models: list[Model]) -> str:
    names = sorted({one.name for one in models} | {f"{one.name}@{one.version}" for one in models})
    nearest = difflib.get_close_matches(word, names, n=1)
    if nearest:
        hint = f"did you mean {nearest[0]}?"
    else:
        hint = f"there are {', '.join(names)}" if names else "none is installed"
    return f"--model {word}: no such folder, and no model of that name; {hint} (`nnit models`)"
