"""Exact order of the experts and of the groups of one row: ties from bits, near-ties from Arb.

What is compared is a sum of biased scores, sum a_i s(x_i) + q, with integer a_i, float logits x_i
and a rational q made of the biases. Two theorems decide from the bits when such a sum is zero; when
it is not, Arb encloses it ever more tightly until the sign shows, which therefore ends.

sigmoid. With sigmoid(-x) = 1 - sigmoid(x) and sigmoid(0) = 1/2 every sum is brought to
q + sum a_i t(x_i) over distinct x_i > 0, t(x) = exp(-x) / (1 + exp(-x)). It is zero only if q and
all a_i are: multiply by every 1 + exp(-x_i); by Lindemann-Weierstrass the coefficients of distinct
exponents vanish. The least exponent 0 comes from the empty product alone and has coefficient q; so
q = 0; the next is the smallest x_i, which no other product reaches, with coefficient q + a_i; so
a_i = 0; and so on upwards. For two experts: they tie exactly if and only if logits and biases are
equal, infinite logits and 0 apart, whose scores 0, 1/2 and 1 are rational.

softmax. The sum times the row's normaliser is sum over distinct logits v of (a_v + q m_v) exp(v),
m_v the number of experts with that logit; by the same theorem it is zero only if every
coefficient is.

sqrtsoftplus. No such theorem is known. Equal logits cancel; Arb decides the rest, and where 2**16
bits do not suffice an ArithmeticError is raised rather than an order assumed.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections import Counter
from collections.abc import Callable, Sequence
from fractions import Fraction

import flint
import numpy as np

from goldgate.reference.scoring import TINY64, U64, float64_error, scores

#: Arb's precision doubles from the first to the last, in bits. The last is far beyond need: float32
#: logits and biases that differ at all separate at the latest around 300 bits.
_FIRST_BITS, _LAST_BITS = 64, 2**16


class ExactRow:
    """One row's experts, comparable exactly.

    Args:
        logits: E floats; not NaN for the experts that are compared.
        bias: E finite floats.
        scoring: "sigmoid", "softmax" or "sqrtsoftplus".

    """

    def __init__(self, logits: Sequence[float], bias: Sequence[float], scoring: str) -> None:
        self._x = [float(x) + 0.0 for x in logits]  # + 0.0 makes -0.0 the same key as 0.0
        self._b = [float(b) for b in bias]
        self._scoring = scoring
        # Most gaps are far beyond what float64 errs by; only the others need more.
        x = np.array([self._x])
        s = scores(x, scoring)
        c = s + np.array(self._b)
        error = float64_error(x, s, scoring) + U64 * np.abs(c) + TINY64
        self._c, self._e = c[0].tolist(), error[0].tolist()

    def compare(self, i: int, j: int) -> int:
        """Return the sign of c_i - c_j: -1, 0 or 1.

        Raises:
            ArithmeticError: sqrtsoftplus only: 2**16 bits do not decide.

        """
        if abs(self._c[i] - self._c[j]) > self._e[i] + self._e[j]:
            return 1 if self._c[i] > self._c[j] else -1
        if self._b[i] == self._b[j]:  # each scoring is strictly increasing in the logit
            return (self._x[i] > self._x[j]) - (self._x[i] < self._x[j])
        return self.compare_sums([i], [j])

    def compare_sums(self, left: Sequence[int], right: Sequence[int]) -> int:
        """Return the sign of sum(c over left) - sum(c over right): -1, 0 or 1.

        Raises:
            ArithmeticError: sqrtsoftplus only: 2**16 bits do not decide.

        """
        gap, slack = self._gap(left, right)
        if abs(gap) > slack:
            return 1 if gap > 0 else -1
        terms = Counter(self._x[i] for i in left)
        terms.subtract(Counter(self._x[j] for j in right))
        offset = sum((Fraction(self._b[i]) for i in left), Fraction(0))
        offset -= sum((Fraction(self._b[j]) for j in right), Fraction(0))
        if self._scoring == "softmax":
            return _softmax_sign(terms, offset, [x for x in self._x if not math.isnan(x)])
        if self._scoring == "sigmoid":
            return _sigmoid_sign(terms, offset)
        return _sqrtsoftplus_sign(terms, offset)

    def _gap(self, left: Sequence[int], right: Sequence[int]) -> tuple[float, float]:
        """Return sum(c over left) - sum(c over right) in float64, and a bound on its error.

        Each addition errs by u64 of its result, itself at most the sum of all sizes. NaN where a
        score is infinite, so that the gap settles nothing.
        """
        added, subtracted = [self._c[i] for i in left], [self._c[j] for j in right]
        sizes = sum(map(abs, added)) + sum(map(abs, subtracted))
        rounding = (len(added) + len(subtracted)) * U64 * sizes
        error = sum(self._e[i] for i in left) + sum(self._e[j] for j in right)
        return sum(added) - sum(subtracted), 1.001 * (error + rounding)

    def ranks(self, experts: Sequence[int]) -> list[int]:
        """Return the dense rank of each expert by c: 0 is the largest, ties share a rank."""
        return dense_ranks(experts, self.compare)


def dense_ranks(items: Sequence[int], compare: Callable[[int, int], int]) -> list[int]:
    """Return each item's dense rank under an exact comparison: 0 is the largest, ties share."""

    def descending(a: int, b: int) -> int:
        return compare(items[b], items[a])

    order = sorted(range(len(items)), key=functools.cmp_to_key(descending))
    ranks = [0] * len(items)
    for before, after in itertools.pairwise(order):
        ranks[after] = ranks[before] + (compare(items[before], items[after]) != 0)
    return ranks


