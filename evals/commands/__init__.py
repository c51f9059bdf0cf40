"""The commands that ask servers GSM8K and compare runs: arguments in, files and a status out."""
