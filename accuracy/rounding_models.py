"""What a rounding model adds to the weights' mean error: the profile that emulated outputs have.

The models "below" and "above" of `goldgate emulate` move each result of v_exp_f32 and v_rcp_f32 by
one ulp in one direction, so that the mean of the weights' error is not about 0. An ulp of a float32
number is between u and 2 u of it, u = 2**-24: a result r of "below" has

    r = nearest (1 - d),   u <= d <= 2 u.

A kernel that renormalises as (score x scale) x rcp(sum) has the reciprocal's d in every weight of a
row, so in the sum of the row, of which nothing else of the model is left: whatever moves the
scores moves their sum alike, and the quotient cancels it. The mean is -2 u to -u; "above" has its
negative. Without renormalisation a weight is its score, rcp(1 + exp2(-x log2(e))): the reciprocal's
-2 u to -u, and the exponential's, which moves the score of s the other way by (1 - s) d, 0 to 2 u:
together -2 u to u.

Nothing is added where both directions occur ("nearest", "random"), nor where a kernel divides: the
compiler refines the reciprocal to the correctly rounded quotient.
"""

from __future__ import annotations

from dataclasses import replace

from goldgate.fixtures import KernelInfo
from goldgate.reference import PROFILES, Profile, RoutingSpec

#: The arithmetics of kernels whose weights come from an approximate reciprocal
#: (`goldgate.kernels.aiter_emulated.variants`).
RECIPROCALS = ("rcp_exp2", "conservative")

NONE = (0.0, 0.0)


def profile_for(name: str, kernel: KernelInfo, spec: RoutingSpec) -> Profile:
    """Return a profile, its mean moved by the rounding model that outputs state.

    Args:
        name: of the profile that they are judged by.
        kernel: what their metadata states.
        spec: the router.

    Raises:
        KeyError: there is no such profile.

    """
    return replace(PROFILES[name], shift=shift_of(kernel, spec))


def shift_of(kernel: KernelInfo, spec: RoutingSpec) -> tuple[float, float]:
    """Return the least and the most that the rounding model adds to the mean error, in u.

    Only emulated outputs have a rounding model: whatever others state, it is nothing.
    """
    if kernel.execution != "emulated" or kernel.arithmetic not in RECIPROCALS:
        return NONE
    if spec.scoring != "sigmoid":
        return NONE
    least, most = (-2.0, -1.0) if spec.renormalize else (-2.0, 1.0)
    return {"below": (least, most), "above": (-most, -least)}.get(kernel.rounding, NONE)
