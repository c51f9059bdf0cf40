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
# before that, so that no run pays for compiling, and the recorded ones of the baseline twice
# (OUT/texts.txt: whether recording changed a text, beside the server's own noise). MEMORY holds the two servers' --mem-fraction-static,
# by default "0.2 0.5": sglang counts what the first has taken as used.
#
# GSM8K holds options of `goldgate gsm8k` and `goldgate swap`, such as "--limit 200" (default: all
# questions); RECORDED the questions that are asked while recording (default 60); PORT the first of two
# ports, 1000 apart (default 30000). examples/servers.sh has PYTHON and GRACE. Every step writes into
# OUT as it ends. Exit status: that of `goldgate swap`; else that of the last recording that does not
# pass, 1 where a kernel fails parity or a difference between the two is not explained; 0.
set -euo pipefail
: "${2:?usage: examples/gpu/sglang-swap.sh MODEL OUT [SERVER-ARGUMENTS...]}"
model=$1 out=$2
shift 2
more=("$@")
read -r -a asked <<<"${GSM8K:-}"
. "$(dirname "$0")/../servers.sh"
port=${PORT:-30000}
old=http://127.0.0.1:$port new=http://127.0.0.1:$((port + 1000))

switched() { # NAME SWITCH [OPTION]: record the kernel that the switch chooses
  record "$1" "$old" env "SGLANG_OPT_USE_JIT_KERNEL_FUSED_TOPK=$2" \
    "${goldgate[@]}" record sglang --out "$out/$1" "${@:3}" \
    -- --model-path "$model" --port "$port" "${more[@]}"
}

serve() { # NAME SWITCH URL MEMORY: start a server with CUDA graphs on
  start "$1" "$3" env "SGLANG_OPT_USE_JIT_KERNEL_FUSED_TOPK=$2" \
    "$python" -m sglang.launch_server --model-path "$model" --port "${3##*:}" \
    --mem-fraction-static "$4" "${more[@]}"
}

switched record-topk-sigmoid 0
switched record-moe-fused-gate 1
switched graphs-topk-sigmoid 0 --cuda-graphs
switched graphs-moe-fused-gate 1 --cuda-graphs
"${goldgate[@]}" compare-kernels sglang-topk-sigmoid sglang-moe-fused-gate \
  --recordings "$out/record-topk-sigmoid/recordings" --json "$out/old-new.json" || parity=$?
read -r -a memory <<<"${MEMORY:-0.2 0.5}"
serve baseline 0 "$old" "${memory[0]}"
baseline=$server
serve candidate 1 "$new" "${memory[1]}"
candidate=$server
for one in "$old" "$new"; do ask "warm-${one##*:}" "$one"; done
unrecorded "$old" graphs-topk-sigmoid-answers
status=0
BASELINE_URL=$old BASE_URL=$new "${goldgate[@]}" swap --control "${asked[@]}" \
  --out "$out/gsm8k" || status=$?
stop "$baseline"
stop "$candidate"
exit "$((status ? status : parity))"
