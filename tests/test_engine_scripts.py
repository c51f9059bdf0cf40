"""examples/gpu/vllm.sh and sglang-swap.sh, whole, with stand-ins for engines and goldgate's work.

In place of Python stands a program that serves /health as an engine does, and has goldgate's own
parser check the arguments of each command. What the scripts find on a GPU is in docs/.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from goldgate import program

EXAMPLES = Path(__file__).parents[1] / "examples"

#: In place of Python, which is asked for "-m MODULE ARGUMENTS". It notes what it is asked, and a
#: server's end. STATUS has the exit statuses of commands, such as "compare=3".
INTERPRETER = """#!{python}
import importlib, json, os, signal, sys
from http.server import BaseHTTPRequestHandler, HTTPServer

def note(*words):
    switch = os.environ.get("SGLANG_OPT_USE_JIT_KERNEL_FUSED_TOPK")
    with open({log!r}, "a") as log:
        print(json.dumps([*words, *([] if switch is None else [switch])]), file=log)

class Health(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
    def log_message(self, *_):
        pass

def serve(words, name):
    def end(*_):
        note("ended", name)
        os._exit(0)
    if os.environ.get("BROKEN"):
        sys.exit("no such model")
    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    HTTPServer(("127.0.0.1", int(words[words.index("--port") + 1])), Health).serve_forever()

if sys.argv[1] == "-":
    os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
_, module, *words = sys.argv[1:]
note(module, *words)
if module != "goldgate":
    serve(words, module)
from goldgate import cli
held = importlib.import_module(cli.COMMANDS[words[0]][0])
statuses = dict(one.split("=") for one in os.environ.get("STATUS", "").split())
def main(options):
    if words[0] == "record":
        serve(options.server_arguments, str(options.out))
    if words[0] == "gsm8k":
        os.mkdir(options.out)
        with open(os.path.join(options.out, "samples.jsonl"), "w") as samples:
            for number in range(4):
                text = options.out.name if number == 3 else "42"
                print(json.dumps({{"text": text}}), file=samples)
    return int(statuses.get(words[0], 0))
held.main = main
sys.exit(cli.main(words))
"""


def run(command: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a command and return what it printed."""
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=120
    )


class Ran:
    """A script that ran: its status, what it printed and what it asked for, by command."""

    def __init__(self, folder: Path, script: str, **environment: str) -> None:
        python, log, self.out = folder / "python", folder / "log", folder / "out"
        python.write_text(INTERPRETER.format(python=sys.executable, log=str(log)), "utf-8")
        python.chmod(0o755)
        given = {"PYTHON": str(python), "GSM8K": "--limit 200", **environment}
        command = [
            "bash",
            str(EXAMPLES / "gpu" / script),
            "MODEL",
            str(self.out),
            "--dtype",
            "auto",
        ]
        done = run(command, program.environment() | given)
        self.status, self.error = done.returncode, done.stderr
        lines = log.read_text("utf-8").splitlines() if log.exists() else []
        self.asked: list[list[str]] = [json.loads(line) for line in lines]

    def commands(self) -> list[str]:
        """Return the command or module of each call, and the ends of servers, in order."""
        return [one[1] if one[0] == "goldgate" else one[0] for one in self.asked]

    def named(self, command: str) -> list[list[str]]:
        """Return the arguments of each call of a command or module."""
        return [one for one in self.asked if command in one[:2] and one[0] != "ended"]


