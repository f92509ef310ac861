"""One parser under atheris, which looks for input that reaches new code: NAME SEEDS-FOLDER."""

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["nnit", "stages"]):
    from .fuzz import targets_by_name
    from .trials import fault_of


def main(name: str, seeds: str) -> None:
    """Run until the options of libFuzzer say that it is enough, or a fault is found."""
    folder = Path(seeds, "here")
    folder.mkdir()
    call = targets_by_name(folder)[name].call

    def one(data: bytes) -> None:
        try:
            call(data, folder)
        except Exception as error:
            if fault_of(error):
                raise

    atheris.Setup([sys.argv[0], *sys.argv[3:], seeds], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:3])
