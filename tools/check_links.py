"""Every link inside a built documentation site leads to a page and an anchor that exist."""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """Links and anchors of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors = {""}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if value is None:
                continue
            if name == "id" or (tag == "a" and name == "name"):
                self.anchors.add(value)
            elif name in ("href", "src"):
                self.links.append(value)


def broken(site: Path) -> list[str]:
    """One line per link that leads nowhere; links to other hosts are not followed."""
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}
    found = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if target.is_dir():
                target /= "index.html"
            if not target.is_file():
                found.append(f"{path.relative_to(site)}: {link}: no such file")
            elif target in pages and unquote(parts.fragment) not in pages[target].anchors:
                found.append(f"{path.relative_to(site)}: {link}: no such anchor")
    return found


def main() -> int:
    """Check the site that is named."""
    site = Path(sys.argv[1]).resolve()
    wrong = broken(site)
    pages = sum(1 for _ in site.rglob("*.html"))
    for line in wrong:
        print(line)
    print(f"{pages} pages, {len(wrong)} broken links")
    return 1 if wrong or not pages else 0


if __name__ == "__main__":
    sys.exit(main())
