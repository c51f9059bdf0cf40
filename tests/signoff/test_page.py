"""The sign-off page: whole by itself, every word escaped, and every fact where a reader looks."""

from __future__ import annotations

import html.parser
from dataclasses import replace

import pytest

from goldgate.signoff.checklist import DEMONSTRATION, EvidenceFile, Item, Refused, State, ToDo
from goldgate.signoff.gathered import Gathered
from goldgate.signoff.page.document import figures, page
from tests.signoff.samples import CHECKLIST, NEW, a_parity
from tests.signoff.scored import MEASURED, PLAN, document

HOSTILE = (
    "</code></svg><script>document.title='owned'</script><img src=x onerror=\"1\">"
    "'\" onload='1' \x1b[2J\u202e&lt;"
)


class Elements(html.parser.HTMLParser):
    """Collects the names of elements, their attributes, the text and what is left open."""

    def __init__(self, text: str) -> None:
        """Read a page."""
        super().__init__()
        self.names: set[str] = set()
        self.attributes: set[str] = set()
        self.words = ""
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.names.add(tag)
        self.attributes.update(name for name, _ in attrs)
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element without content."""
        self.names.add(tag)
        self.attributes.update(name for name, _ in attrs)

    def handle_endtag(self, tag: str) -> None:
        """Check that the innermost element ends."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Note text."""
        self.words += data


def test_every_item_is_there() -> None:
    """State, finding, evidence, whole hash, command and machine of every item are on the page."""
    found = Elements(page(replace(CHECKLIST, notes=("one note",)), MEASURED))

    assert "one note" in found.words
    for item in CHECKLIST.items:
        wanted = [item.title, item.state.value, item.found, *item.would_fill, *item.details]
        wanted += [word for one in item.to_do for word in (one.command, one.where)]
        wanted += [word for one in item.evidence for word in (one.path, one.sha256)]
        assert [word for word in wanted if word not in found.words] == []
    for one in CHECKLIST.refused:
        assert one.file.path in found.words
        assert one.why in found.words
    assert CHECKLIST.verdict in found.words
    assert found.open == []


def test_page_is_whole_by_itself() -> None:
    """Nothing is loaded from anywhere, nothing runs, and the page's own policy forbids both."""
    text = page(CHECKLIST, MEASURED)
    found = Elements(text)

    assert "default-src 'none'" in text
    assert not {"script", "img", "link", "iframe", "object"} & found.names
    assert not {"src", "href", "action", "xlink:href"} & found.attributes
    assert "url(" not in text
    assert "http" not in text.replace("http-equiv", "")


def test_words_of_files_are_text() -> None:
    """No element, attribute or control character of a name in the evidence is in the page."""
    file = EvidenceFile(f"evidence/{HOSTILE}.json", HOSTILE, HOSTILE, HOSTILE, HOSTILE)
    item = Item(
        "parity", HOSTILE, True, State.FAIL, HOSTILE, (file,), (ToDo(HOSTILE, HOSTILE),),
        (HOSTILE,), (HOSTILE,),
    )  # fmt: skip
    kernel = replace(NEW, name=HOSTILE, version=HOSTILE, device=HOSTILE, architecture="")
    gathered = replace(
        MEASURED,
        parity=tuple(
            replace(one, kernel=kernel, recording=HOSTILE, file=file) for one in MEASURED.parity
        ),
        covered=tuple(
            replace(
                one, kernel=kernel, not_covered=(HOSTILE,), tiers={HOSTILE: 1},
                factors={HOSTILE: (HOSTILE,)},
            )
            for one in MEASURED.covered
        ),
        timed=tuple(
            replace(one, kernel=kernel, baseline=kernel, file=file) for one in MEASURED.timed
        ),
        scored=tuple(
            replace(
                one, verdict=HOSTILE, file=file,
                document=document(HOSTILE),
            )
            for one in MEASURED.scored
        ),
        margins=tuple(replace(one, recording=HOSTILE) for one in MEASURED.margins),
    )  # fmt: skip
    plain = Elements(page(CHECKLIST, MEASURED))

    text = page(
        replace(CHECKLIST, title=HOSTILE, items=(item,), policy_name=HOSTILE, notes=(HOSTILE,)),
        gathered,
    )

    found = Elements(text)
    assert found.names <= plain.names
    assert found.attributes <= plain.attributes
    assert not {"\x1b", "\u202e"} & set(text)
    assert "<script>document.title='owned'</script>" in found.words
    assert found.open == []


