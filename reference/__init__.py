"""What a routing kernel must compute: the golden router, and how far rounding may move it."""

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
from goldgate.reference.spec import MINIMAX_M2_5, RoutingSpec

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
