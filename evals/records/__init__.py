"""Run folders: what a finished run leaves, its schema, how it is read."""
