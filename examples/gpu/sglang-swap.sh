#!/usr/bin/env bash
# Swap the routing kernel of a live sglang server and ask whether the model is still the same model:
# the experiment of sglang pull request 23611, with the two kernels that sglang up to 0.5.15 has
# on NVIDIA GPUs. One environment variable chooses between them:
#
#     SGLANG_OPT_USE_JIT_KERNEL_FUSED_TOPK=0   sgl_kernel.topk_sigmoid (CUDA), the baseline
#     SGLANG_OPT_USE_JIT_KERNEL_FUSED_TOPK=1   moe_fused_gate (Triton), the candidate
#
# Usage, in the engine's container, after `pip install 'goldgate[evals]'`:
#
#     examples/gpu/sglang-swap.sh MODEL OUT [SERVER-ARGUMENTS...]
#
# Each kernel is recorded twice, eagerly and inside the server's CUDA graphs, and judged on the spot;
# the recorded rows are then routed by both kernels and compared. For the score two servers run beside
# each other, with graphs on and without a recorder: `goldgate swap` registers its plan, then asks the
# baseline, the candidate, and the baseline again as the control. All questions are asked of both once
# before that, so that no run pays for compiling. MEMORY holds the two servers' --mem-fraction-static,
# by default "0.2 0.5": sglang counts what the first has taken as used.
#
# GSM8K holds options of `goldgate gsm8k` and `goldgate swap`, such as "--limit 200" (default: all
# questions); RECORDED the questions that are asked while recording (default 60). Every step writes
# into OUT as it ends. Exit status: that of `goldgate swap`, or 1 where a recorded kernel fails parity
# or a difference between the two kernels is not explained.
set -euo pipefail
model=$1 out=$2
shift 2
port=${PORT:-30000} url=http://127.0.0.1:${PORT:-30000}
more=("$@")
arguments=(--model-path "$model" --port "$port" "$@")
read -r -a asked <<<"${GSM8K:-}"
mkdir -p "$out"

wait_until_up() { # PID LOG
  for _ in $(seq 600); do
    curl -sf "$url/health" >/dev/null && return
    kill -0 "$1" 2>/dev/null || { tail -20 "$2" >&2; echo "the server ended: $2" >&2; exit 2; }
    sleep 1
  done
  echo "no answer from $url in 600 s: $2" >&2
  exit 2
}

stop() { # PID|-GROUP [SIGNAL]: one process, or all of a group; the whole group is killed after 60 s
  kill "-${2:-INT}" -- "$1" 2>/dev/null || true
  for _ in $(seq 60); do kill -0 -- "$1" 2>/dev/null || return 0; sleep 1; done
  kill -KILL -- "-${1#-}" 2>/dev/null || true
}

serve() { # NAME SWITCH PORT MEMORY: start a server with CUDA graphs on; its number in $server
  SGLANG_OPT_USE_JIT_KERNEL_FUSED_TOPK=$2 setsid python3 -m sglang.launch_server \
    --model-path "$model" --port "$3" --mem-fraction-static "$4" "${more[@]}" >"$out/$1.log" 2>&1 &
  server=$!
  url=http://127.0.0.1:$3 wait_until_up "$server" "$out/$1.log"
}

record() { # NAME SWITCH [OPTION]: record, then judge on the spot
  SGLANG_OPT_USE_JIT_KERNEL_FUSED_TOPK=$2 setsid goldgate record sglang --out "$out/$1" "${@:3}" \
    -- "${arguments[@]}" >"$out/$1.log" 2>&1 &
  local server=$!
  wait_until_up "$server" "$out/$1.log"
  goldgate gsm8k --base-url "$url" --out "$out/$1-answers" "${asked[@]}" \
    --limit "${RECORDED:-60}"
  stop "$server"
  goldgate judge --recordings "$out/$1/recordings" --outputs "$out/$1/outputs" \
    --json "$out/$1.json" || parity=1
}

parity=0
record record-topk-sigmoid 0
record record-moe-fused-gate 1
record graphs-topk-sigmoid 0 --cuda-graphs
record graphs-moe-fused-gate 1 --cuda-graphs
goldgate compare-kernels sglang-topk-sigmoid sglang-moe-fused-gate \
  --recordings "$out/record-topk-sigmoid/recordings" --json "$out/old-new.json" || parity=1
read -r -a memory <<<"${MEMORY:-0.2 0.5}"
old=http://127.0.0.1:$port new=http://127.0.0.1:$((port + 1000))
serve baseline 0 "$port" "${memory[0]}"
baseline=$server
serve candidate 1 "$((port + 1000))" "${memory[1]}"
candidate=$server
for one in "$old" "$new"; do
  goldgate gsm8k --base-url "$one" --out "$out/warm-${one##*:}" "${asked[@]}"
done
status=0
BASELINE_URL=$old BASE_URL=$new goldgate swap --control "${asked[@]}" --out "$out/gsm8k" || status=$?
# Started in the background by a script, they ignore an interrupt. setsid makes each the first of a
# group, and its workers outlive a signal to the first alone.
stop "-$baseline" TERM
stop "-$candidate" TERM
[ "$status" -ne 0 ] || status=$parity
exit "$status"
