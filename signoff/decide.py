"""The decision: a pure function of the policy, the gathered facts, the clock and the judge."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone

from goldgate.provenance import goldgate_itself
from goldgate.signoff.checklist import Checklist, Fact
from goldgate.signoff.gathered import Gathered
from goldgate.signoff.items import DECIDED_BY
from goldgate.signoff.rules import ITEMS, Policy, named
from goldgate.signoff.sift import sifted
from goldgate.signoff.standin import is_demonstration
from goldgate.signoff.tiers import recordings_of
from goldgate.signoff.view import View


def decide(
    policy: Policy,
    gathered: Gathered,
    now: datetime,
    *,
    judge: str,
    named: Mapping[str, tuple[str, ...]] | None = None,
) -> tuple[Checklist, Gathered]:
    """Decide every item.

    Args:
        policy: what is demanded.
        gathered: everything that was read.
        now: against which evidence is old, with an offset.
        judge: the hash of this goldgate's judge.
        named: the constructed recordings of each tier; None: those of the policy's router.

    Returns:
        the checklist, and the facts that were left under the policy.

    """
    facts = sifted(gathered, policy, now)
    view = View(
        policy, facts, judge, recordings_of(policy.model.router) if named is None else named
    )
    checklist = Checklist(
        title=policy.title,
        policy_name=policy.name,
        policy_sha256=policy.sha256,
        policy=policy_facts(policy),
        demonstration=is_demonstration(policy, facts.recordings),
        items=tuple(DECIDED_BY[name](view) for name in ITEMS),
        refused=facts.refused,
        read=facts.files,
        made=now.astimezone(timezone.utc).isoformat(timespec="seconds"),
        goldgate=tuple(
            Fact(name, str(value)) for name, value in goldgate_itself().items() if value
        ),
        notes=facts.notes,
    )
    return checklist, facts


def policy_facts(policy: Policy) -> tuple[Fact, ...]:
    """Return what a policy demands, a line each, as a reader wants it."""
    score, latency, inputs, coverage = (
        policy.gsm8k,
        policy.latency,
        policy.inputs,
        policy.coverage,
    )
    return (
        Fact("kernel", named(policy.kernel)),
        Fact("replaces", named(policy.replaces)),
        Fact("architectures", ", ".join(policy.architectures)),
        Fact("model", f"{policy.model.title}, {policy.model.layers} layers that route"),
        Fact("engine", policy.engine.server),
        Fact("bias and logits", f"{inputs.bias} bias, {inputs.logits} logits"),
        Fact(
            "coverage",
            f"{coverage.rows_per_layer} rows a layer, tiers {', '.join(coverage.tiers)}, "
            f"{len(coverage.token_counts)} token counts",
        ),
        Fact("known failures", f"{len(policy.allowed_failure)} reviewed"),
        Fact(
            "latency",
            f"at most {latency.most:g} times, at {', '.join(map(str, latency.tokens))} tokens",
        ),
        Fact(
            "GSM8K",
            f"{score.questions} questions, margin {score.margin:g} points, alpha {score.alpha:g}, "
            f"plan {score.plan}" + (", with a control" if score.control else ""),
        ),
        Fact("throughput", f"at least {policy.throughput.least:g} times"),
        Fact("evidence", f"at most {policy.evidence.most_days} days old"),
        Fact("advisory items", ", ".join(policy.advisory) or "none"),
    )
