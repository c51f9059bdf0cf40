"""A swap of two servers: its plan, what is checked first, who is asked in which order."""
