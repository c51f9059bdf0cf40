"""stub"""

HEADING = "# End to end"


def as_text(r):
    return "\n".join(
        f"{a.title}: {a.right} -{a.losses} +{a.gains} {a.verdict} {a.reason} caught={a.caught} {a.tokens} rerouted={a.rerouted}"
        for a in r.arms
    )
