"""Policies: those that ship, strict reading, and `init`."""

from __future__ import annotations

from pathlib import Path

import pytest

from goldgate.accuracy.known_failures import SHIPPED, read_known_failures
from goldgate.cli import main
from goldgate.reference.models import MODELS
from goldgate.signoff.policy import POLICIES, find_policy, read_policy, shipped_policies
from goldgate.signoff.rules import matches
from goldgate.signoff.strict_table import PolicyError

RELEASE = (POLICIES / "aiter-minimax-m2.5.toml").read_text(encoding="utf-8")
TOKEN_COUNTS = RELEASE[
    RELEASE.index("token_counts") : RELEASE.index("]", RELEASE.index("token_co")) + 1
]


@pytest.mark.parametrize("name", shipped_policies())
def test_shipped_policy_is_whole(name: str) -> None:
    """Each policy that ships is read, under its own name, and demands every tier and a control."""
    policy = read_policy(POLICIES / f"{name}.toml")

    assert policy.name == name
    assert policy.coverage.tiers == ("ordinary", "pairs", "hostile")
    assert policy.gsm8k.control
    assert policy.gsm8k.questions == 1319
    assert policy.advisory == ("emulated",)
    assert policy.demonstration == name.endswith("standin")


def test_the_demonstration_allows_what_is_known_of_its_kernel_and_no_more() -> None:
    """Each failure that nvidia-standin allows has as many known rows, and each known one is in."""
    policy = read_policy(POLICIES / "nvidia-standin.toml")
    known = [one for one in read_known_failures(SHIPPED) if one.kernel in policy.kernel.names]

    listed = {
        (Path(one.recording).name, one.reason, one.most_rows) for one in policy.allowed_failure
    }

    assert listed == {(one.recording, one.reason, len(one.rows)) for one in known}
    assert {one.recording for one in known} == {"edge", "few_selectable"}


