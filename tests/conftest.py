"""Makes the helpers beside this file importable from every test."""

import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

# a shell starts what it puts in the background with Ctrl-C ignored, and children inherit that: the tests of Ctrl-C would wait for ever
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser):
    parser.addoption("--update-golden", action="store_true", help="rewrite tests/golden/golden.json")