def test_same_facts_give_the_same_bytes() -> None:
    """The page depends on the checklist and the facts alone."""
    assert page(CHECKLIST, MEASURED) == page(CHECKLIST, MEASURED)


def test_demonstration_is_marked() -> None:
    """A policy of the stand-in marks title, head and verdict; another policy marks nothing."""
    marked = page(CHECKLIST, MEASURED)
    unmarked = page(replace(CHECKLIST, demonstration=False), MEASURED)

    assert f"<title>{DEMONSTRATION}: not signed off" in marked
    assert '<p class="demonstration">' in marked
    assert Elements(marked).words.count(DEMONSTRATION) == 4
    assert DEMONSTRATION not in Elements(unmarked).words


@pytest.mark.parametrize(
    ("part", "titles"),
    [
        ("parity", ("Weight error over its bound", "Near-ties: rows answered otherwise")),
        ("margins", ("Margins of the recordings",)),
        ("covered", ("Coverage: ",)),
        ("timed", ("Latency on ", "Ratio to ")),
        ("scored", ("Score: bound against margin", "Discordance: ", "Power of the verdict")),
    ],
)
def test_figures_are_drawn_of_what_was_measured(part: str, titles: tuple[str, ...]) -> None:
    """Each kind of evidence brings its figures, and its absence takes them away."""
    facts = MEASURED
    every = [one.title for one in figures(facts)]
    alone = [one.title for one in figures(Gathered(**{part: getattr(facts, part)}))]
    without = [one.title for one in figures(replace(facts, **{part: ()}))]

    assert len(alone) == len(titles)
    assert all(title.startswith(start) for title, start in zip(alone, titles, strict=True))
    assert sorted(alone + without) == sorted(every)


def test_nothing_measured_has_no_figures() -> None:
    """Without evidence the page has no heading and no frame for figures."""
    text = page(CHECKLIST, Gathered())

    assert "What was measured" not in text
    assert "<figure" not in text


def test_every_figure_has_its_text() -> None:
    """A figure has a caption in words and lists its numbers."""
    for one in figures(MEASURED):
        assert one.caption.endswith(".")
        assert one.rows
        assert all(len(row) == len(one.heads) for row in one.rows)


def test_looks_of_a_plan_are_drawn() -> None:
    """A sequential plan shows its looks, and its power is the plan's, not that of one look."""
    (one,) = MEASURED.scored
    planned = replace(one, document={**one.document, **PLAN})

    (*_, looks, power) = figures(Gathered(scored=(planned,)))

    assert "1 look, the last after 100 questions: PRESERVED" in looks.caption
    assert "2 looks at up to 200 questions" in power.caption


@pytest.mark.parametrize("wrong", [None, "1", True, float("nan"), [], -1])
def test_damaged_counts_draw_nothing(wrong: object) -> None:
    """A document whose counts are no numbers has no figure of them; the page is still whole."""
    (one,) = MEASURED.scored
    paired = {"strict-match": {**one.paired, "questions": wrong}}
    damaged = replace(one, document={**one.document, "paired": paired, "steps": [wrong]})

    text = page(CHECKLIST, Gathered(scored=(damaged,)))

    assert "<figure" not in text
    assert Elements(text).open == []


def test_error_above_its_bound_is_drawn_as_failing() -> None:
    """An error beyond the axis is drawn at its end, as failing, with its number."""
    bad = replace(a_parity(0, 3010.5), verdict="FAIL")

    (figure, _) = figures(Gathered(parity=(a_parity(1, 0.5), bad)))

    assert sum('class="wrong"' in mark for mark in figure.marks) == 1
    assert any("3.01e+03 &gt;" in mark for mark in figure.marks)
    assert "1 of 2 are above 1, 0 of these in known failures alone" in figure.caption


