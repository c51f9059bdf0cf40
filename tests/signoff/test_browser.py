"""The sign-off page in a real browser: on a phone, on a desk, in the dark and on paper."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from matplotlib import image

from goldgate.signoff.gathered import Kernel
from goldgate.signoff.page.document import figures, page
from tests.browser import Seen, View, find_browser, look, running
from tests.signoff.samples import CHECKLIST
from tests.signoff.scored import MEASURED

VIEWS = {
    "phone": View(360),
    "small phone": View(320),
    "desk": View(1280),
    "dark": View(1280, dark=True),
    "dark phone": View(360, dark=True),
    "paper": View(794, paper=True),
    "paper of a dark reader": View(794, dark=True, paper=True),
}

#: The measured facts, with a kernel whose words are longer than a drawing is wide.
LONG = replace(
    MEASURED,
    parity=(
        *MEASURED.parity,
        replace(
            MEASURED.parity[0],
            kernel=Kernel(
                "aiter.biased_grouped_topk_of_a_long_name_indeed",
                "commit b2b0eeedf4d0 (2026-08), emulated",
                execution="emulated",
                architecture="gfx942:sramecc+:xnack-",
            ),
        ),
    ),
)

#: How far the page reaches beyond its window, in CSS pixels, and what reaches there; the drawings
#: with their sizes; which words of drawings leave their drawing; colours; what paper shows.
LOOK = """() => {
  const root = document.documentElement, all = [...document.querySelectorAll('body *')];
  const right = (one) => one.getBoundingClientRect().right;
  const outside = (one) => {
    const inner = one.getBoundingClientRect();
    const outer = one.closest('svg').getBoundingClientRect();
    return inner.left < outer.left - 1 || inner.right > outer.right + 1
      || inner.top < outer.top - 1 || inner.bottom > outer.bottom + 1;
  };
  return {
    beyond: root.scrollWidth - root.clientWidth,
    wide: all.filter((one) => right(one) > innerWidth + 1 && !one.closest('svg')
      && !one.closest('.wide')).map((one) => one.tagName + '.' + one.className),
    drawings: [...document.querySelectorAll('figure > svg')].map((one) =>
      [one.clientWidth, one.clientHeight, one.querySelectorAll('text').length]),
    cut: [...document.querySelectorAll('figure text')].filter(outside)
      .map((one) => one.textContent),
    smallest: Math.min(...[...document.querySelectorAll('figure text')].map((one) =>
      one.getBoundingClientRect().height)),
    mark: getComputedStyle(document.querySelector('.mark')).display,
    sign: getComputedStyle(document.querySelector('.sign')).display,
    hash: document.querySelector('.item .hash').getBoundingClientRect().width,
    copied: (() => {
      const hash = document.querySelector('.item .hash');
      getSelection().selectAllChildren(hash);
      return getSelection().toString();
    })(),
  };
}"""


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Seen]]:
    """Hold what a browser found in each view; skips where there is no Chromium."""
    program = find_browser()
    if program is None:
        pytest.skip("no Chromium: install chromium or set GOLDGATE_CHROMIUM to one")
    folder = tmp_path_factory.mktemp("browser")
    path = folder / "signoff.html"
    long = replace(
        CHECKLIST.items[0], found=f"found {'x' * 300}", details=("y" * 300,), name="long"
    )
    checklist = replace(CHECKLIST, items=(*CHECKLIST.items, long))
    path.write_text(page(checklist, LONG), encoding="utf-8")
    with running(program, folder) as devtools:
        yield {name: look(devtools, path, view, LOOK) for name, view in VIEWS.items()}


@pytest.mark.parametrize("name", VIEWS)
def test_browser_has_no_complaint(seen: dict[str, Seen], name: str) -> None:
    """The console is empty, and the browser asks for nothing but the file."""
    assert seen[name].complaints == ()


@pytest.mark.parametrize("name", VIEWS)
def test_page_fits_its_window(seen: dict[str, Seen], name: str) -> None:
    """No view needs to be scrolled sideways, whatever the length of a word."""
    assert seen[name].value["beyond"] == 0
    assert seen[name].value["wide"] == []


@pytest.mark.parametrize("name", VIEWS)
def test_drawings_are_laid_out(seen: dict[str, Seen], name: str) -> None:
    """Every figure is drawn with a size, and no word of it is cut or too small to read."""
    found = seen[name].value

    assert len(found["drawings"]) == len(list(figures(LONG)))
    assert all(width > 250 and height > 30 and words for width, height, words in found["drawings"])
    assert found["cut"] == []
    assert found["smallest"] >= 9


def test_dark_page_is_dark(seen: dict[str, Seen]) -> None:
    """A reader who prefers dark gets a dark page without light panels; paper is light."""
    for name, view in VIEWS.items():
        pixels = np.asarray(image.imread(io.BytesIO(seen[name].picture)))[..., :3]
        dark = view.dark and not view.paper
        assert (np.median(pixels) < 0.2) if dark else (np.median(pixels) > 0.9), name
        assert (pixels.mean(axis=-1) > 0.9).mean() < 0.2 or not dark, name


def test_paper_has_lines_to_sign_on_and_whole_hashes(seen: dict[str, Seen]) -> None:
    """Print shows the mark, the lines to sign on and whole hashes, the screen their beginning."""
    paper, desk = seen["paper"].value, seen["desk"].value

    assert (paper["sign"], desk["sign"]) == ("grid", "none")
    assert (paper["mark"], desk["mark"]) == ("block", "none")
    assert paper["hash"] > 3 * desk["hash"]


def test_hash_copies_whole(seen: dict[str, Seen]) -> None:
    """A selection of the shortened hash has all 64 characters."""
    (file,) = CHECKLIST.items[0].evidence

    assert seen["phone"].value["copied"] == file.sha256
