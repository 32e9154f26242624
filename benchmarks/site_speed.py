"""How soon the front page stands: ``python benchmarks/site_speed.py``, after ``./justw book``.

Loads the page in headless Chromium on a connection of 4 Mbit/s, each time with nothing cached, from
a server that compresses text as most hosts do. The largest contentful paint of every load goes to
``_build/site_speed.json``, in milliseconds; on a busy machine they say more of the machine.
"""

from __future__ import annotations

import functools
import gzip
import platform
import shutil
import statistics
import sys
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Annotated

import tyro
from playwright.sync_api import Browser, sync_playwright

from weightdecay import runs

ROOT = Path(__file__).resolve().parent.parent
HTML = ROOT / "_build" / "html"
RESULT = ROOT / "_build" / "site_speed.json"
MBITS, LATENCY_MS = 4, 40
TEXT = {".css", ".html", ".js", ".json", ".svg"}
# The last candidate once the page is loaded: later ones would need a reader's hand.
PAINT = """() => new Promise(resolve => new PerformanceObserver(list => {
  const last = list.getEntries().at(-1);
  resolve([last.startTime, last.element?.tagName ?? ""]);
}).observe({type: "largest-contentful-paint", buffered: true}))"""


class Compressed(SimpleHTTPRequestHandler):
    """Files as they are, text with gzip."""

    def do_GET(self) -> None:
        path = Path(self.translate_path(self.path))
        if path.suffix not in TEXT or not path.is_file():
            super().do_GET()
            return
        body = _zipped(path)
        self.send_response(200)
        self.send_header("Content-Type", self.guess_type(str(path)))
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@functools.cache
def _zipped(path: Path) -> bytes:
    return gzip.compress(path.read_bytes())


def load(browser: Browser, url: str) -> tuple[float, str, int]:
    """Largest paint in milliseconds, the element that it painted, and the bytes that came over."""
    with browser.new_context(viewport={"width": 1280, "height": 800}) as context:
        page = context.new_page()
        session = context.new_cdp_session(page)
        session.send("Network.enable")
        rate = MBITS * 1e6 / 8
        session.send(
            "Network.emulateNetworkConditions",
            {"offline": False, "latency": LATENCY_MS, "downloadThroughput": rate,
             "uploadThroughput": rate},
        )  # fmt: skip
        came: list[float] = []
        session.on("Network.loadingFinished", lambda e: came.append(e["encodedDataLength"]))
        page.goto(url, wait_until="networkidle", timeout=120_000)
        paint, element = page.evaluate(PAINT)
        return float(paint), str(element), int(sum(came))


def main(
    loads: Annotated[int, tyro.conf.arg(help="How many, the first of which warms up.")] = 6,
) -> int:
    """Measure the built front page."""
    chromium = shutil.which("chromium")
    if not (HTML / "index.html").exists() or chromium is None:
        missing = "chromium on the PATH" if chromium is None else "a built book: run `./justw book`"
        print(f"site_speed: this needs {missing}", file=sys.stderr)
        return 1
    handler = functools.partial(Compressed, directory=str(HTML))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server, sync_playwright() as p:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser = p.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
        )
        url = f"http://127.0.0.1:{server.server_port}/index.html"
        found = [load(browser, url) for _ in range(max(loads, 2))][1:]
        browser.close()
        server.shutdown()
    paints = [paint for paint, _, _ in found]
    runs.write_json(
        RESULT,
        {
            "page": "index.html",
            "megabits_a_second": MBITS,
            "latency_ms": LATENCY_MS,
            "largest_paint_ms": [round(paint) for paint in paints],
            "median_ms": round(statistics.median(paints)),
            "element": found[-1][1],
            "bytes": found[-1][2],
            "system": f"{platform.system()}, {platform.machine()}",
        },
    )
    print(
        f"largest paint of the front page at {MBITS} Mbit/s: median "
        f"{statistics.median(paints) / 1000:.2f} s, {min(paints) / 1000:.2f} to "
        f"{max(paints) / 1000:.2f} s in {len(paints)} loads, {found[-1][2] / 1e3:.0f} kB each"
    )
    return 0


if __name__ == "__main__":
    sys.exit(tyro.cli(main))
