"""What a step of the explorer takes in a browser, how large its page is, how long pictures take: `python3 explorer.py`.

It needs Chromium and Playwright. A step is timed by the page's own performance API, from the click until the page is laid out
again (script, style, layout), and until its next frame; of 300 nodes it should be done within a frame of the screen, 16 ms.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from test_explorer import CHROMIUM, dag, lecture  # noqa: E402

from autograd import Value, topological  # noqa: E402
from nn import MLP  # noqa: E402
from viz import draw, explore  # noqa: E402
from viz.graphs.engines import ENGINES  # noqa: E402

LAID_OUT = """name => { const found = [], button = document.getElementById(name);
    for (let n = 0; n < 300 && !button.disabled; n++) {
        const start = performance.now();
        button.click();
        document.body.offsetHeight;
        found.push(performance.now() - start);
    }
    return found; }"""
FRAME = """async name => { const found = [], button = document.getElementById(name);
    for (let n = 0; n < 60 && !button.disabled; n++) {
        await new Promise(requestAnimationFrame);
        const start = performance.now();
        button.click();
        await new Promise(requestAnimationFrame);
        await new Promise(done => {
            const channel = new MessageChannel();
            channel.port1.onmessage = done;
            channel.port2.postMessage(0);
        });
        found.push(performance.now() - start);
    }
    return found; }"""


def seconds(act: Callable[[], Any]) -> float:
    """The median of five."""
    times = []
    for _ in range(5):
        start = time.perf_counter()
        act()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main() -> None:
    from playwright.sync_api import sync_playwright
    model = MLP(4, [8, 4, 1], activation="tanh", rng=0)
    y = model([Value(float(i), label=f"x{i}") for i in range(4)])
    graphs: list[tuple[str, Value, Any]] = [
        ("lecture", lecture(), None), ("300 nodes", dag(300), None), ("MLP 4-8-4-1 in layers", y, model)]
    print("graph                  nodes  page kB  made in ms  step ms: median  p95   max   to the next frame, p95")
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=CHROMIUM)
        for name, v, collapse in graphs:
            made = seconds(lambda v=v, collapse=collapse: explore(v, collapse=collapse))  # type: ignore[misc]
            page = explore(v, collapse=collapse)
            path = Path(folder, "page.html")
            page.save(path)
            tab = browser.new_page(viewport={"width": 1600, "height": 1000})
            tab.goto(path.as_uri())
            steps = sorted([*tab.evaluate(LAID_OUT, "next"), *tab.evaluate(LAID_OUT, "back")])
            frames = sorted(tab.evaluate(FRAME, "next"))
            print(f"{name:22} {len(topological(v)):5} {len(page.html.encode()) / 1000:8.0f} {1000 * made:11.0f} "
                  f"{statistics.median(steps):16.1f} {steps[len(steps) * 95 // 100]:5.1f} {steps[-1]:5.1f} "
                  f"{frames[len(frames) * 95 // 100]:15.1f}")
            tab.close()
        browser.close()
    v = dag(300)
    for engine in ENGINES:
        try:
            print(f"draw, 300 nodes, {engine}: {seconds(lambda engine=engine: draw(v, engine=engine)):.2f} s")  # type: ignore[misc]
        except RuntimeError as error:
            print(f"draw, {engine}: {error}")


if __name__ == "__main__":
    main()
