"""`ResultStore`: a directory of entries, each whole or absent."""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from wafersim._version import __version__
from wafersim.errors import ConfigError
from wafersim.record.reader import Parts
from wafersim.store.key import KEY, key_of
from wafersim.store.syncing import Syncer

STORE_FORMAT, STORE_SCHEMA = "wafersim-store", 1
ENTRY_FORMATS = ("wafersim-result", "wafersim-record")
MARKER, MANIFEST, RESULT = "store.json", "manifest.json", "result.json"
#: file of an entry that is a record
COLUMNS = "summary.json"

#: largest result that is read or written
MAX_RESULT_BYTES = 16 << 20

_DRAFT = re.compile(r"([A-Za-z0-9_-]{1,64})\.(\d{1,10})\.[0-9a-f]{16}")


class ResultStore:
    """Answers on disk, by the facts that decide them.

    Parameters
    ----------
    root : str or Path
        Directory of the store; made if it is absent or empty.

    Raises
    ------
    ConfigError
        The directory holds something else, or a store of another schema, or cannot be written.

    Notes
    -----
    Any number of processes may use one store at a time: an entry appears by one rename, and the first of two
    equal ones stays.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(os.path.abspath(root))
        try:
            self._open()
        except OSError as error:
            raise ConfigError(f"store {self.root}: {error.strerror or error}") from None
        self._syncer = Syncer(self.root)

    def _open(self) -> None:
        if os.path.lexists(self.root) and not self.root.is_dir():
            raise ConfigError(f"store {self.root}: exists and is no directory; choose another place")
        self.root.mkdir(parents=True, exist_ok=True)
        marker = self.root / MARKER
        if not os.path.lexists(marker):
            names = {path.name for path in self.root.iterdir()}
            if names - {"results", "drafts"}:
                raise ConfigError(
                    f"store {self.root}: holds files that are no store; choose another or an empty directory"
                )
            (self.root / "drafts").mkdir(exist_ok=True)
            (self.root / "results").mkdir(exist_ok=True)
            draft = self._draft()
            draft.write_text(json.dumps({"format": STORE_FORMAT, "schema": STORE_SCHEMA}) + "\n")
            os.replace(draft, marker)
        self._check_marker()
        for name in ("drafts", "results"):
            (self.root / name).mkdir(exist_ok=True)
            if (self.root / name).is_symlink():
                raise ConfigError(f"store {self.root}: {name} is a link; links are not followed")
        self._sweep_drafts()

    def _check_marker(self) -> None:
        parts = Parts(self.root)
        found = parts.parse(parts.read_bytes(MARKER, 4096), MARKER)
        if found.get("format") != STORE_FORMAT:
            raise ConfigError(f"store {self.root}: {MARKER} is not of the format {STORE_FORMAT!r}")
        if found.get("schema") != STORE_SCHEMA:
            schema = str(found.get("schema"))[:20]
            raise ConfigError(
                f"store {self.root}: its schema is {schema}, this wafersim reads {STORE_SCHEMA}"
            )

    def _sweep_drafts(self) -> None:
        """Remove what processes of this host left behind when they died."""
        host = _host()
        for path in (self.root / "drafts").iterdir():
            found = _DRAFT.fullmatch(path.name)
            if found and found[1] == host and not _is_alive(int(found[2])):
                _remove(path)

    # -- entries -------------------------------------------------------------------------------------------

    def path(self, key: str) -> Path:
        """Where the entry of a key is, or would be."""
        if not KEY.fullmatch(key):
            raise ConfigError(f"store: {key[:80]!r} is no key (64 hexadecimal digits)")
        return self.root / "results" / key[:2] / key

    def get(self, key: str) -> dict[str, Any] | None:
        """The answer of a key; None if there is none or if it is damaged in any way."""
        path = self.path(key)
        if path.parent.is_symlink() or path.is_symlink() or not path.is_dir():
            return None
        try:
            return self._read(path, key)
        except ConfigError:
            return None

    def _read(self, path: Path, key: str) -> dict[str, Any]:
        parts = Parts(path)
        listed = parts.parse(parts.read_bytes(MANIFEST, MAX_RESULT_BYTES), MANIFEST)
        entries = listed.get("parts")
        if listed.get("format") not in ENTRY_FORMATS or not isinstance(entries, dict):
            raise parts.damaged(f"{MANIFEST}: no entry of a store")
        parts.add(RESULT, entries.get(RESULT))
        result = parts.json(RESULT)
        facts, answer = result.get("facts"), result.get("answer")
        if not isinstance(facts, dict) or not isinstance(answer, dict) or key_of(facts) != key:
            raise parts.damaged(f"{RESULT}: its facts are not those of its name")
        return answer

    def put(self, facts: Mapping[str, Any], answer: Mapping[str, Any], draft: Path | None = None) -> str:
        """Add an answer; its key. An entry that is there already stays, unless only the new one has columns.

        Parameters
        ----------
        facts : dict
            All that decides the answer, as plain JSON values.
        answer : dict
            Plain JSON values.
        draft : Path, optional
            A directory from `new_draft` that holds a saved record; it becomes the entry.

        Raises
        ------
        ConfigError
            Values that JSON has not, or a disk that cannot be written.
        """
        key = key_of(facts)
        data = _json({"facts": facts, "answer": answer})
        if len(data) > MAX_RESULT_BYTES:
            raise ConfigError(f"store: an answer of {len(data)} bytes, at most {MAX_RESULT_BYTES} are kept")
        draft = draft or self.new_draft()
        try:
            self._complete(draft, data)
            self._place(draft, key)
        except OSError as error:
            raise ConfigError(f"store {self.root}: cannot write ({error.strerror or error})") from None
        finally:
            _remove(draft)
        self._syncer.note()
        return key

    def new_draft(self) -> Path:
        """A name in this store for a directory that `put` will take."""
        return self._draft()

    def _draft(self) -> Path:
        return self.root / "drafts" / f"{_host()}.{os.getpid()}.{secrets.token_hex(8)}"

    def _complete(self, draft: Path, data: bytes) -> None:
        manifest: dict[str, Any] = {
            "format": ENTRY_FORMATS[0], "schema": STORE_SCHEMA, "wafersim": __version__, "parts": {},
        }  # fmt: skip
        if (draft / MANIFEST).is_file():
            manifest = json.loads((draft / MANIFEST).read_bytes())
        draft.mkdir(exist_ok=True)
        manifest["parts"][RESULT] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        (draft / RESULT).write_bytes(data)
        (draft / MANIFEST).write_bytes(_json(manifest))

    def _place(self, draft: Path, key: str) -> None:
        path = self.path(key)
        path.parent.mkdir(exist_ok=True)
        if path.parent.is_symlink():
            raise ConfigError(f"store {self.root}: {path.parent.name} is a link; links are not followed")
        for _ in range(3):
            try:
                os.rename(draft, path)
                return
            except OSError:
                if not os.path.lexists(path):
                    raise
            has_more = _has_columns(draft) and not _has_columns(path)
            if self.get(key) is not None and not has_more:
                return  # another process was first
            aside = self._draft()  # damaged, or without the columns: out of the way
            os.rename(path, aside)
            _remove(aside)
        raise ConfigError(f"store {self.root}: the entry {key} cannot be replaced")

    def keys(self) -> Iterator[str]:
        """Keys of all entries, sorted; whether they are sound is for `get` to say."""
        for shard in sorted((self.root / "results").iterdir()):
            if re.fullmatch(r"[0-9a-f]{2}", shard.name) and shard.is_dir() and not shard.is_symlink():
                yield from sorted(p.name for p in shard.iterdir() if KEY.fullmatch(p.name))

    # -- life ----------------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Make everything that was put durable."""
        self._syncer.flush()

    def __enter__(self) -> ResultStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.flush()


def _has_columns(path: Path) -> bool:
    return (path / COLUMNS).is_file()


def _json(value: Any) -> bytes:
    try:
        return (json.dumps(value, indent=1, allow_nan=False) + "\n").encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigError(f"store: an answer that is no JSON: {error}") from None


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "-", socket.gethostname())[:64] or "host"


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    elif os.path.lexists(path):
        path.unlink(missing_ok=True)
