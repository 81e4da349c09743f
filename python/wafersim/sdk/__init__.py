"""The host side of CSL programs: compile command, output folder, Python modules of the host scripts."""
