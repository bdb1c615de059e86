"""An edit to export: see edit_rig."""

from __future__ import annotations

import pytest
from edit_rig import make_edit

from shotstream.media.exports.edit import Edit


@pytest.fixture
def edit() -> Edit:
    return make_edit()
