"""Makes the pictures of the documentation: `make screenshots` (needs Chromium)."""

import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from headwater.demo.run import prepare
from headwater.demo.server import Server
from headwater.demo.simulator import Simulator

HERE = Path(__file__).parent
WIDTH, HEIGHT = 1440, 1100
SECONDS = 20


def main() -> int:
    """Takes a picture of the demonstration's status page while users report."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        print("Chromium is not on PATH. Install it (Debian: apt-get install chromium).", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch) / "riverside"
        keys = prepare(directory)
        with Server(directory, 0) as server, sync_playwright() as playwright:
            users = Simulator(server.url, keys, users=2000, seconds=SECONDS + 5, seed=1)
            users.start()
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
            page.goto(server.url)
            page.wait_for_timeout(SECONDS * 1000)
            page.screenshot(path=HERE / "status.png")
            browser.close()
            users.stop()
            users.finish()
    print(f"Wrote {HERE / 'status.png'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
