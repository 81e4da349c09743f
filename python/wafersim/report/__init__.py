"""Pages that show a run, or two."""

from wafersim.report.page import pair_page, run_page
from wafersim.report.write import write_page

__all__ = ["pair_page", "run_page", "write_page"]
