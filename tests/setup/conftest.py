# SPDX-License-Identifier: GPL-2.0
"""What several modules share."""

import pytest

from clone import Clone


@pytest.fixture(name="tree")
def fixture_tree(tmp_path):
    """A copy of this tree."""
    return Clone(tmp_path / "tree")
