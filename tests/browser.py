"""A real Chromium without a window, for tests of the pages; what its console complains of is kept."""

import contextlib
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--window-size=1280,720",
    "--force-device-scale-factor=1",
)
PATIENCE = 30.0  # seconds: software draws the scene


class Page:
    """An open page.  `driver` and `keys` are selenium's."""

    def __init__(self, driver: Any) -> None:
        from selenium.webdriver.common.keys import Keys

        self.driver, self.keys = driver, Keys
        self._complaints: list[str] = []

    def open(self, url: str) -> None:
        """Load a page and wait until viser has drawn its panel."""
        self.driver.get(url)
        self.wait_for(lambda: self.driver.execute_script("return document.querySelector('canvas') !== null"), "canvas")

    def wait_for(self, found: Callable[[], Any], what: str = "", seconds: float = PATIENCE) -> Any:
        """What `found` returns as soon as that is true; an assertion that names `what` fails if it never is."""
        end = time.monotonic() + seconds
        while True:
            result = found()
            if result:
                return result
            if time.monotonic() > end:
                raise AssertionError(f"{what or found} did not come in {seconds:g} s; {self.complaints()}")
            time.sleep(0.05)

    def text(self) -> str:
        """All that can be read in the page's elements."""
        return str(self.driver.execute_script("return document.body.innerText"))

    def count(self, css: str) -> int:
        """How many elements there are of a selector."""
        return int(self.driver.execute_script("return document.querySelectorAll(arguments[0]).length", css))

    def press(self, label: str) -> None:
        """Press the button of this label from the keyboard."""
        buttons = [each for each in self.driver.find_elements("tag name", "button") if each.text.strip() == label]
        assert buttons, f"no button {label!r}"
        buttons[0].send_keys(self.keys.ENTER)

    def field(self, label: str) -> Any:
        """The input, a slider's thumb before its number, beside a label."""
        script = """
            for (const label of document.querySelectorAll('label')) {
                if (label.textContent.trim() === arguments[0]) {
                    for (let at = label; at !== null; at = at.parentElement) {
                        const input = at.querySelector('[role=slider], input, textarea');
                        if (input) return input;
                    }
                }
            }
            return null;"""
        return self.wait_for(lambda: self.driver.execute_script(script, label), f"field {label!r}")

    def picture(self, path: Path) -> Path:
        """Keep what the window shows, as a PNG."""
        assert self.driver.save_screenshot(str(path))
        return path

    def complaints(self) -> list[str]:
        """Errors of the console since the start, those of requests and the websocket too."""
        self._complaints += [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]
        return self._complaints


@contextlib.contextmanager
def browser() -> Iterator[Page]:
    """A page of a headless Chromium of 1280 x 720; the test is skipped where there is none."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    driver = shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.skip("Chromium and chromedriver are not on the PATH")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for option in OPTIONS:
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    chromium = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        yield Page(chromium)
    finally:
        chromium.quit()
