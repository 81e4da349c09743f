"""``python -m wafersim``: the same as the command ``wafersim``."""

from wafersim.cli.main import main

main()
