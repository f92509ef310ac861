"""Which generators there are: in folders, installed, in the cache.

Reads:   generator   kind "generator", schema 1, 2 or 3
Writes:  nothing
"""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from statistics import fmean

from packaging.requirements import InvalidRequirement, Requirement
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from nnit import __version__
from nnit.artifacts.interface import interfaces_of
from nnit.artifacts.model import TENSORS_NAME
from nnit.artifacts.reading import Artifact, open_artifact
from nnit.artifacts.records import HiddenDims, Record
from nnit.errors import (
    DamagedArtifactError,
    MissingArtifactError,
    NnitError,
    WrongKindError,
)
from nnit.generators.names import Model, choose_model, find_models, of_folder
from nnit.generators.near import folders_with_manifests
from nnit.opening import read_bounded

MAX_CARD_BYTES = 2**20
MAX_RESULTS = 1000  # of a card, and of each task's


class _Trained(Record, extra="ignore"):
    arch_widths: HiddenDims
    arch_depths: HiddenDims


@dataclass(frozen=True)
class Listed:
    """A generator, and what its manifest says."""

    model: Model
    tasks: tuple[str, ...] = ()
    widths: tuple[int, int] = (0, 0)  # the smallest and the largest trained one
    depths: tuple[int, int] = (0, 0)
    num_bytes: int = 0
    success: Mapping[str, float] = field(default_factory=dict)  # of tasks, where its card says so
    fault: str = ""  # why it can't be read


def list_models(folder: Path) -> list[Listed]:
    """Return the generators in and below a folder, then those that have names.

    Other kinds of artifacts in the folder are left out; of a generator that can't be read it says
    why.
    """
    # Other programs call files manifest.json too.
    places = [one for one in folders_with_manifests(folder) if (one / TENSORS_NAME).exists()]
    found = [listed(of_folder(path)) for path in sorted(places)]
    return [*(one for one in found if one is not None), *_named()]


def listed(model: Model, *, whole: bool = False) -> Listed | None:
    """Read what a generator's manifest says; None of another kind of artifact.

    Args:
        model: Where it is.
        whole: Compare every byte.
    """
    try:
        artifact = open_artifact(model.path, "generator", check="all" if whole else "sizes")
        return _listed(model, artifact)
    except WrongKindError:
        return None
    except NnitError as error:
        return Listed(model, fault=error.faults[0])


def validate() -> list[Listed]:
    """Read every byte of the generators that have names, and what versions they need.

    Each that is damaged, of a newer schema, or made for another nnit has a ``fault``.
    """
    checked = []
    for one in _named(whole=True):
        checked.append(replace(one, fault=one.fault or misfit(one.model)))
    return checked


def named_model(path: Path) -> Model | None:
    """Return the generator that a model folder holds, or a name stands for, else None."""
    if os.path.exists(path):  # noqa: PTH110 - also of words that are no path
        model = of_folder(path)
        others = [one for one in folders_with_manifests(path, deepest=1) if one != model.path]
        return None if model.path == path or others else model
    try:
        return choose_model(str(path))
    except MissingArtifactError:
        return None


def read_card(model: Model) -> str:
    """Return the card of a generator; empty where nobody wrote one.

    Raises:
        DamagedArtifactError: it is too large, no regular file, or not text.
    """
    try:
        return read_bounded(model.card, MAX_CARD_BYTES).decode()
    except MissingArtifactError:
        return ""
    except UnicodeDecodeError:
        raise DamagedArtifactError(f"{model.card}: is not UTF-8 text") from None


def stated_success(card: str) -> dict[str, float]:
    """Return the success that the front matter of a card says of each task, the mean of its kinds.

    What is not as ``nnit card`` writes it says nothing, nor does what is no number.
    """
    parts = card.split("---\n", maxsplit=2)
    if len(parts) != 3 or parts[0]:
        return {}
    found = {}
    try:
        (model,) = YAML(typ="safe", pure=True).load(parts[1])["model-index"]
        for result in islice(model["results"], MAX_RESULTS):
            values = [float(one["value"]) for one in islice(result["metrics"], MAX_RESULTS)]
            if finite := [value for value in values if math.isfinite(value)]:
                found[str(result["task"]["name"])] = fmean(finite)
    except (YAMLError, ArithmeticError, LookupError, RecursionError, TypeError, ValueError):
        return {}
    return found


def misfit(model: Model) -> str:
    """Return which requirement of a model's package this nnit doesn't meet; empty if none."""
    for text in model.requires:
        try:
            needed = Requirement(text).specifier
        except InvalidRequirement:
            return f"{model.name}: its package requires {text!r}, which can't be read"
        if not needed.contains(__version__, prereleases=True):
            return (
                f"{model.name}@{model.version}: made for nnit {needed}, found {__version__}; "
                "install the model's version for it"
            )
    return ""


def _named(*, whole: bool = False) -> list[Listed]:
    found = []
    for model in find_models():
        one = listed(model, whole=whole)
        found.append(one or Listed(model, fault=f"{model.path}: is no generator"))
    return found


def _listed(model: Model, artifact: Artifact) -> Listed:
    trained = artifact.attribute("config", _Trained)
    widths, depths = trained.arch_widths, trained.arch_depths
    return Listed(
        model,
        tuple(one.task for one in interfaces_of(artifact)),
        (min(widths), max(widths)),
        (min(depths), max(depths)),
        artifact.manifest.num_bytes,
        stated_success(read_card(model)),
    )
