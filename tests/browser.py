"""Chromium by its debugging protocol, through pipes: pages at work, in real time, with a mouse and pictures."""

import base64
import io
import json
import os
import select
import shutil
import subprocess
import sys
import time

from skimage.io import imread

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
WORDS = ["--headless", "--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
WORDS += ["--disable-gpu-vsync", "--hide-scrollbars", "--remote-debugging-pipe"]
# Chromium reads 3 and writes 4.
LAUNCH = """
import fcntl, os, sys
out, into = (fcntl.fcntl(int(word), fcntl.F_DUPFD, 10) for word in sys.argv[1:3])
os.dup2(out, 3), os.dup2(into, 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


class Browser:
    """One page, without a GPU. said: what it put into its console, and what failed in it."""

    def __init__(self, folder, size=(600, 500)):
        (out, self._write), (self._read, into) = os.pipe(), os.pipe()
        words = [CHROMIUM, *WORDS, f"--user-data-dir={folder}", f"--window-size={size[0]},{size[1]}"]

        words = [sys.executable, "-c", LAUNCH, str(out), str(into), *words]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "stdin": subprocess.DEVNULL}
        self._process = subprocess.Popen(words, pass_fds=(out, into), **quiet)
        os.close(out)
        os.close(into)
        self._buffer, self._count, self._session, self.said = b"", 0, None, []
        try:
            self._attach(size)
        except BaseException:
            self.close()
            raise

    def _attach(self, size):
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.ask(f"{domain}.enable")
        self.ask("Emulation.setDeviceMetricsOverride", width=size[0], height=size[1], deviceScaleFactor=1, mobile=False)

    def ask(self, method, **params):
        self._count += 1
        message = {"id": self._count, "method": method, "params": params}
        message |= {"sessionId": self._session} if self._session else {}
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            found = self._message()
            if found.get("id") == self._count:
                assert "error" not in found, f"{method}: {found['error']}"
                return found["result"]

    def _message(self, seconds=60):
        while b"\0" not in self._buffer:
            assert select.select([self._read], [], [], seconds)[0], "no answer from Chromium"
            part = os.read(self._read, 1 << 20)
            assert part, "Chromium has ended"
            self._buffer += part
        line, self._buffer = self._buffer.split(b"\0", 1)
        found = json.loads(line)
        details = found.get("params", {})
        if found.get("method") == "Runtime.consoleAPICalled":
            self.said.append(" ".join(str(part.get("value", part.get("description"))) for part in details["args"]))
        elif found.get("method") == "Runtime.exceptionThrown":
            self.said.append(str(details["exceptionDetails"].get("exception", details)))
        elif found.get("method") == "Log.entryAdded":
            self.said.append(f"{details['entry']['text']} {details['entry'].get('url', '')}")
        return found

    def open(self, url):
        self.ask("Page.navigate", url="about:blank")  # a new # alone loads nothing
        self.ask("Page.navigate", url=url)

    def value(self, expression):
        """Of JavaScript in the page."""
        found = self.ask("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def wait(self, expression, seconds=30):
        """Until it is true there."""
        end = time.monotonic() + seconds
        while not self.value(expression):
            assert time.monotonic() < end, f"not true after {seconds} s: {expression}; the page said {self.said}"
            time.sleep(0.05)

    def picture(self):
        """What the page shows, uint8 [rows, columns, 3]."""
        data = self.ask("Page.captureScreenshot", format="png")["data"]
        return imread(io.BytesIO(base64.b64decode(data)))[..., :3]

    def mouse(self, kind, x, y, **more):
        self.ask("Input.dispatchMouseEvent", type=f"mouse{kind}", x=x, y=y, **more)

    def click(self, x, y):
        for kind in ("Moved", "Pressed", "Released"):
            self.mouse(kind, x, y, **({} if kind == "Moved" else {"button": "left", "clickCount": 1}))

    def close(self):
        self._process.kill()
        self._process.wait()
        os.close(self._read)
        os.close(self._write)
