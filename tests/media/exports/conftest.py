"""A timeline to export: see timeline_rig."""

from __future__ import annotations

import pytest
from timeline_rig import make_timeline

from shotstream.media.exports.timeline import Timeline


@pytest.fixture
def timeline() -> Timeline:
    return make_timeline()
