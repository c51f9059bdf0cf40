"""Recorded tensors as torch's, bit for bit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from goldgate.fixtures.tensorfile import Tensor

if TYPE_CHECKING:
    import torch


def to_torch(held: Tensor, start: int, stop: int, device: str) -> torch.Tensor:
    """Copy rows start to stop of a recording's tensor to a device, in the recorded type."""
    import torch  # noqa: PLC0415 - imported only where a kernel runs

    kinds = {"F32": torch.float32, "BF16": torch.bfloat16, "F16": torch.float16}
    values = np.array(held.rows(start, stop))  # a copy: a kernel must not write the recording
    return torch.from_numpy(values).to(dtype=kinds[held.dtype], device=device)


def bits(values: torch.Tensor) -> torch.Tensor:
    """View floats as integers, so that NaN equals itself."""
    import torch  # noqa: PLC0415 - imported only where a kernel runs

    kinds = {4: torch.int32, 2: torch.int16}
    return values if not values.is_floating_point() else values.view(kinds[values.element_size()])
