"""Faults in the served stand-in: what GSM8K's verdict sees of them."""
