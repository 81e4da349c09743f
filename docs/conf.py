"""Sphinx: the documentation as a site.  ``sphinx-build -W docs OUT`` runs the gallery's examples on its way."""

from __future__ import annotations

import html
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
EXAMPLES = HERE.parent / "examples"
GALLERY = HERE / "gallery"

#: the source tree if the core was built into it, else the installed package
SOURCE = (
    [str(HERE.parent / "python")] if list((HERE.parent / "python" / "wafersim").glob("_core*.so")) else []
)
sys.path[:0] = SOURCE

from wafersim._version import __version__  # noqa: E402

project = "wafersim"
author = "The wafersim authors"
copyright = author
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"wafersim {__version__}"
html_copy_source = False

myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]
#: pages are also read beside the source tree, where they may name its files
suppress_warnings = ["myst.xref_missing_source"]

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_class_signature = "separated"
napoleon_numpy_docstring = True
napoleon_google_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False

#: examples that live beside the gallery's own
ELSEWHERE = ("llm_load.py", "llm_energy.py")


def scripts() -> list[Path]:
    """The gallery's examples in the order of the page."""
    return [*sorted((EXAMPLES / "gallery").glob("*.py")), *(EXAMPLES / name for name in ELSEWHERE)]


def run_example(script: Path) -> tuple[Path, str]:
    """What an example prints; its picture lands in the gallery."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*SOURCE, os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=GALLERY,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
    if done.returncode:
        raise RuntimeError(f"{script.name} failed:\n{done.stderr}")
    return script, done.stdout


def write_gallery(app) -> None:
    """One page per example: its words, its picture, what it prints, its source."""
    GALLERY.mkdir(exist_ok=True)
    entries = []
    with ThreadPoolExecutor(2) as pool:
        for script, said in pool.map(run_example, scripts()):
            source = script.read_text()
            words = source.split('"""')[1].strip()
            title, _, rest = words.partition("\n")
            pictures = sorted(GALLERY.glob(f"{script.stem}*.svg"))
            if not pictures:
                raise RuntimeError(f"{script.name} wrote no picture {script.stem}.svg")
            shown = "\n".join(
                f"```{{image}} {picture.name}\n:alt: {html.escape(title)}\n```" for picture in pictures
            )
            page = f"# {title.rstrip('.')}\n{rest}\n\n{shown}\n\n```text\n{said.rstrip()}\n```\n\n`{script.relative_to(HERE.parent)}`\n\n```python\n{source.rstrip()}\n```\n"
            _write(GALLERY / f"{script.stem}.md", page)
            entries.append((script.stem, title))
    listed = "\n".join(stem for stem, _ in entries)
    links = "\n".join(f"- [{title.rstrip('.')}]({stem}.md)" for stem, title in entries)
    head = (
        "# Gallery\n\nShort scripts, each of which ends in a picture. They are run when this site is built."
    )
    _write(GALLERY / "index.md", f"{head}\n\n{links}\n\n```{{toctree}}\n:hidden:\n\n{listed}\n```\n")


def _write(path: Path, text: str) -> None:
    """Write only what has changed, so that a second build is quick."""
    if not path.is_file() or path.read_text() != text:
        path.write_text(text)


def outside_links(app, doctree, docname) -> None:
    """Links to files of the source tree (../README.md) become text: the site does not hold them."""
    from docutils import nodes
    from sphinx import addnodes

    for node in [*doctree.findall(addnodes.download_reference)]:
        node.replace_self(nodes.literal("", node["reftarget"].removeprefix("../")))


def setup(app) -> None:
    app.connect("builder-inited", write_gallery)
    app.connect("doctree-resolved", outside_links)
