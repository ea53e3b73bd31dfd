"""Studies that exist as tables only."""

import pandas as pd
import pytest


@pytest.fixture
def participants():
    """Six patients and a control of each resolution, on two scanners, four patients of the first."""

    def make(*resolutions, scanners=("A", "B")):
        rows = []
        for resolution in resolutions:
            for n in range(7):
                group = "control" if n == 6 else "patient"
                scanner = scanners[-1] if n in (4, 5) else scanners[0]
                rows.append((f"sub-{len(rows) + 1:03d}", resolution, scanner, group))
        return pd.DataFrame(rows, columns=["participant_id", "resolution", "scanner", "group"])

    return make