@pytest.fixture
def port() -> str:
    """Return a free port; that of the second server of a swap is free in all likelihood."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        number = int(found.getsockname()[1])
    return str(number if number < 60000 else number - 5000)


def test_vllm_is_recorded_twice_then_asked_three_times(tmp_path: Path, port: str) -> None:
    """The script runs to its end: each server ends before the next, with the right arguments."""
    ran = Ran(tmp_path, "vllm.sh", PORT=port, BASELINE="other")

    assert ran.status == 0, ran.error
    recorded = ["record", "gsm8k", "ended", "judge"]
    server = "vllm.entrypoints.cli.main"
    asked = [server, *["gsm8k"] * 5, "ended", "compare", "compare"]
    assert ran.commands() == ["dispatch", *recorded, *recorded, *asked]
    eager, graphs = (one[one.index("--") + 1 :] for one in ran.named("record"))
    assert ["--cuda-graphs" in one for one in ran.named("record")] == [False, True]
    assert graphs[: len(eager)] == eager
    assert eager[0] == "MODEL"
    assert eager[-2:] == ["--dtype", "auto"]
    flag, settings = graphs[len(eager) :]
    assert flag == "--compilation-config"
    assert json.loads(settings) == {"mode": 0, "cudagraph_mode": "FULL"}
    assert ran.named(server) == [[server, "serve", *graphs]]
    limits = [one[len(one) - one[::-1].index("--limit")] for one in ran.named("gsm8k")]
    assert limits == ["60", "60", "200", "60", "60", "200", "200"]
    assert (ran.out / "texts.txt").read_text("utf-8").splitlines() == [
        "3 of 4 texts are the same: unrecorded and record-graphs-answers",
        "3 of 4 texts are the same: unrecorded and unrecorded-again",
    ]
    again, engines = ran.named("compare")
    out = str(ran.out)
    assert again[2:4] == [f"{out}/vllm", f"{out}/vllm-again"]
    assert engines[2:5] == ["other", f"{out}/vllm", "--models-differ"]


@pytest.mark.parametrize(("statuses", "status"), [("judge=1", 1), ("judge=1 compare=3", 3)])
def test_a_verdict_that_is_not_good_is_the_scripts_status(
    statuses: str, status: int, tmp_path: Path, port: str
) -> None:
    """A kernel that fails and a score that is not PRESERVED end nothing, and are not lost."""
    ran = Ran(tmp_path, "vllm.sh", PORT=port, STATUS=statuses)

    assert ran.status == status
    assert ran.commands()[-1] == "compare"


def test_the_sglang_swap_switches_the_kernel(tmp_path: Path, port: str) -> None:
    """Both kernels are recorded twice, then served beside each other, and both servers end."""
    ran = Ran(tmp_path, "sglang-swap.sh", PORT=port, STATUS="swap=3 compare-kernels=1")

    assert ran.status == 3, ran.error
    recorded = ["record", "gsm8k", "ended", "judge"]
    server = "sglang.launch_server"
    served = [server, server, *["gsm8k"] * 4, "swap", "ended", "ended"]
    assert ran.commands() == [*recorded * 4, "compare-kernels", *served]
    assert [one[-1] for one in ran.named("record")] == ["0", "1", "0", "1"]
    assert ["--cuda-graphs" in one for one in ran.named("record")] == [False, False, True, True]
    places = [(one[one.index("--port") + 1], one[-1]) for one in ran.named(server)]
    assert places == [(port, "0"), (str(int(port) + 1000), "1")]
    assert "--control" in ran.named("swap")[0]


def test_a_server_that_does_not_start_ends_the_script(tmp_path: Path, port: str) -> None:
    """Its last words are shown, and the status is no verdict's."""
    ran = Ran(tmp_path, "vllm.sh", PORT=port, BROKEN="1")

    assert ran.status == 2
    assert "no such model" in ran.error
    assert "record-eager.log" in ran.error


def test_a_port_in_use_is_refused(tmp_path: Path, port: str) -> None:
    """Another server's answers would pass for those of the one that is to be tested."""
    (tmp_path / "health").touch()
    other = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", port]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(other, cwd=tmp_path, stdout=quiet, stderr=quiet) as held:
        try:
            _wait_for(int(port))
            ran = Ran(tmp_path, "vllm.sh", PORT=port)
        finally:
            held.terminate()

    assert ran.status == 2
    assert f"answers at http://127.0.0.1:{port} already" in ran.error
    assert ran.commands() == ["dispatch"]


#: A server that ends when it is asked to, and what it started: a worker in a session of its own
#: that does not end, the worker's child, a child, and a process whose own parent has ended.
TREE = """
note() { echo "$1" >>"$out/pids"; }
worker() { trap : TERM; sleep 300 & note $!; while :; do sleep 1; done; }
export -f note worker
trap 'echo ended >"$out/ended"; exit' TERM
setsid bash -c worker & note $!
sleep 300 & note $!
(sleep 300 & note $!)
wait
"""

STOP = """
exec >"$out/said" 2>&1
asked=()
. "$servers"
setsid bash -c "$tree" & server=$!
echo $server >>"$out/pids"
until [ "$(wc -l <"$out/pids")" -eq 5 ]; do sleep 0.1; done
stop $server
"""


def test_what_a_server_started_ends_with_it(tmp_path: Path) -> None:
    """Processes that outlive their server end too, whichever session or parent they have."""
    given = {"out": str(tmp_path), "servers": str(EXAMPLES / "servers.sh"), "tree": TREE}

    done = run(["bash", "-euc", STOP], os.environ | given | {"GRACE": "2"})

    started = [int(line) for line in (tmp_path / "pids").read_text("utf-8").splitlines()]
    left = [one for one in started if _runs(one)]
    for one in left:
        os.kill(one, signal.SIGKILL)
    said = (tmp_path / "said").read_text("utf-8")
    assert (done.returncode, left) == (0, []), said
    assert "killed after 2 s" in said
    assert (tmp_path / "ended").read_text("utf-8") == "ended\n"


def _runs(pid: int) -> bool:
    """Return whether a process runs; one that has ended and was not waited for does not."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text("utf-8")
    except OSError:
        return False
    return text.rpartition(")")[2].split()[0] != "Z"


def _wait_for(port: int) -> None:
    """Wait until something listens."""
    for _ in range(100):
        with socket.socket() as tried:
            if tried.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    pytest.fail(f"nothing listens at {port}")
