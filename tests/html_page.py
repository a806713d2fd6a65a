"""The page of --html in Chromium: real clicks, drags, touches and keys. Places are in its pixels."""

from __future__ import annotations

import contextlib
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from browser import Browser

RESTS = 0.3  # seconds: longer than the page waits before it looks what is under the pointer
DRAWN = "new Promise(done => setTimeout(() => requestAnimationFrame(() => requestAnimationFrame(done)), 60))"


class Page(Browser):
    """One such page at a time."""

    def size(self, wide: int, tall: int, touch: bool = False) -> None:
        self.ask("Emulation.setDeviceMetricsOverride", width=wide, height=tall, deviceScaleFactor=1, mobile=touch)
        self.ask("Emulation.setTouchEmulationEnabled", enabled=touch)

    def dark(self, is_dark: bool) -> None:
        """What the system is set to."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}
        self.ask("Emulation.setEmulatedMedia", features=[scheme])

    def show(self, path: Path) -> None:
        """A page of `--html`, when it is ready."""
        self.open(path.as_uri())
        self.wait("document.body && document.body.dataset.ready")
        assert self.value("document.body.dataset.ready") == "1", self.text("#state")

    def settled(self) -> None:
        """Wait until what was done is drawn."""
        self.value(DRAWN)

    def point(self, x: float, y: float) -> None:
        """Rest there."""
        self.mouse("Moved", x, y)
        time.sleep(RESTS)
        self.settled()

    def click(self, x: float, y: float) -> None:
        super().click(x, y)
        self.settled()

    def press(self, selector: str) -> None:
        """Click the middle of an element."""
        box = f"(b => [b.x + b.width / 2, b.y + b.height / 2])({element(selector)}.getBoundingClientRect())"
        self.click(*self.value(box))

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        held = {"button": "left", "buttons": 1}
        self.mouse("Moved", *start)
        self.mouse("Pressed", *start, clickCount=1, **held)
        for share in (0.25, 0.5, 0.75, 1.0):
            self.mouse("Moved", *(a + share * (b - a) for a, b in zip(start, end, strict=True)), **held)
        self.mouse("Released", *end, button="left", clickCount=1)
        self.settled()

    def touch(self, *paths: tuple[tuple[float, float], tuple[float, float]]) -> None:
        """Fingers that move from one place to another, all at once."""
        for share in (0.0, 0.25, 0.5, 0.75, 1.0):
            places = [
                {"x": a[0] + share * (b[0] - a[0]), "y": a[1] + share * (b[1] - a[1]), "id": k}
                for k, (a, b) in enumerate(paths)
            ]
            self.ask("Input.dispatchTouchEvent", type="touchMove" if share else "touchStart", touchPoints=places)
        self.ask("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])
        self.settled()

    def key(self, name: str, text: str = "", **more: Any) -> None:
        for kind in ("keyDown", "keyUp"):
            words = {"text": text} if text and kind == "keyDown" else {}
            self.ask("Input.dispatchKeyEvent", type=kind, key=name, **words, **more)
        self.settled()

    def choose(self, selector: str, option: str) -> None:
        """An option of a list, by its text."""
        self.value(f"""(list => {{ list.value = [...list.options].find(o => o.text === {json.dumps(option)}).value;
            list.dispatchEvent(new Event("change")); }})({element(selector)})""")
        self.settled()

    def text(self, selector: str) -> str:
        return str(self.value(f"{element(selector)}.textContent"))


def element(selector: str) -> str:
    return f"document.querySelector({json.dumps(selector)})"


@contextlib.contextmanager
def opened(wide: int = 1000, tall: int = 600, touch: bool = False) -> Iterator[Page]:
    """A browser of its own, in daylight, that ends with the block."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        page = Page(folder)
        try:
            page.size(wide, tall, touch)
            page.dark(False)
            yield page
        finally:
            page.close()
