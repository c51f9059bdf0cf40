"""Render docs/signoff-example/ from its evidence: a YES, a NO, and the README's picture.

`python -m tests.signoff_example [TIME]` needs a Chromium for the picture, and ends with an error
unless the demonstration's answer is YES and the release's is NO. TIME is when the checklists are
made, against which evidence is old; without it, when those that are there were made.
"""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from goldgate.program import command, environment
from tests.browser import View, find_browser, look, running

FOLDER = Path(__file__).parents[1] / "docs" / "signoff-example"
EVIDENCE = FOLDER / "evidence"
PICTURE = FOLDER / "signoff.png"

#: Folder of a page -> the policy that ships, and the exit status of its answer.
PAGES = {"yes": ("nvidia-standin", 0), "no": ("aiter-minimax-m2.5", 1)}

_WIDTH, _HEIGHT, _COLOURS = 660, 1120, 128

# Where the plots begin, in CSS pixels from the top of the page.
_PLOTS = """() => document.querySelector('.figures')?.previousElementSibling
  .getBoundingClientRect().top ?? 0"""


def render(time: str) -> None:
    """Write the pages and the picture.

    Args:
        time: when the checklists are made, ISO 8601.

    Raises:
        SystemExit: an answer is not the one that the documentation shows, or there is no Chromium.

    """
    for name, (policy, expected) in PAGES.items():
        found = subprocess.run(
            command(
                "signoff", "--policy", policy, "--evidence", EVIDENCE.name,
                "--out", name, "--now", time,
            ),
            env=environment(), cwd=FOLDER, check=False,
        )  # fmt: skip
        if found.returncode != expected:
            raise SystemExit(f"{policy}: exit status {found.returncode}, expected {expected}")
        (FOLDER / name / "signoff.xml").unlink()  # a CI's, and no reader's
    program = find_browser()
    if program is None:
        raise SystemExit("no Chromium: install chromium or set GOLDGATE_CHROMIUM to one")
    draw(FOLDER / "yes" / "signoff.html", PICTURE, program)


def draw(page: Path, picture: Path, program: str) -> None:
    """Draw the head of a page and its plots beside each other; the PNG carries the page's hash."""
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        running(program, Path(folder)) as devtools,
    ):
        seen = look(devtools, page, View(_WIDTH), _PLOTS)
    whole = Image.open(io.BytesIO(seen.picture)).convert("RGB")
    both = Image.new("RGB", (2 * _WIDTH, _HEIGHT), "white")
    for place, top in enumerate((0, int(seen.value))):
        part = whole.crop((0, top, _WIDTH, min(top + _HEIGHT, whole.height)))
        both.paste(part, (place * _WIDTH, 0))
    note = PngInfo()
    note.add_text("Description", sha256(page))
    both.quantize(_COLOURS).save(picture, optimize=True, pnginfo=note)


def made() -> str:
    """Return when the pages that are there were made."""
    document = json.loads((FOLDER / "yes" / "signoff.json").read_text(encoding="utf-8"))
    return str(document["time"]["made"])


def sha256(path: Path) -> str:
    """Return a file's SHA-256, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    render(sys.argv[1] if sys.argv[1:] else made())
