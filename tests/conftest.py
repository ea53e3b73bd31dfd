"""Settings for all tests."""

from hypothesis import settings

# A machine that is busy with something else must not fail a test.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