def test_release_policy_is_the_default(tmp_path: Path) -> None:
    """A signoff.toml in the folder comes first, then the release policy that ships."""
    assert find_policy(None, tmp_path) == POLICIES / "aiter-minimax-m2.5.toml"
    (tmp_path / "signoff.toml").write_text(RELEASE)
    assert find_policy(None, tmp_path) == tmp_path / "signoff.toml"
    assert find_policy("nvidia-standin", tmp_path) == POLICIES / "nvidia-standin.toml"
    with pytest.raises(PolicyError, match="--policy other: no such file: expected one, or one of"):
        find_policy("other", tmp_path)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("layers = 62", "layres = 62", "model: unknown key 'layres': did you mean layers?"),
        ("layers = 62", 'layers = "62"', "model: layers: '62': expected a whole number from 0 on"),
        ("layers = 62", "layers = true", "model: layers: True: expected a whole number"),
        ("layers = 62", "layers = -1", "model: layers: -1: expected a whole number from 0 on"),
        ("layers = 62", "layers = 0", "layers: 0: expected at least 1"),
        ("layers = 62", "", "model: no 'layers': expected a whole number from 0 on"),
        ("most = 1.0", "most = nan", "latency: most: nan: expected a number from 0 on"),
        ("control = true", 'control = "yes"', "control: 'yes': expected true or false"),
        ('plan = "all"', 'plan = "some"', "plan: 'some': expected one of all, sequential, any"),
        ("margin = 1.5", "margin = 0", "expected a margin between 0 and 100 points"),
        ('["gfx942", "gfx950"]', "[]", "architectures: expected at least one text"),
        ('["gfx942", "gfx950"]', '"gfx942"', "architectures: 'gfx942': expected a list of texts"),
        ('["gfx942", "gfx950"]', "[1]", "architectures[0]: 1: expected a text"),
        ('advisory = ["emulated"]', 'advisory = ["all"]', "advisory: 'all': expected one of rele"),
        *(
            ('advisory = ["emulated"]', f'advisory = ["{name}"]', f"advisory: '{name}': expected n")
            for name in ("release", "parity", "judge", "provenance", "agreement")
        ),
        ("tiers = ", "tiers = [] # ", "coverage: tiers: []: expected at least one value"),
        ("\ntokens = ", "\ntokens = [] # ", "latency: tokens: []: expected at least one value"),
        (TOKEN_COUNTS, "token_counts = []", "coverage: token_counts: []: expected at least one"),
        ('router = "MiniMax-M2.5"', 'router = "M"', "model: router: 'M': expected one of MiniMax"),
        ('"pairs", "hostile"]', '"odd"]', "coverage: tiers: 'odd': expected one of ordinary"),
        ("schema = 1", "schema = 2", "schema 2: expected 1"),
        ("schema = 1", "schema = 1\nsha256 = 'x'", "unknown key 'sha256'"),
        ("schema = 1", "schema = = 1", "expected TOML ("),
        ("most_rows = 118\n", "", "allowed_failure[0]: no 'most_rows'"),
        ('plan = "all"', 'plan = "sequential"', "a sequential plan asks no control"),
    ],
)  # fmt: skip
def test_wrong_policy_is_one_line(
    before: str, after: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An unknown key, a value of another type or one that is not allowed is one line, exit 2."""
    assert before in RELEASE
    path = tmp_path / "policy.toml"
    path.write_text(RELEASE.replace(before, after, 1))

    status = main(["signoff", "--policy", str(path), "--evidence", str(tmp_path)])

    printed = capsys.readouterr()
    assert (status, printed.out) == (2, "")
    assert printed.err.startswith(f"goldgate signoff: {path}: ")
    assert words in printed.err
    assert printed.err.count("\n") == 1


def test_patterns() -> None:
    """Names match by pattern, and by equality where they hold a pattern's characters."""
    assert matches("org/MiniMax-M2.5", ("*/MiniMax-M2.5",))
    assert matches("a [b]", ("a [b]",))
    assert not matches("MiniMax-M2", ("*/MiniMax-M2.5", "MiniMax-M2.5"))


def test_init_writes_a_policy_that_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The flags' answers are in the policy, it allows no failure, and an old file stays."""
    path = tmp_path / "own.toml"
    flags = (
        *("--kernel", "mine.route", "--command", "mine:route", "--replaces", "old.route"),
        *("--replaces-command", "torch-eager", "--model", "org/DeepSeek", "--layers", "58"),
        *("--first-layer", "3", "--architecture", "sm_90", "gfx942", "--router", "DeepSeek-V3"),
        *("--engine", "vllm", "--write", str(path)),
    )

    assert main(["signoff", "init", *flags]) == 0

    policy = read_policy(path)
    assert policy.kernel.names == ("mine.route",)
    assert policy.kernel.command == "mine:route"
    assert policy.replaces.command == "torch-eager"
    assert policy.model.names == ("org/DeepSeek", "DeepSeek", "*/DeepSeek")
    assert policy.layers == range(3, 61)
    assert policy.architectures == ("sm_90", "gfx942")
    assert policy.engine.server == "vllm *"
    assert (
        policy.inputs.logits
        == {"F32": "float32", "BF16": "bfloat16"}[MODELS["DeepSeek-V3"].gate_dtype]
    )
    assert policy.allowed_failure == ()
    assert main(["signoff", "init", *flags]) == 2
    assert "exists already" in capsys.readouterr().err


def test_init_names_the_flags_that_lack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a terminal to ask in, the flags that are missing are named."""
    monkeypatch.chdir(tmp_path)

    assert main(["signoff", "init", "--kernel", "k", "--command", "c"]) == 2

    assert "give --replaces, --replaces-command, --model" in capsys.readouterr().err
    assert not (tmp_path / "signoff.toml").exists()


def test_init_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a terminal what the flags do not answer is asked, again where the answer is none."""
    monkeypatch.chdir(tmp_path)
    answers = iter(["k", "c", "o", "oc", "org/M", "gfx942 gfx950", "", "many", "4"])
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda _: next(answers))

    assert main(["signoff", "init"]) == 0

    policy = read_policy(tmp_path / "signoff.toml")
    assert (policy.architectures, policy.model.layers) == (("gfx942", "gfx950"), 4)
