"""The campaign: attacks on artifacts, writers and parsers, counted.

``python -m tests.campaign --out results/campaign.json`` runs it whole, ``--share 0.01`` a hundredth
of it. A failure names its part and number; ``--part PART --only NUMBER`` runs that trial again.
"""

import sys
from pathlib import Path

for room in ("artifacts", "stages"):  # whose examples are attacked
    sys.path.append(str(Path(__file__).parents[1] / room))
