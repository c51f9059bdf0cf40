"""What a routing kernel must compute: the golden router, and how far rounding may move it."""

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
from goldgate.reference.spec import MINIMAX_M2_5, RoutingSpec

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
