"""The digest that a drawn PNG carries of what it shows, so that a test can hold it to the data."""

from __future__ import annotations

from pathlib import Path


def digest_in(path: Path, key: str = "Description") -> str:
    """Return the SHA-256, in hexadecimal, of a PNG's text `key`; "" if there is none or no file."""
    data = path.read_bytes() if path.exists() else b""
    return data.partition(f"tEXt{key}\0".encode())[2][:64].decode("ascii", "replace")
