"""Whether a routing kernel is right: the judge of recorded outputs, and the kernels it can run.

The loop that `goldgate judge` and `goldgate parity` run is callable:

    from goldgate import accuracy

    criteria = accuracy.Criteria(profile=None, ordered=False, known_failures=())
    tasks, not_run = accuracy.judge_tasks(recordings, outputs, criteria)
    for judged in accuracy.work(tasks):
        print(judged.kernel, judged.recording, judged.verdict)
"""

from typing import TYPE_CHECKING

from goldgate.lazy import lazy_exports

if TYPE_CHECKING:
    from goldgate.accuracy.evaluate import Result, judge
    from goldgate.accuracy.evidence import Judged
    from goldgate.accuracy.isolation import Runner
    from goldgate.accuracy.live import live_tasks
    from goldgate.accuracy.recorded import judge_tasks
    from goldgate.accuracy.tasks import Criteria, Task, work
    from goldgate.accuracy.testing import assert_parity
else:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            "Criteria": "goldgate.accuracy.tasks",
            "Judged": "goldgate.accuracy.evidence",
            "Result": "goldgate.accuracy.evaluate",
            "Runner": "goldgate.accuracy.isolation",
            "Task": "goldgate.accuracy.tasks",
            "assert_parity": "goldgate.accuracy.testing",
            "judge": "goldgate.accuracy.evaluate",
            "judge_tasks": "goldgate.accuracy.recorded",
            "live_tasks": "goldgate.accuracy.live",
            "work": "goldgate.accuracy.tasks",
        },
    )

__all__ = [
    "Criteria",
    "Judged",
    "Result",
    "Runner",
    "Task",
    "assert_parity",
    "judge",
    "judge_tasks",
    "live_tasks",
    "work",
]