def _sigmoid_sign(terms: Counter[float], offset: Fraction) -> int:
    canonical: Counter[float] = Counter()
    for x, a in terms.items():
        if x == 0.0:
            offset += Fraction(a, 2)
        elif x > 0.0:  # s(x) = 1 - t(x)
            offset += a
            canonical[x] -= a
        else:  # s(x) = t(-x)
            canonical[-x] += a
    canonical.pop(math.inf, None)  # t(inf) = 0
    canonical = Counter({x: a for x, a in canonical.items() if a})
    if not canonical:
        return _sign_of(offset)
    # With no offset the terms are scaled by exp(least x): a logit of 1e38 stays comparable.
    shift = min(canonical) if not offset else 0.0

    def enclose() -> flint.arb:
        total = _rational(offset)
        for x, a in canonical.items():
            total += a * (flint.arb(shift) - x).exp() / (1 + flint.arb(-x).exp())
        return total

    return _enclosed_sign(enclose)


def _softmax_sign(terms: Counter[float], offset: Fraction, row: Sequence[float]) -> int:
    coefficients = {x: terms[x] + offset * m for x, m in Counter(row).items() if x != -math.inf}
    largest = max(coefficients)

    def enclose() -> flint.arb:
        total = flint.arb(0)
        for x, a in coefficients.items():
            total += _rational(a) * (flint.arb(x) - largest).exp()
        return total

    return _enclosed_sign(enclose) if any(coefficients.values()) else 0


def _sqrtsoftplus_sign(terms: Counter[float], offset: Fraction) -> int:
    kept = {x: a for x, a in terms.items() if a and x != -math.inf}
    if not kept:
        return _sign_of(offset)

    def enclose() -> flint.arb:
        total = _rational(offset)
        for x, a in kept.items():
            # softplus(x) = max(x, 0) + log1p(exp(-|x|)) keeps its relative precision.
            total += a * (max(x, 0.0) + flint.arb(-abs(x)).exp().log1p()).sqrt()
        return total

    return _enclosed_sign(enclose)


def _enclosed_sign(enclose: Callable[[], flint.arb]) -> int:
    bits = _FIRST_BITS
    while bits <= _LAST_BITS:
        with flint.ctx.workprec(bits):
            value = enclose()
            if value > 0:
                return 1
            if value < 0:
                return -1
        bits *= 2
    raise ArithmeticError(f"{_LAST_BITS} bits do not decide the order of two scores")


def _rational(value: Fraction | int) -> flint.arb:
    value = Fraction(value)
    return flint.arb(flint.fmpq(value.numerator, value.denominator))


def _sign_of(value: Fraction) -> int:
    return (value > 0) - (value < 0)
