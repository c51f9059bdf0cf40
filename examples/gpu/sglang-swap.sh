#!/usr/bin/env bash
# Swap the routing kernel of a live sglang server and ask whether the model is still the same model:
# the experiment of sglang pull request 23611, with the two kernels that sglang 0.5.10 to 0.5.17 has
# on NVIDIA GPUs. One environment variable chooses between them:
#
#     SGLANG_OPT_USE_JIT_KERNEL_FUSED_TOPK=0   sgl_kernel.topk_sigmoid (CUDA), the baseline
#     SGLANG_OPT_USE_JIT_KERNEL_FUSED_TOPK=1   moe_fused_gate (Triton), the candidate
#
# Usage, in the engine's container, after `pip install 'goldgate[evals]'`:
#
#     examples/gpu/sglang-swap.sh MODEL OUT [SERVER-ARGUMENTS...]
#
# Each kernel is recorded twice, eagerly and inside the server's CUDA graphs, and judged on the spot.
# Then servers with graphs on and without a recorder answer: the baseline twice (the second time as
# the control) and the candidate once. Questions asked before the first run warm each server up.
#
# GSM8K holds options of `goldgate gsm8k`, such as "--limit 200" (default: all questions); RECORDED
# the questions that are asked while recording (default 60), WARM those before a run (default 200). Every step writes into OUT as it ends.
# Exit status: that of `goldgate compare`, or 1 where a recorded kernel fails parity.
set -euo pipefail
model=$1 out=$2
shift 2
port=${PORT:-30000} url=http://127.0.0.1:${PORT:-30000}
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

stop() { # PID: the server and its workers
  kill -INT "$1" 2>/dev/null || true
  for _ in $(seq 60); do kill -0 "$1" 2>/dev/null || return 0; sleep 1; done
  kill -KILL "$1"
}

ask() { # NAME SWITCH: ask a server with CUDA graphs on
  SGLANG_OPT_USE_JIT_KERNEL_FUSED_TOPK=$2 setsid python3 -m sglang.launch_server \
    "${arguments[@]}" >"$out/$1.log" 2>&1 &
  local server=$!
  wait_until_up "$server" "$out/$1.log"
  shift 2
  goldgate gsm8k --base-url "$url" --out "$out/$1-warm" "${asked[@]}" --limit "${WARM:-200}"
  for name in "$@"; do
    goldgate gsm8k --base-url "$url" --out "$out/$name" "${asked[@]}"
  done
  stop "$server"
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
ask baseline 0 topk-sigmoid control
ask candidate 1 moe-fused-gate
status=0
goldgate compare "$out/topk-sigmoid" "$out/moe-fused-gate" --control "$out/control" \
  --json "$out/compare.json" || status=$?
[ "$status" -ne 0 ] || status=$parity
exit "$status"
