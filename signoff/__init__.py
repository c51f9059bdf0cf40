"""Release sign-off: reads the evidence of the other parts and decides a checklist by a policy."""
