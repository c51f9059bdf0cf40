"""The child process: call an engine's router with kernels that raise, print what was reached.

`python -m goldgate.kernels.dispatch.child ROOT` reads a scenario as JSON and prints the finding, or
{"error": ...}, as its last line.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from goldgate.kernels.dispatch.engines import ENGINES
from goldgate.kernels.dispatch.scenario import Found, Scenario
from goldgate.kernels.dispatch.standins import TAKEN_AS_OFF, KernelStandIn, ReachedError
from goldgate.kernels.dispatch.trace import recorded, shown, steps
from goldgate.kernels.kernel import one_line


def reach(root: Path, scenario: Scenario) -> Found:
    """Call the router in this process, whose imports and torch are changed for good.

    Raises:
        RuntimeError: the call ended without reaching a kernel.

    """
    make, call, prefix = ENGINES[scenario.engine]
    compiled = _prepare_torch(scenario.platform)
    sys.meta_path.insert(0, make(root, scenario))
    sys.modules.update(dict.fromkeys(scenario.absent))  # type: ignore[arg-type]  # None: not there
    flags = recorded(prefix)
    try:
        call(root, scenario)
    except ReachedError as reached:
        path = steps(reached.__traceback__, root / scenario.engine)
        given = {name: shown(value) for name, value in reached.arguments.items()}
        on_path = tuple(dict.fromkeys(s.function for s in path if s.function in compiled))
        read = dict(sorted(flags.read.items()))
        return Found(reached.kernel, given, path, read, on_path, tuple(sorted(TAKEN_AS_OFF)))
    raise RuntimeError("the call returned without reaching a kernel")


def _prepare_torch(platform: str) -> set[str]:
    """Let torch's top-k and engines' operators raise; return the names that are compiled."""
    import torch  # noqa: PLC0415 - before its place in sys.meta_path is taken

    compiled = set[str]()

    def keep(function: Callable[..., Any] | None = None, **_: object) -> Any:  # noqa: ANN401 - a decorator
        if function is None:
            return keep
        compiled.add(function.__name__)
        return function

    def topk(*arguments: object, **named: object) -> None:
        given = {str(i): value for i, value in enumerate(arguments)} | named
        raise ReachedError("torch:topk", given)

    if platform == "hip":
        torch.version.hip = "simulated"
    torch.compile = keep  # type: ignore[assignment]
    torch.topk = torch.Tensor.topk = topk  # type: ignore[assignment,method-assign]
    for name in ("sgl_kernel", "vllm", "_moe_C"):
        setattr(torch.ops, name, KernelStandIn(f"torch.ops.{name}"))
    return compiled


def main() -> int:
    """Read the scenario, print the finding; 0 also where there is none, with the reason."""
    warnings.simplefilter("ignore")
    asked = json.load(sys.stdin)
    scenario = Scenario(**{**asked, "absent": tuple(asked["absent"])})
    try:
        document = asdict(reach(Path(sys.argv[1]), scenario))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - an engine's code raises anything
        document = {"error": one_line(error)}
    print(json.dumps(document))
    return 0


if __name__ == "__main__":
    sys.exit(main())
