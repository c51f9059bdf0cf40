"""What a routing kernel must compute: the golden router, and how far rounding may move it.

The names below are imported when they are first used: a recorder in a serving engine's Python
needs `RoutingSpec` and has no python-flint.
"""

from typing import TYPE_CHECKING

from goldgate.lazy import lazy_exports
from goldgate.reference.spec import MINIMAX_M2_5, RoutingSpec

if TYPE_CHECKING:
    from goldgate.reference.arithmetic import PROFILES, Profile
    from goldgate.reference.bounds import (
        U,
        group_error,
        scale_rounding,
        score_error,
        selection_error,
        selection_error_ceiling,
        weight_error,
    )
    from goldgate.reference.router import Routing, route
else:
    _BOUNDS = (
        "U",
        "group_error",
        "scale_rounding",
        "score_error",
        "selection_error",
        "selection_error_ceiling",
        "weight_error",
    )
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            "PROFILES": "goldgate.reference.arithmetic",
            "Profile": "goldgate.reference.arithmetic",
            "Routing": "goldgate.reference.router",
            "route": "goldgate.reference.router",
            **dict.fromkeys(_BOUNDS, "goldgate.reference.bounds"),
        },
    )

__all__ = [
    "MINIMAX_M2_5",
    "PROFILES",
    "Profile",
    "Routing",
    "RoutingSpec",
    "U",
    "group_error",
    "route",
    "scale_rounding",
    "score_error",
    "selection_error",
    "selection_error_ceiling",
    "weight_error",
]
