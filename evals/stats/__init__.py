"""The statistics: paired verdict, Tango's bound, power, sample size, other criteria."""
