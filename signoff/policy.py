"""The policy of a release, read strictly from a commented TOML file."""

from __future__ import annotations

import hashlib
import re
import sys
from pathlib import Path

from goldgate.accuracy.narrow import NARROW
from goldgate.fixtures.constructed import TIERS
from goldgate.reference.models import MODELS
from goldgate.signoff.rules import ITEMS, Policy
from goldgate.signoff.strict_table import PolicyError, read_table

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

#: The version of the layout.
SCHEMA = 1

#: The folder of the policies that ship.
POLICIES = Path(__file__).with_name("policies")

#: The policy that is taken where neither --policy nor a file signoff.toml is there.
RELEASE = "aiter-minimax-m2.5"

#: Items without which the others say nothing of what is released: never advisory.
_ALWAYS = ("release", "parity", "judge", "provenance", "agreement")

_PLANS = ("all", "sequential", "any")
_INPUTS = ("rotated", "warm", "both")

#: Variables as a shell has them in front of a command; values without a shell's signs.
_ASSIGNMENTS = re.compile(r"(?:[A-Za-z_]\w*=[\w.,:/+-]*(?: [A-Za-z_]\w*=[\w.,:/+-]*)*)?")


def shipped_policies() -> tuple[str, ...]:
    """Return the names of the policies that ship."""
    return tuple(sorted(path.stem for path in POLICIES.glob("*.toml")))


def find_policy(named: str | None, folder: Path) -> Path:
    """Return the file of a policy.

    Args:
        named: a file, or the name of a policy that ships; None: signoff.toml of the folder where
            there is one, else the release policy that ships.
        folder: where signoff.toml is looked for.

    Raises:
        PolicyError: there is no such file or name.

    """
    if named is None:
        own = folder / "signoff.toml"
        return own if own.is_file() else POLICIES / f"{RELEASE}.toml"
    if named in shipped_policies():
        return POLICIES / f"{named}.toml"
    if not Path(named).is_file():
        raise PolicyError(
            f"--policy {named}: no such file: expected one, or one of "
            f"{', '.join(shipped_policies())}; `goldgate signoff init` writes one"
        )
    return Path(named)


def read_policy(path: Path) -> Policy:
    """Read a policy.

    Raises:
        PolicyError: the file cannot be read, a key is unknown or missing, or a value is not of its
            type or not one of those it may be.

    """
    try:
        raw = path.read_bytes()
        table = tomllib.loads(raw.decode("utf-8"))
    except OSError as error:
        raise PolicyError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise PolicyError(f"{path}: expected TOML ({reason})") from None
    if table.get("schema") != SCHEMA:
        raise PolicyError(f"{path}: schema {table.get('schema')!r}: expected {SCHEMA}")
    for ours in ("path", "sha256"):
        if ours in table:
            raise PolicyError(f"{path}: unknown key {ours!r}")
    sha256 = hashlib.sha256(raw).hexdigest()
    policy = read_table(Policy, {**table, "path": str(path), "sha256": sha256}, str(path))
    _check(policy)
    return policy


def _check(policy: Policy) -> None:
    one_of = (
        ("gsm8k: plan", policy.gsm8k.plan, _PLANS),
        ("gsm8k: data", policy.gsm8k.data, ("GSM8K", "own")),
        ("latency: inputs", policy.latency.inputs, _INPUTS),
        ("inputs: bias", policy.inputs.bias, ("float32", *NARROW)),
        ("kernel: weights", policy.kernel.weights, ("float32", *NARROW)),
        ("replaces: weights", policy.replaces.weights, ("float32", *NARROW)),
        ("inputs: logits", policy.inputs.logits, ("float32", *NARROW)),
        ("model: router", policy.model.router, tuple(MODELS)),
        *(("coverage: tiers", tier, TIERS) for tier in policy.coverage.tiers),
        *(("advisory", name, ITEMS) for name in policy.advisory),
    )
    for key, value, allowed in one_of:
        if value not in allowed:
            raise PolicyError(
                f"{policy.path}: {key}: {value!r}: expected one of {', '.join(allowed)}"
            )
    for name in _ALWAYS:
        if name in policy.advisory:
            raise PolicyError(
                f"{policy.path}: advisory: {name!r}: expected none of {', '.join(_ALWAYS)}: "
                "a release always needs them; take it out"
            )
    demanded: tuple[tuple[str, tuple[object, ...]], ...] = (
        ("latency: tokens", policy.latency.tokens),
        ("coverage: tiers", policy.coverage.tiers),
        ("coverage: token_counts", policy.coverage.token_counts),
    )
    for key, values in demanded:
        if not values:
            raise PolicyError(f"{policy.path}: {key}: []: expected at least one value")
    filled = (
        ("kernel: names", policy.kernel.names),
        ("kernel: versions", policy.kernel.versions),
        ("replaces: names", policy.replaces.names),
        ("architectures", policy.architectures),
        ("model: names", policy.model.names),
    )
    for key, values in filled:
        if not values or not all(values):
            raise PolicyError(f"{policy.path}: {key}: expected at least one text, none empty")
    if not policy.model.layers:
        raise PolicyError(f"{policy.path}: model: layers: 0: expected at least 1")
    if not _ASSIGNMENTS.fullmatch(policy.engine.environment):
        raise PolicyError(
            f"{policy.path}: engine: environment: {policy.engine.environment!r}: expected "
            "NAME=VALUE, several with a space between them"
        )
    if not 0 < policy.gsm8k.margin < 100 or not 0 < policy.gsm8k.alpha < 0.5:
        raise PolicyError(
            f"{policy.path}: gsm8k: expected a margin between 0 and 100 points and an alpha "
            "between 0 and 0.5"
        )
    if policy.gsm8k.plan == "sequential" and policy.gsm8k.control:
        raise PolicyError(
            f"{policy.path}: gsm8k: a sequential plan asks no control: set control = false, or "
            'plan = "all"'
        )
    if policy.coverage.pairs > 1:
        raise PolicyError(f"{policy.path}: coverage: pairs: expected a share, at most 1")
