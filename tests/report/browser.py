"""A real browser for pages: Debian's Chromium, driven by playwright; tests without it are skipped by name."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

#: `.ci/run` looks for this reason: there the browser has to be
NO_BROWSER = "no Chromium: pages are not opened"

OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]

#: reads pixels (r, g, b) of a PNG given as a data URL
_PIXELS = """async ([url, places]) => {
    const image = new Image();
    image.src = url;
    await image.decode();
    const canvas = document.createElement("canvas");
    canvas.width = image.width; canvas.height = image.height;
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0);
    return places.map(([x, y]) => Array.from(context.getImageData(x, y, 1, 1).data.slice(0, 3)));
}"""

#: middle of a PE on the screen, from bokeh's own scales
_PLACE = """([x, y]) => {
    const view = Bokeh.index.roots[0];
    const box = view.el.getBoundingClientRect();
    return [box.left + view.frame.x_scale.compute(x + 0.5), box.top + view.frame.y_scale.compute(y + 0.5)];
}"""


@pytest.fixture(scope="session")
def chromium():
    """A started browser."""
    api = pytest.importorskip("playwright.sync_api", reason=NO_BROWSER)
    if CHROMIUM is None:
        pytest.skip(NO_BROWSER)
    with api.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        yield started
        started.close()


class Opened:
    """A page that was opened from disk: what it asked the network for, what it complained of, when it was ready.

    ``ready_ms`` is the clock's time from the navigation until the map is drawn, ``cpu_ms`` what the page's main
    thread computed by then.
    """

    def __init__(self, chromium, path: Path) -> None:
        self._browser = chromium
        self.page = chromium.new_page(viewport={"width": 1300, "height": 950})
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", self._said)
        self.page.on("dialog", lambda dialog: (self.complaints.append("a dialog"), dialog.dismiss()))
        meter = self.page.context.new_cdp_session(self.page)
        meter.send("Performance.enable", {"timeDomain": "threadTicks"})
        self.page.goto(path.as_uri())
        self.page.wait_for_selector("body[data-ready]", timeout=60_000)
        metrics = {entry["name"]: entry["value"] for entry in meter.send("Performance.getMetrics")["metrics"]}
        self.cpu_ms = 1000 * metrics["TaskDuration"]
        self.page.evaluate("document.querySelector('.map').scrollIntoView({block: 'start'})")
        self.ready_ms = int(self.page.get_attribute("body", "data-ready"))

    def _said(self, message) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def is_quick(self, most_ms: int) -> bool:
        """Whether it was drawn in time; on a machine with too much to do the time it computed decides."""
        overloaded = os.getloadavg()[0] > 1 + (os.cpu_count() or 1)
        return (self.cpu_ms if overloaded else self.ready_ms) < most_ms

    @property
    def network(self) -> list[str]:
        """Requests for anything but the page itself and what is in it."""
        return [url for url in self.requests[1:] if not url.startswith(("data:", "blob:"))]

    def place(self, x: int, y: int) -> list[float]:
        """The middle of a PE on the screen."""
        return self.page.evaluate(_PLACE, [x, y])

    def hover(self, x: int, y: int) -> str:
        """What the page says while the mouse is over a PE."""
        self.page.mouse.move(*self.place(x, y))
        self.page.wait_for_function(
            f"document.getElementById('hover').dataset.pe === '{x},{y}'", timeout=5_000
        )
        return self.page.inner_text("#hover")

    def colors(self, pes) -> list[tuple[int, int, int]]:
        """Colors of PEs' middles on the screen."""
        import base64

        shot = "data:image/png;base64," + base64.b64encode(self.page.screenshot()).decode()
        places = [[round(v) for v in self.place(x, y)] for x, y in pes]
        reader = self._browser.new_page()
        try:
            return [tuple(color) for color in reader.evaluate(_PIXELS, [shot, places])]
        finally:
            reader.close()
