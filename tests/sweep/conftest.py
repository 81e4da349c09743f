"""Child processes of these tests find `naps`."""

import os
from pathlib import Path

import pytest


@pytest.fixture(autouse=True, scope="session")
def _path_of_children():
    here = str(Path(__file__).parent)
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [here, before]))
    import sys

    sys.path.insert(0, here)
    yield
    sys.path.remove(here)
    if before is None:
        del os.environ["PYTHONPATH"]
    else:
        os.environ["PYTHONPATH"] = before
