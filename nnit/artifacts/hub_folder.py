"""One network as model hubs have it: ``config.json`` and ``model.safetensors`` beside a card.

``nnit.json`` is the manifest of samples that hold this network alone, so that what comes back from
a hub is held to sizes, hashes and meaning as any artifact is. The card may be edited on the hub.
"""

import hashlib
import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from nnit.artifacts.checks import all_attributes
from nnit.artifacts.loose import IsEarlier
from nnit.artifacts.manifest import MANIFEST_NAME, FileEntry, Manifest, Provenance, new_manifest
from nnit.artifacts.samples import (
    CONFIG_NAME,
    TENSORS_NAME,
    Sample,
    network_files,
    network_folder,
    read_samples,
)
from nnit.errors import NnitError
from nnit.mlp import PolicyInterface
from nnit.opening import read_bounded

CARD_NAME, SEAL_NAME = "README.md", "nnit.json"
LIMITS = {CONFIG_NAME: 2**26, TENSORS_NAME: 2**30, SEAL_NAME: 2**20}  # bytes of each file
CARD_LIMIT = 2**20
_FOLDER = network_folder(0)


def _begins(text: bytes) -> IsEarlier:
    return lambda data: data.startswith(text)


IS_EARLIER: Mapping[str, IsEarlier] = {  # how each file begins that was written here
    CONFIG_NAME: _begins(b'{\n "act_dim": '),
    TENSORS_NAME: lambda data: data[8:].startswith(b'{"__metadata__":{"nnit":'),
    SEAL_NAME: _begins(b'{\n "arrays": {},\n "attributes": {'),
}


def hub_files(
    sample: Sample, interface: PolicyInterface, provenance: Provenance
) -> dict[str, bytes]:
    """Return the files of a network, all but its card.

    Args:
        sample: The network, with its record.
        interface: What surrounds it.
        provenance: What it was made from.

    Raises:
        ValueError: weights of the wrong length or type, NaN or infinity.
    """
    files = network_files(0, sample, interface)
    entries = {
        name: FileEntry(len(data), hashlib.sha256(data).hexdigest()) for name, data in files.items()
    }
    attributes = all_attributes(interface, {"networks": 1}, None)
    seal = new_manifest("samples", provenance, attributes, {}, entries).to_bytes()
    return {PurePosixPath(name).name: data for name, data in files.items()} | {SEAL_NAME: seal}


def read_hub_folder(folder: Path) -> dict[str, bytes]:
    """Read the files of a network's folder; nothing is checked but their sizes.

    Raises:
        NnitError: one is missing, too large, or no regular file.
    """
    files = {name: read_bounded(folder / name, limit) for name, limit in LIMITS.items()}
    return files | {CARD_NAME: read_bounded(folder / CARD_NAME, CARD_LIMIT)}


def parse_hub_files(
    files: Mapping[str, bytes], where: str
) -> tuple[Sample, PolicyInterface, Manifest]:
    """Read a network out of the files of a hub, trusting nothing.

    Args:
        files: Name -> content; the card is not looked at.
        where: The folder or the repository, for messages.

    Raises:
        NnitError: as ``read_samples``, of anything but one whole network.
    """
    with tempfile.TemporaryDirectory() as place:
        inside = Path(place, _FOLDER)
        inside.mkdir()
        Path(place, MANIFEST_NAME).write_bytes(files[SEAL_NAME])
        for name in (CONFIG_NAME, TENSORS_NAME):
            (inside / name).write_bytes(files[name])
        try:
            samples, artifact = read_samples(Path(place), check="all")
        except NnitError as error:
            shown = {f"{place}/{MANIFEST_NAME}": SEAL_NAME, f"{inside}/": "", place: SEAL_NAME}
            raise type(error)(*(_shown(fault, shown, where) for fault in error.faults)) from None
    (sample,) = samples.samples  # the manifest has two files: one network
    return sample, samples.interface, artifact.manifest


def _shown(fault: str, shown: Mapping[str, str], where: str) -> str:
    """Say of a file where its reader finds it."""
    for path, name in shown.items():
        fault = fault.replace(path, f"{where}/{name}")
    return fault
