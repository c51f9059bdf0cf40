"""signoff.md: what a reviewer of a pull request reads, with nothing of a file's name as markup."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from markdown_it import MarkdownIt  # rich brings it
from markdown_it.token import Token

from goldgate.signoff.checklist import EvidenceFile, Item, Refused, State, ToDo
from goldgate.signoff.markdown import markdown
from tests.signoff.samples import CHECKLIST

HOSTILE = (
    "a|b ``` <script>1</script> [c](http://d) ![e](f) `g` *h* _i_ @octocat #12 www.j.k "
    "http://l.m \\| \n# n\n- o \x1b[2J\u202e &lt; ~~p~~"
)
PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def parsed(text: str) -> list[Token]:
    """Return all tokens of Markdown, those inside others too."""
    return [inner for token in PARSER.parse(text) for inner in (token, *(token.children or []))]


def test_every_item_is_a_row() -> None:
    """Each item is a row of the table with its state and finding; commands follow by machine."""
    text = markdown(CHECKLIST)

    rows = [line for line in text.splitlines() if line.startswith("| ")]
    for item in CHECKLIST.items:
        assert any(item.title in row and item.state.value in row and item.found in row
                   for row in rows)  # fmt: skip
        for one in item.to_do:
            assert f"On {one.where}:\n\n```sh\n{one.command}\n```" in text
    assert f"**{CHECKLIST.verdict}**" in text
    assert CHECKLIST.refused[0].why in text
    assert text.endswith(".\n")


def test_command_of_two_items_is_written_once() -> None:
    """Items that wait for the same command on the same machine share one block."""
    to_do = (ToDo("goldgate parity", "a GPU host"),)
    items = tuple(replace(one, to_do=to_do) for one in CHECKLIST.items)

    text = markdown(replace(CHECKLIST, items=items))

    assert text.count("goldgate parity\n") == 1
    assert text.count("On a GPU host:") == 1


@pytest.mark.parametrize(
    "part", ["title", "policy_name", "made", "items", "refused", "read", "notes"]
)
def test_words_of_files_are_text(part: str) -> None:
    """A hostile word adds no element, link, mention, heading, row or column, wherever it is."""
    file = EvidenceFile(HOSTILE, HOSTILE, HOSTILE)
    item = Item("a", HOSTILE, True, State.FAIL, HOSTILE, (file,), (ToDo(HOSTILE, HOSTILE),),
                (HOSTILE,), (HOSTILE,))  # fmt: skip
    none = Refused(EvidenceFile("a", "a", "a"), "a", unusable=True)
    values: dict[str, tuple[Any, Any]] = {
        "items": (
            (item,),
            (replace(item, title="a", found="a", would_fill=("a",), to_do=(ToDo("a", "a"),)),),
        ),
        "refused": ((Refused(file, HOSTILE, unusable=True),), (none,)),
        "read": ((file,), (none.file,)),
        "notes": ((HOSTILE,), ("a",)),
    }

    text, plain = (
        markdown(replace(CHECKLIST, **{part: value})) for value in values.get(part, (HOSTILE, "a"))
    )

    shape, expected = ([one.type for one in parsed(each) if one.block] for each in (text, plain))
    assert shape == expected
    inline = [one for one in parsed(text) if not one.block]
    assert not {"link_open", "image", "em_open", "s_open"} & {one.type for one in inline}
    assert {one.content for one in inline if one.type == "html_inline"} <= {"<!-- -->"}
    words = "".join(one.content if one.type == "text" else " " for one in inline)
    assert not re.search(r"[@#]\w|://\w|www\.\w", words)
    assert not {"\x1b", "\u202e"} & set(text)


def test_thousands_of_files_fit_into_a_comment() -> None:
    """A checklist of thousands of files stays within GitHub's 65,536 characters and counts them."""
    files = tuple(EvidenceFile(f"e/{'x' * 80}{n}.json", f"{n:064x}", "p") for n in range(5000))
    items = tuple(
        replace(one, evidence=files, would_fill=("w" * 300,) * 300, found="f" * 500)
        for one in CHECKLIST.items * 4
    )
    refused = tuple(
        Refused(one, f"{'r' * 200} {number}", unusable=False) for number, one in enumerate(files)
    )

    text = markdown(replace(CHECKLIST, items=items, read=files, refused=refused))

    assert len(text) < 65_536
    assert "and 4998 more" in text
    assert "4960 more in signoff.json" in text


def test_files_refused_for_one_reason_are_one_line() -> None:
    """Files that share a reason share a line, and unusable ones come first."""
    file = EvidenceFile("a.json", "0" * 64, "p")
    many = tuple(
        Refused(replace(file, path=f"{n}.json"), "too old", unusable=False) for n in range(9)
    )

    text = markdown(replace(CHECKLIST, refused=(*many, Refused(file, "z", unusable=True))))

    lines = text.partition("### Evidence not used\n\n")[2].splitlines()[:2]
    assert lines == [
        "- `a.json` (unusable): z",
        "- `0.json`, `1.json` and 7 more: too old",
    ]
