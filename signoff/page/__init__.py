"""The sign-off page: items, refusals, plots and a place to sign, in one HTML file."""
