"""The items of the checklist: a function each, from the facts to what is decided."""

from goldgate.signoff.items.agreement import agreement
from goldgate.signoff.items.change import old_new
from goldgate.signoff.items.emulated import emulated
from goldgate.signoff.items.inputs import bias, gate
from goldgate.signoff.items.judge import judge, provenance
from goldgate.signoff.items.parity import parity
from goldgate.signoff.items.release import release
from goldgate.signoff.items.repeats import determinism
from goldgate.signoff.items.scores import gsm8k, throughput
from goldgate.signoff.items.shapes import coverage, hostile
from goldgate.signoff.items.speed import latency

#: Every item by its name, in the order of `goldgate.signoff.rules.ITEMS`.
DECIDED_BY = {
    "release": release,
    "parity": parity,
    "bias": bias,
    "old-new": old_new,
    "gate": gate,
    "coverage": coverage,
    "hostile": hostile,
    "determinism": determinism,
    "emulated": emulated,
    "latency": latency,
    "gsm8k": gsm8k,
    "throughput": throughput,
    "judge": judge,
    "provenance": provenance,
    "agreement": agreement,
}
