"""Settings for all tests."""

import os

from hypothesis import settings

# Tests do not depend on a Darknet that happens to be here; those that need one name it.
os.environ["CMBTK_DARKNET"] = "none"

# A machine that is busy with something else must not fail a test.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
