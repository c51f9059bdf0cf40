"""The page of a comparison: whole by itself, all words of servers text, looked at in a browser."""

from __future__ import annotations

import html.parser
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from matplotlib import image

from goldgate.cli import main
from tests.browser import View, find_browser, look, running
from tests.evals.support import Server

if TYPE_CHECKING:
    from collections.abc import Callable

    Ask = Callable[..., int]

HOSTILE = (
    "</pre><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
    "\x1b[2J\u202e&lt;"
)


class Elements(html.parser.HTMLParser):
    """Collects the names of elements, their attributes and the text."""

    def __init__(self) -> None:
        """Start with nothing."""
        super().__init__()
        self.names: set[str] = set()
        self.attributes: set[str] = set()
        self.words = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.names.add(tag)
        self.attributes.update(name for name, _ in attrs)

    def handle_data(self, data: str) -> None:
        """Note text."""
        self.words += data


@pytest.fixture(scope="module")
def page(
    problems: list[dict[str, str]], ask: Ask, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Hold the page of a comparison of hostile servers: every fourth answer turned wrong."""
    folder = tmp_path_factory.mktemp("page")
    right = {row["question"]: f"{HOSTILE}{row['answer']}" for row in problems}
    worse = {q: text if n % 4 else f"{text}9" for n, (q, text) in enumerate(right.items())}
    for name, answers in (("good", right), ("bad", worse)):
        with Server(answers, model=f"m{HOSTILE}") as server:
            assert ask(server.url, folder / name) == 0
    arms = [str(folder / name) for name in ("good", "bad")]
    assert main(["compare", *arms, "--html", str(folder / "page.html")]) == 1
    return folder / "page.html"


def test_page_has_the_verdict_the_bound_and_the_answers(page: Path) -> None:
    """Verdict, counts, plot, cautions and both texts of every changed answer are there."""
    found = Elements()
    found.feed(page.read_text(encoding="utf-8"))

    assert "DEGRADED: the candidate is worse: 10 answers turned wrong" in found.words
    assert "10 turned wrong, 0 turned right" in " ".join(found.words.split())
    assert {"svg", "table", "details", "circle"} <= found.names
    assert "margin -1.5" in found.words
    assert "own questions, not GSM8K's" in found.words
    assert found.words.count(": right to wrong; expected") == 10
    assert found.words.count("marbles.\n#### ") == 20


def test_words_of_servers_are_text(page: Path) -> None:
    """No element, attribute or control of an answer or a model id is in the page."""
    text = page.read_text(encoding="utf-8")
    found = Elements()
    found.feed(text)

    assert not {"script", "img", "link", "iframe"} & found.names
    assert not [name for name in found.attributes if name.startswith("on")]
    assert not {"\x1b", "\u202e"} & set(text)
    assert "<script>document.title='owned'</script>" in found.words


def test_page_is_whole_by_itself(page: Path) -> None:
    """Nothing is loaded from anywhere, and the page's own policy forbids it."""
    text = page.read_text(encoding="utf-8")
    found = Elements()
    found.feed(text)

    assert "default-src 'none'" in text
    assert not {"src", "href", "action"} & found.attributes
    assert "http" not in text.replace("http-equiv", "").replace("http://127.0.0.1", "")


def test_refusal_has_a_page_too(page: Path, tmp_path: Path) -> None:
    """Runs that cannot be compared are shown with the reason, and the counts as information."""
    shown = tmp_path / "refused.html"

    status = main([
        "compare", str(page.parent / "good"), str(page.parent / "good"), "--html", str(shown),
    ])  # fmt: skip

    found = Elements()
    found.feed(shown.read_text(encoding="utf-8"))
    assert status == 2
    assert "REFUSED: these runs cannot be compared" in found.words
    assert "baseline and candidate are two runs: no" in found.words


@pytest.fixture(scope="session")
def browser() -> str:
    """Name a Chromium; skips where there is none."""
    found = find_browser()
    if found is None:
        pytest.skip("no Chromium: install chromium or set GOLDGATE_CHROMIUM to one")
    return found


def test_page_in_a_real_browser(page: Path, browser: str, tmp_path: Path) -> None:
    """A browser lays the page out, draws the plot and runs nothing of a server's."""
    picture = tmp_path / "page.png"
    common = [
        browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
        f"--user-data-dir={tmp_path / 'profile'}", "--hide-scrollbars", "--window-size=1000,1400",
    ]  # fmt: skip

    dom = subprocess.run(
        [*common, "--dump-dom", page.as_uri()], capture_output=True, text=True, check=True,
        timeout=120,
    ).stdout  # fmt: skip
    subprocess.run(
        [*common, f"--screenshot={picture}", page.as_uri()], capture_output=True, check=True,
        timeout=120,
    )  # fmt: skip

    pixels = np.asarray(image.imread(str(picture)))[..., :3]
    assert "<title>GSM8K: DEGRADED</title>" in dom  # no script changed it
    assert pixels.shape[:2] == (1400, 1000)
    red = (pixels[..., 0] > 0.7) & (pixels[..., 1] < 0.3) & (pixels[..., 2] < 0.3)
    assert red.any()  # the bar beside DEGRADED
    assert len(np.unique((pixels * 255).astype(np.uint8).reshape(-1, 3), axis=0)) > 20


@pytest.mark.parametrize("view", [View(360), View(360, dark=True), View(1280)], ids=str)
def test_page_fits_its_window(page: Path, browser: str, tmp_path: Path, view: View) -> None:
    """On a phone and on a desk nothing reaches beyond the window, and the console is empty."""
    beyond = """() => document.documentElement.scrollWidth
      - document.documentElement.clientWidth"""

    with running(browser, tmp_path) as devtools:
        seen = look(devtools, page, view, beyond)

    assert seen.complaints == ()
    assert seen.value == 0