def test_known_failure_above_its_bound_is_no_failure() -> None:
    """A recording that passes beyond its bound, by known failures alone, has a mark of its own."""
    known = a_parity(0, 3010.5)

    (figure, _) = figures(Gathered(parity=(known,)))

    assert sum('class="known"' in mark for mark in figure.marks) == 1
    assert "1 of 1 are above 1, 1 of these in known failures alone" in figure.caption


def test_emulated_outputs_are_labelled() -> None:
    """Every drawing and every row of numbers of an emulated kernel has the word."""
    emulated = replace(NEW, name="k" * 90, execution="emulated")
    facts = Gathered(parity=(replace(a_parity(0, 0.5), kernel=emulated),))

    for one in figures(facts):
        assert any("emulated: k" in mark for mark in one.marks)
        assert all(str(row[0]).startswith("emulated: k") for row in one.rows)


def test_thousands_of_recordings_stay_small() -> None:
    """Dots that cover each other are drawn once, and long lists are cut with their number."""
    many = tuple(
        replace(a_parity(0, number / 10_000), recording=f"r{number:05}") for number in range(5000)
    )
    files = tuple(EvidenceFile(f"e/{n}.json", f"{n:064x}", "kernel parity") for n in range(5000))
    items = tuple(replace(one, evidence=files) for one in CHECKLIST.items[:1])

    text = page(replace(CHECKLIST, items=items, read=files), Gathered(parity=many))

    assert len(text) < 600_000
    assert text.count("<circle") <= 340
    assert "4500 more are in signoff.json." in text
    assert "4800 more rows are in the evidence files." in text


def test_hundreds_of_verdicts_are_not_drawn() -> None:
    """Of many verdicts and files of latencies a few are drawn, and the page tells how many."""
    scored = MEASURED.scored * 300
    timed = tuple(
        replace(one, file=replace(one.file, path=f"{n}.json"))
        for n in range(9)
        for one in MEASURED.timed
    )

    text = page(CHECKLIST, Gathered(scored=scored, timed=timed))

    assert text.count("<figure>") == 4 * 3 + 4 * 2
    assert "at most 4 of 300 GSM8K verdicts and of 9 files of latencies" in text


def test_files_refused_for_one_reason_are_one_entry() -> None:
    """Files that share a reason are listed under it once, unusable ones first."""
    file = CHECKLIST.refused[0].file
    many = tuple(
        Refused(replace(file, path=f"{n}.json"), "too old", unusable=False) for n in range(9)
    )
    refused = (*many, Refused(file, "was edited", unusable=True))

    words = Elements(page(replace(CHECKLIST, refused=refused), Gathered())).words

    assert words.count("too old") == 1
    assert words.index("unusable: was edited") < words.index("not used: too old")
    assert all(f"{n}.json" in words for n in range(9))


def test_without_scipy_only_the_power_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """An installation of the judge alone draws every figure but the power."""
    every = [one.title for one in figures(MEASURED)]
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "scipy" else 1)

    alone = [one.title for one in figures(MEASURED)]

    assert [title for title in every if title not in alone] == [every[-1]]
    assert every[-1].startswith("Power")


def test_outputs_that_were_judged_again_count_once() -> None:
    """A verdict of the evidence and the one on the same outputs at hand are drawn as one."""
    stated = a_parity(0, 0.5)

    facts = Gathered(parity=(stated, replace(stated, judged_again=True), a_parity(1, 0.5)))

    (errors, ties) = figures(facts)
    assert len(errors.rows) == 2
    assert ties.caption.startswith(f"Of {2 * stated.rows} judged rows")


def test_power_of_few_changes_is_a_dot() -> None:
    """Where one answer of 1319 changed, no true loss is possible but none: a dot, not a line."""
    (one,) = MEASURED.scored
    counts = {**one.paired, "questions": 1319, "losses": 0, "gains": 1}
    facts = replace(one, document={**one.document, "paired": {"strict-match": counts}})

    (*_, power) = figures(Gathered(scored=(facts,)))

    assert sum(mark.startswith('<circle class="s0"') for mark in power.marks) == 1
