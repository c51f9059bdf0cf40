"""The journal: whole lines, settings that are its own, one writer."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pytest

from goldgate.evals.asking.journal import Journal
from goldgate.evals.asking.journal_lines import Answer, Failure, Sighting, read_journal
from goldgate.evals.errors import EvalError

if TYPE_CHECKING:
    from pathlib import Path

SETTINGS = {"model": "m", "task": "gsm8k", "generation": {"max_tokens": 256}}


def answer(doc_id: int, text: str | None = "#### 1\n\u2028") -> Answer:
    """One answer."""
    return Answer(
        repeat=0,
        doc_id=doc_id,
        prompt_sha256="0" * 64,
        text=text,
        text_missing=False,
        finish_reason="stop",
        stop_reason=None,
        usage={"completion_tokens": 3},
        model="m",
        latency_s=0.5,
        ended=1000.0 + doc_id,
        errors=("HTTP 500",),
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Hold a journal of three answers and a failure."""
    file = tmp_path / "journal.jsonl"
    with Journal(file, SETTINGS, resume=False) as journal:
        for doc_id in range(3):
            journal.answered(answer(doc_id))
        journal.failed(Failure(0, 3, 2000.0, ("timeout",)))
    return file


def test_what_was_written_is_read_back(path: Path) -> None:
    """Answers, failures and settings come back as they were."""
    found = read_journal(path)

    assert found.settings == SETTINGS
    assert list(found.answers.values()) == [answer(doc_id) for doc_id in range(3)]
    assert found.failures == (Failure(0, 3, 2000.0, ("timeout",)),)
    assert found.answers[0, 0].attempts == 2


def test_every_cut_of_the_last_line_is_recognised(path: Path) -> None:
    """Wherever a kill cuts the file, whole lines count, the rest is cut off and asked again."""
    data = path.read_bytes()
    ends = [index + 1 for index, byte in enumerate(data) if byte == ord("\n")]

    # Every cut within 20 bytes of a line's end, every seventh elsewhere.
    for size in range(len(data)):
        if size % 7 and min(abs(size - end) for end in [0, *ends]) > 20:
            continue
        path.write_bytes(data[:size])
        with Journal(path, SETTINGS, resume=True) as journal:
            kept = len(journal.answers)
        whole = sum(end <= size for end in ends)

        assert kept == max(min(whole - 1, 3), 0)
        assert path.read_bytes() == (data[: ends[whole - 1]] if whole else data[: ends[0]])


def test_answers_that_no_look_followed_are_counted(tmp_path: Path) -> None:
    """Answers after a session's start are unseen until the server is looked at again."""
    start = Sighting("start", {"version": "1"})

    with Journal(tmp_path / "j", SETTINGS, resume=False) as journal:
        journal.answered(answer(0))  # as in a journal of schema 1
        assert journal.unseen == 0
        journal.saw(start)
        journal.answered(answer(1))
        journal.answered(answer(2))
        assert journal.unseen == read_journal(journal.path).unseen == 2
        journal.saw(Sighting("end", {}))
        assert journal.unseen == read_journal(journal.path).unseen == 0

    assert read_journal(tmp_path / "j").sightings == (start, Sighting("end", {}))


def test_resumed_journal_goes_on_where_it_stopped(path: Path) -> None:
    """Appending after a cut line leaves a journal that reads whole."""
    path.write_bytes(path.read_bytes()[:-5])

    with Journal(path, SETTINGS, resume=True) as journal:
        journal.answered(answer(3))
    found = read_journal(path)

    assert sorted(found.answers) == [(0, 0), (0, 1), (0, 2), (0, 3)]
    assert found.cut_bytes == 0


def test_journal_is_on_disk_when_answered_returns(tmp_path: Path) -> None:
    """Another reader sees the line before the journal is closed."""
    with Journal(tmp_path / "j", SETTINGS, resume=False) as journal:
        journal.answered(answer(7))

        assert list(read_journal(tmp_path / "j").answers) == [(0, 7)]


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"model": "other"}, 'model: "m", not "other"'),
        ({"generation": {"max_tokens": 512}}, "generation.max_tokens: 256, not 512"),
        ({"server": {"x": "1"}}, 'server.x: "nothing", not "1"'),
    ],
)
def test_journal_of_another_run_is_refused_by_name(
    path: Path, changed: dict[str, object], named: str
) -> None:
    """The setting that differs is named, and the file stays as it was."""
    before = path.read_bytes()

    with pytest.raises(EvalError, match="written for another run") as refusal:
        Journal(path, {**SETTINGS, **changed}, resume=True)

    assert named in str(refusal.value)
    assert path.read_bytes() == before


def test_existing_journal_is_not_overwritten(path: Path) -> None:
    """Without --resume a journal that is there is refused."""
    with pytest.raises(EvalError, match="--resume"):
        Journal(path, SETTINGS, resume=False)


def test_second_writer_is_refused(path: Path) -> None:
    """Two processes cannot write one journal."""
    with (
        Journal(path, SETTINGS, resume=True),
        pytest.raises(EvalError, match="another process is writing it"),
    ):
        Journal(path, SETTINGS, resume=True)


@pytest.mark.parametrize(
    "line",
    [
        b"nonsense",
        b"[]",
        b'{"kind": "answer"}',
        b'{"kind": "failure", "x": 1}',
        b'{"kind": "server", "at": "end"}',
        b"\xff",
    ],
)
def test_damage_before_the_last_line_is_refused(path: Path, line: bytes) -> None:
    """A whole line that is no record is damage, not the trace of a kill."""
    path.write_bytes(path.read_bytes() + line + b"\n")

    with pytest.raises(EvalError, match="line 6 is not a journal's line"):
        read_journal(path)


def test_full_disk_leaves_no_half_line(path: Path) -> None:
    """Where only a part of a line could be written it is taken back, so that others can follow."""
    before = path.read_bytes()

    class FullDisk(io.FileIO):
        def write(self, line: Any) -> int:  # noqa: ANN401 - any buffer
            return super().write(line[: len(line) // 2])

    with Journal(path, SETTINGS, resume=True) as journal:
        whole, journal._file = journal._file, FullDisk(path, "ab")
        with journal._file, pytest.raises(EvalError, match="disk full"):
            journal.answered(answer(3))
        journal._file = whole

        assert path.read_bytes() == before


def test_question_answered_twice_is_refused(path: Path) -> None:
    """A journal that was joined from two is refused."""
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines, lines[1]]))

    with pytest.raises(EvalError, match="answers question 0 again"):
        read_journal(path)


def test_other_schema_is_refused(path: Path) -> None:
    """A journal of another version says so."""
    first, *rest = path.read_text().split("\n")
    path.write_text("\n".join([json.dumps({**json.loads(first), "schema": 9}), *rest]))

    with pytest.raises(EvalError, match="schema 9"):
        read_journal(path)
