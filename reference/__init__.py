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
        group_error,
        row_sum_error,
        scale_rounding,
        score_error,
        selection_error,
        selection_error_ceiling,
        weight_error,
    )
    from goldgate.reference.formats import FLOAT32, FORMATS, WeightFormat
    from goldgate.reference.formulas import U
    from goldgate.reference.models import MODELS, Model, find_model
    from goldgate.reference.router import Routing, route
else:
    _BOUNDS = (
        "group_error",
        "row_sum_error",
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
            "FLOAT32": "goldgate.reference.formats",
            "FORMATS": "goldgate.reference.formats",
            "WeightFormat": "goldgate.reference.formats",
            "U": "goldgate.reference.formulas",
            "MODELS": "goldgate.reference.models",
            "Model": "goldgate.reference.models",
            "find_model": "goldgate.reference.models",
            "Routing": "goldgate.reference.router",
            "route": "goldgate.reference.router",
            **dict.fromkeys(_BOUNDS, "goldgate.reference.bounds"),
        },
    )

__all__ = [
    "FLOAT32",
    "FORMATS",
    "MINIMAX_M2_5",
    "MODELS",
    "PROFILES",
    "Model",
    "Profile",
    "Routing",
    "RoutingSpec",
    "U",
    "WeightFormat",
    "find_model",
    "group_error",
    "route",
    "row_sum_error",
    "scale_rounding",
    "score_error",
    "selection_error",
    "selection_error_ceiling",
    "weight_error",
]
