"""Makes the pictures of the documentation: `make screenshots` (needs Chromium)."""

import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright
from rich.console import Console

from headwater.demo.run import Settings, prepare, run
from headwater.demo.server import Server

HERE = Path(__file__).parent
WIDTH, HEIGHT = 1280, 1100


def main() -> int:
    """Runs the demonstration for a few seconds and takes a picture of its status page."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        print("Chromium is not on PATH. Install it (Debian: apt-get install chromium).", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch) / "riverside"
        keys = prepare(directory)
        with Server(directory, 0) as server, sync_playwright() as playwright:
            run(Settings(directory, seconds=10, users=1000), server, keys, Console())
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
            page.goto(server.url, wait_until="networkidle")
            page.screenshot(path=HERE / "status.png")
            browser.close()
    print(f"Wrote {HERE / 'status.png'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
