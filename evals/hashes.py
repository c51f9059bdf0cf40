"""The hashes of prompts, texts and documents, as lm-eval computes them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import lm_eval.utils

if TYPE_CHECKING:
    from collections.abc import Mapping


def prompt_sha256(prompt: Any) -> str:  # noqa: ANN401 - a string, or lm-eval's JsonChatStr
    """Hash a prompt as lm-eval's `prompt_hash` does."""
    return str(lm_eval.utils.hash_string(prompt))


def text_sha256(text: str) -> str:
    """Hash a text as lm-eval's `target_hash` does."""
    return str(lm_eval.utils.hash_string(text))


def doc_sha256(doc: Mapping[str, Any]) -> str:
    """Hash a document as lm-eval's `doc_hash` does."""
    dumped = json.dumps(
        doc, indent=2, default=lm_eval.utils.handle_non_serializable, ensure_ascii=False
    )
    return str(lm_eval.utils.hash_string(dumped))
