"""Headless Chromium to open pages in, where there is one."""

import base64
import json
import os
import shutil
import subprocess
import time

import pytest

CHROMIUM = next((path for path in map(shutil.which, ("chromium", "chromium-browser", "google-chrome")) if path), None)


class Browser:
    """Chromium, driven through the pipe of its DevTools: no port, no driver, no package."""

    def __init__(self, profile):
        to_it, ours = os.pipe()
        theirs, from_it = os.pipe()
        self._out, self._in, self._rest, self._number, self._session = ours, theirs, b"", 0, None
        self.events = []

        def ends():
            # the browser reads 3 and writes 4; copies first, as the ends may have these numbers themselves
            reads, writes = os.dup(to_it), os.dup(from_it)
            os.dup2(reads, 3)
            os.dup2(writes, 4)

        words = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-pipe"]
        words += ["--no-first-run", "--disable-extensions", "--disable-component-update", f"--user-data-dir={profile}"]
        self._process = subprocess.Popen(
            [CHROMIUM, *words, "--disable-background-networking", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=ends,
            close_fds=False,
        )
        os.close(to_it)
        os.close(from_it)
        target = next(one for one in self.call("Target.getTargets")["targetInfos"] if one["type"] == "page")
        self._session = self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def close(self):
        self._process.kill()
        self._process.wait()
        os.close(self._out)
        os.close(self._in)

    def call(self, method, **parameters):
        """What DevTools answers; what it tells meanwhile is kept."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        message |= {"sessionId": self._session} if self._session else {}
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while (answer := self._read()).get("id") != self._number:
            self.events.append(answer)
        assert "error" not in answer, answer
        return answer["result"]

    def _read(self):
        while b"\0" not in self._rest:
            more = os.read(self._in, 1 << 20)
            assert more, "the browser has gone"
            self._rest += more
        one, _, self._rest = self._rest.partition(b"\0")
        return json.loads(one)

    def open(self, path, width=1200, height=900):
        self.size(width, height)
        self.events.clear()
        self.call("Page.navigate", url=path.resolve().as_uri())
        self.until(f"document.readyState == 'complete' && location.pathname.endsWith('{path.name}')")

    def size(self, width, height):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def ask(self, script):
        """The value of an expression in the page."""
        said = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in said, said
        return said["result"].get("value")

    def until(self, script, seconds=60):
        """Wait until an expression is true."""
        end = time.monotonic() + seconds
        while not self.ask(script):
            assert time.monotonic() < end, f"{script} did not come true: {self.complaints()}"
            time.sleep(0.02)

    def key(self, name):
        text = {"text": name} if len(name) == 1 else {}
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=name, **(text if kind == "keyDown" else {}))

    def click(self, selector, share=(0.5, 0.5)):
        """Press where a share of an element's width and height is."""
        x, y = self._point(selector, share)
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=1, clickCount=1)

    def wheel(self, selector, down):
        x, y = self._point(selector, (0.5, 0.5))
        self.call("Input.dispatchMouseEvent", type="mouseWheel", x=x, y=y, deltaX=0, deltaY=down)

    def _point(self, selector, share):
        self.ask(f"document.querySelector('{selector}').scrollIntoView({{block: 'center'}})")
        box = self.ask(f"document.querySelector('{selector}').getBoundingClientRect().toJSON()")
        return box["x"] + share[0] * box["width"], box["y"] + share[1] * box["height"]

    def complaints(self):
        """What the page threw, could not do or was forbidden."""
        told = ("Runtime.exceptionThrown", "Log.entryAdded")
        return [event["params"] for event in self.events if event.get("method") in told]

    def loaded(self):
        """Addresses that were asked for."""
        sent = [event for event in self.events if event.get("method") == "Network.requestWillBeSent"]
        return [event["params"]["request"]["url"] for event in sent]

    def picture(self):
        """PNG of what is to be seen."""
        return base64.b64decode(self.call("Page.captureScreenshot")["data"])

    def pdf(self):
        return base64.b64decode(self.call("Page.printToPDF", preferCSSPageSize=True, printBackground=True)["data"])


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    if CHROMIUM is None:
        pytest.skip("no Chromium here")
    one = Browser(tmp_path_factory.mktemp("profile"))
    yield one
    one.close()
