"""Child processes of these tests find `naps`."""

from pathlib import Path

import pytest

from child_path import found_by_children


@pytest.fixture(autouse=True, scope="session")
def _path_of_children():
    with found_by_children(Path(__file__).parent):
        yield
