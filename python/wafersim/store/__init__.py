"""Content-addressed results on disk: atomic, crash-safe, readable without wafersim."""

from wafersim.store.digest import code_digest
from wafersim.store.key import canonical, key_of
from wafersim.store.results import ResultStore

__all__ = ["ResultStore", "canonical", "code_digest", "key_of"]
