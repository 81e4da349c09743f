"""Finding and parsing source files: beside the importer, in the import paths, or a library ``<name>``."""

from __future__ import annotations

import os
from pathlib import Path

from wafersim.csl import ast
from wafersim.csl.ast import Span
from wafersim.csl.diagnostics import CslError, closest
from wafersim.csl.parser import parse, parse_file

LIBRARY = Path(__file__).resolve().parent.parent / "lib"


class Loader:
    """Finds files by the path written in the source; parsed trees are kept.

    Parameters
    ----------
    import_paths : sequence of paths
        Folders searched after the importer's own.
    texts : dict of path to text
        Sources that are no files.
    legacy : bool
        The dialect of releases before 1.0.
    """

    def __init__(
        self,
        import_paths: tuple[str | Path, ...] = (),
        texts: dict[str, str] | None = None,
        legacy: bool = False,
    ) -> None:
        self.import_paths = [Path(p) for p in import_paths]
        self.texts = texts or {}
        self.legacy = legacy
        self.trees: dict[str, ast.File] = {}
        self.top: Path | None = None  # folder of the first file loaded

    def find(self, path: str, importer: str, span: Span | None) -> str:
        """The file that ``path`` means in a file; ``<...>`` names stay as they are."""
        if path.startswith("<") and path.endswith(">"):
            return self._given_library(path) or self._library(path, span)
        if path in self.texts:
            return path
        folder = Path(importer).parent if not importer.startswith("<") else self._library_folder(importer)
        tried = [folder / path, *(p / path for p in self.import_paths)]
        if self.top is not None and self.top != folder:
            tried.append(self.top / path)  # as releases before 1.0 do
        for candidate in tried:
            if candidate.is_file():
                return os.path.normpath(candidate)
        near = sorted(
            {p.name for folder in {t.parent for t in tried} if folder.is_dir() for p in folder.glob("*.csl")}
        )
        raise CslError(
            span,
            f"file '{path}' not found",
            found="no such file in " + ", ".join(str(t.parent) for t in tried),
            hint=_library_hint(path)
            or closest(path, near)
            or "folders to search are given with --import-path",
        )

    def _given_library(self, path: str) -> str:
        """The file of a library that is none of ours and lies in a folder of --import-path."""
        name = f"{path.strip('<>')}.csl"
        if (LIBRARY / name).is_file():
            return ""
        return next((os.path.normpath(p / name) for p in self.import_paths if (p / name).is_file()), "")

    def _library(self, path: str, span: Span | None) -> str:
        """A library's name; those of releases before 1.0 stand for today's."""
        if self.legacy and path == "<memcpy/get_params>":
            return "<memcpy_multi/get_params>"
        if not path.startswith("<memcpy_multi/"):
            return path
        if not self.legacy:
            hint = "compile with --sdk=0.x, or import <memcpy/...>"
            raise CslError(span, f"'{path}' belongs to releases before 1.0", hint=hint)
        return path if path == "<memcpy_multi/get_params>" else path.replace("memcpy_multi", "memcpy", 1)

    def _library_folder(self, importer: str) -> Path:
        return (LIBRARY / importer.strip("<>")).parent

    def load(self, path: str, span: Span | None = None) -> ast.File:
        """The tree of a file found by `find`."""
        tree = self.trees.get(path)
        if self.top is None and not path.startswith("<"):
            self.top = Path(path).parent
        if tree is None:
            tree = self.trees[path] = self._parse(path, span)
            if self.legacy:
                _name_traces(tree)
        return tree

    def _parse(self, path: str, span: Span | None) -> ast.File:
        if path in self.texts:
            return parse(path, self.texts[path])
        if not path.startswith("<"):
            return parse_file(path)
        name = path.strip("<>")
        place = LIBRARY / f"{name}.csl"
        known = sorted(str(p.relative_to(LIBRARY).with_suffix("")) for p in LIBRARY.rglob("*.csl"))
        if name not in known:
            hint = closest(name, known)
            raise CslError(span, f"no library '<{name}>'", hint=hint or "libraries: " + ", ".join(known))
        return parse_file(str(place), path)


def _library_hint(path: str) -> str:
    """A library of that name is written in angle brackets."""
    name = path.removesuffix(".csl").strip("/")
    return f'a library is written "<{name}>"' if name and (LIBRARY / f"{name}.csl").is_file() else ""


def _name_traces(tree: ast.File) -> None:
    """Releases before 1.0: a ``<debug>`` without a key has the name of the constant that holds it."""
    for decl in tree.decls:
        if not isinstance(decl, ast.VarDecl):
            continue
        call = decl.init
        if not isinstance(call, ast.BuiltinCall) or call.name != "import_module" or len(call.args) != 2:
            continue
        path, given = call.args
        if not isinstance(path, ast.StringLit) or path.value != "<debug>":
            continue
        if isinstance(given, ast.StructLit) and "key" not in given.names:
            name = ast.StringLit(given.span, decl.name)
            call.args = (path, ast.StructLit(given.span, (*given.names, "key"), (*given.values, name)))
