#!/usr/bin/env bash
# Record a vLLM server on an NVIDIA GPU, judge what its routing kernel returned, and ask whether the
# server answers the same twice. docs/vllm-on-a-gpu.md has what the steps found on an H100 and an H200;
# they ran by hand there, this script as a whole has not run.
#
# Usage, in the engine's container, after `pip install 'goldgate[evals]'`:
#
#     examples/gpu/vllm.sh MODEL OUT [SERVER-ARGUMENTS...]
#
# The server is recorded twice, eagerly and inside its CUDA graphs, and judged on the spot. Then it is
# served with graphs on and without a recorder; it is asked all questions once to warm up, and twice
# for the comparison, the second time as the control. BASELINE names a run folder of another engine,
# such as that of sglang-swap.sh (OUT/gsm8k/baseline), and is compared with the first of the two.
#
# GSM8K holds options of `goldgate gsm8k`, such as "--limit 200" (default: all questions); RECORDED the
# questions that are asked while recording (default 60); GRAPHS the compilation settings (default:
# graphs of whole passes, without torch.compile). Exit status: 0, 1 where a recorded kernel fails
# parity, else that of the comparison.
set -euo pipefail
model=$1 out=$2
shift 2
port=${PORT:-30000} url=http://127.0.0.1:${PORT:-30000}
arguments=("$model" --served-model-name "${SERVED:-standin}" --host 127.0.0.1 --port "$port"
  --max-model-len 4096 --gpu-memory-utilization 0.3 --attention-backend TRITON_ATTN "$@")
graphs=(--compilation-config "${GRAPHS:-{\"mode\":0,\"cudagraph_mode\":\"FULL\"\}}")
read -r -a asked <<<"${GSM8K:-}"
export VLLM_USE_FLASHINFER_SAMPLER=${VLLM_USE_FLASHINFER_SAMPLER:-0}
mkdir -p "$out"
server=

stop() { # PID|-GROUP: one process, or all of a group; the whole group is killed after 60 s
  kill -TERM -- "$1" 2>/dev/null || true
  for _ in $(seq 60); do kill -0 -- "$1" 2>/dev/null || { server= && return 0; }; sleep 1; done
  kill -KILL -- "-${1#-}" 2>/dev/null || true
  server=
}
trap '[ -z "$server" ] || stop "-$server"' EXIT

start() { # NAME COMMAND...: start a server and wait until it answers; its number in $server
  local log=$out/$1.log
  shift
  setsid "$@" >"$log" 2>&1 &
  server=$!
  for _ in $(seq 600); do
    curl -sf "$url/health" >/dev/null && return
    kill -0 "$server" 2>/dev/null || { tail -20 "$log" >&2; echo "the server ended: $log" >&2; exit 2; }
    sleep 1
  done
  echo "no answer from $url in 600 s: $log" >&2
  exit 2
}

ask() { # NAME [OPTIONS...]
  goldgate gsm8k --base-url "$url" --out "$out/$1" "${asked[@]}" "${@:2}"
}

judged() { # NAME: ask while recording, stop the launcher, judge what it left
  ask "$1-answers" --limit "${RECORDED:-60}"
  stop "$server"
  goldgate judge --recordings "$out/$1/recordings" --outputs "$out/$1/outputs" \
    --json "$out/$1.json" || parity=1
}

parity=0
goldgate dispatch vllm --json "$out/dispatch-vllm.json"
start record-eager goldgate record vllm --out "$out/record-eager" -- "${arguments[@]}"
judged record-eager
start record-graphs goldgate record vllm --cuda-graphs --out "$out/record-graphs" \
  -- "${arguments[@]}" "${graphs[@]}"
judged record-graphs
start plain vllm serve "${arguments[@]}" "${graphs[@]}"
ask warm
ask vllm
ask vllm-again
stop "-$server"
status=0
goldgate compare "$out/vllm" "$out/vllm-again" --json "$out/again.json" || status=$?
if [ -n "${BASELINE:-}" ]; then
  goldgate compare "$BASELINE" "$out/vllm" --models-differ --json "$out/engines.json" || status=$?
fi
[ "$parity" -eq 0 ] || status=1
exit "$status"
