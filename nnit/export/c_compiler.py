"""What a header of C answers here, and how fast: compiled and run by this machine's compiler."""

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nnit.errors import ResourceError
from nnit.export.c_header import c_name
from nnit.export.policy import Answers, ExportedPolicy
from nnit.mlp import ACTION

COMPILER = "cc"
_FLAGS = ("-std=c99", "-O3", "-Wall", "-Wextra", "-Wpedantic", "-Werror")
_MEASURED_S = 0.05  # processor time of the loop, at least
_PROGRAM = """
#include <stdio.h>
#include <time.h>
#include "policy.h"

static float observations[COUNT][UPPER_OBS_DIM], outputs[COUNT][UPPER_ACT_DIM];
static int chosen[COUNT];

int main(void) {
    double calls = 0, ticks;
    clock_t start;
    if (fread(observations, sizeof observations, 1, stdin) != 1) return 1;
    start = clock();
    do {
        int k;
        for (k = 0; k < COUNT; k++) CHOSEN NAME_act(observations[k], outputs[k]);
        calls += COUNT;
        ticks = (double)(clock() - start);
    } while (ticks < MEASURED_S * CLOCKS_PER_SEC);
    fprintf(stderr, "%.9g", ticks / CLOCKS_PER_SEC / calls);
    fwrite(chosen, sizeof chosen, 1, stdout);
    return fwrite(outputs, sizeof outputs, 1, stdout) != 1;
}
"""


class Compiled(NamedTuple):
    """What a compiled header did."""

    answers: Answers
    latency_s: float  # processor time of one call


def has_compiler() -> bool:
    """Whether there is a C compiler."""
    return shutil.which(COMPILER) is not None


def run_header(policy: ExportedPolicy, header: str, observations: np.ndarray) -> Compiled:
    """Compile a header and ask it about raw observations ``(N, obs_dim)`` float32.

    Raises:
        ResourceError: it does not compile, or its program fails; the first line of why.
    """
    is_action = policy.interface.output == ACTION
    count, name = len(observations), c_name(policy)
    texts = {
        "COUNT": str(count),
        "UPPER": name.upper(),
        "CHOSEN": "" if is_action else "chosen[k] =",
        "NAME": name,
        "MEASURED_S": str(_MEASURED_S),
    }
    program = _PROGRAM
    for word, text in texts.items():
        program = program.replace(word, text)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "policy.h").write_text(header)
        Path(folder, "main.c").write_text(program)
        _run([COMPILER, *_FLAGS, "main.c", "-o", "main"], folder)
        done = _run(["./main"], folder, observations.astype(np.float32).tobytes())
    chosen, outputs = np.frombuffer(done.stdout[: 4 * count], np.intc), done.stdout[4 * count :]
    found = np.frombuffer(outputs, np.float32).reshape(count, -1)
    return Compiled(Answers(found, None if is_action else chosen), float(done.stderr))


def _run(words: list[str], folder: str, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    done = subprocess.run(words, cwd=folder, input=data, capture_output=True, check=False)
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().partition("\n")[0]
        raise ResourceError(f"{words[0]}: exit code {done.returncode} ({said or 'no message'})")
    return done
