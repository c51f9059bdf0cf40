"""A kernel under graph replay, as servers run it: captured once, fed other inputs afterwards.

Servers capture a decoding step in a CUDA or HIP graph. A kernel that bakes its first inputs, or
anything it computed from them on the host, into the graph answers every later step from those.
"""

from __future__ import annotations

from goldgate.accuracy.tensors import bits, to_torch
from goldgate.fixtures import Recording
from goldgate.kernels import FOREIGN, KernelError, Loaded, one_line

#: Rows of the captured call: what servers capture are decoding steps, of at most some hundred.
_ROWS = 256


def replayed(kernel: Loaded, recording: Recording) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what replays answered otherwise than plain calls, and why nothing could be captured.

    Capture is on mirrored logits and bias; the recorded ones are copied in before the replay, which
    must answer as a plain call does, bit for bit. Both are empty where the device has no graphs.

    Raises:
        KernelError: the replay, or a plain call after the capture, failed.

    """
    if not kernel.device.startswith("cuda"):
        return (), ()
    import torch  # noqa: PLC0415 - imported only where a kernel runs

    adapter = kernel.adapter
    if adapter.returns or adapter.shared:
        return (), ("not tried under graph replay: it does not write topk_weights and topk_ids",)
    spec, rows = recording.spec, min(_ROWS, recording.rows)
    id_type = torch.int64 if adapter.ids == "int64" else torch.int32
    logits = to_torch(recording.gating_output, 0, rows, kernel.device)
    bias = to_torch(recording.correction_bias, 0, spec.num_experts, kernel.device)
    held = logits.flip((0, 1)).contiguous(), bias.flip(0).contiguous()
    weights = torch.empty(
        (rows, spec.top_k), dtype=getattr(torch, adapter.weights), device=kernel.device
    )
    ids = torch.empty((rows, spec.top_k), dtype=id_type, device=kernel.device)

    def call() -> None:
        adapter.call(kernel.route, (*held, weights, ids), spec)

    def poison() -> None:
        weights.fill_(float("nan"))
        ids.fill_(-0x5EED)

    try:
        aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]  # torch's own
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):  # what is compiled or allocated once is not captured
            call()
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            call()
    except FOREIGN as error:
        return (), (f"not tried under graph replay: it cannot be captured ({one_line(error)})",)
    for mine, recorded in zip(held, (logits, bias), strict=True):
        mine.copy_(recorded)
    poison()
    try:
        call()
        plain = bits(weights).clone(), ids.clone()
        poison()
        graph.replay()
        torch.cuda.synchronize()
    except FOREIGN as error:
        why = one_line(error)
        raise KernelError(f"{kernel.name} on {recording.name}, graph replay: {why}") from None
    other = (bits(weights) != plain[0]) | (ids != plain[1])
    found = int(other.any(dim=1).sum())
    if not found:
        return (), ()
    return (f"answers otherwise in {found} of {rows} rows under graph replay",), ()
