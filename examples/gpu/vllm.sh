#!/usr/bin/env bash
# Record a vLLM server on an NVIDIA GPU, judge what its routing kernel returned, and ask whether the
# server answers the same twice. docs/vllm-on-a-gpu.md has what the steps found on an H100 and an H200.
#
# Usage, in the engine's container, after `pip install 'goldgate[evals]'`:
#
#     examples/gpu/vllm.sh MODEL OUT [SERVER-ARGUMENTS...]
#
# The server is recorded twice, eagerly and inside its CUDA graphs, and judged on the spot. Then it is
# served with graphs on and without a recorder; it is asked all questions once to warm up, the recorded
# ones twice (OUT/texts.txt: whether recording changed a text, beside the server's own noise), and all
# twice for the comparison, the second time as the control. BASELINE names a run folder of another engine,
# such as that of sglang-swap.sh (OUT/gsm8k/baseline), and is compared with the first of the two.
#
# GSM8K holds options of `goldgate gsm8k`, such as "--limit 200" (default: all questions); RECORDED the
# questions that are asked while recording (default 60); GRAPHS the compilation settings (default:
# graphs of whole passes, without torch.compile); SERVED the model's name (default standin); PORT the
# port (default 30000). examples/servers.sh has PYTHON and GRACE. Every step writes into OUT as it
# ends. Exit status: that of the last comparison that is not PRESERVED; else that of the last recording
# that does not pass, 1 where the kernel fails parity; 0; 2 where a server or a file fails.
set -euo pipefail
: "${2:?usage: examples/gpu/vllm.sh MODEL OUT [SERVER-ARGUMENTS...]}"
model=$1 out=$2
shift 2
read -r -a asked <<<"${GSM8K:-}"
. "$(dirname "$0")/../servers.sh"
port=${PORT:-30000}
url=http://127.0.0.1:$port
arguments=("$model" --served-model-name "${SERVED:-standin}" --host 127.0.0.1 --port "$port"
  --max-model-len 4096 --gpu-memory-utilization 0.3 --attention-backend TRITON_ATTN "$@")
whole='{"mode":0,"cudagraph_mode":"FULL"}'
graphs=(--compilation-config "${GRAPHS:-$whole}")
export VLLM_USE_FLASHINFER_SAMPLER=${VLLM_USE_FLASHINFER_SAMPLER:-0}
export VLLM_NO_USAGE_STATS=${VLLM_NO_USAGE_STATS:-1} DO_NOT_TRACK=${DO_NOT_TRACK:-1}
# A model's folder needs no hub.
[ ! -d "$model" ] || export HF_HUB_OFFLINE=${HF_HUB_OFFLINE:-1}

"${goldgate[@]}" dispatch vllm --json "$out/dispatch-vllm.json" || parity=$?
record record-eager "$url" \
  "${goldgate[@]}" record vllm --out "$out/record-eager" -- "${arguments[@]}"
record record-graphs "$url" \
  "${goldgate[@]}" record vllm --cuda-graphs --out "$out/record-graphs" \
  -- "${arguments[@]}" "${graphs[@]}"
# The `vllm` command, which an installation without its entry points lacks.
start plain "$url" \
  "$python" -m vllm.entrypoints.cli.main serve "${arguments[@]}" "${graphs[@]}"
ask warm "$url"
unrecorded "$url" record-graphs-answers
ask vllm "$url"
ask vllm-again "$url"
stop "$server"
status=0
"${goldgate[@]}" compare "$out/vllm" "$out/vllm-again" --json "$out/again.json" || status=$?
if [ -n "${BASELINE:-}" ]; then
  "${goldgate[@]}" compare "$BASELINE" "$out/vllm" --models-differ --json "$out/engines.json" ||
    status=$?
fi
exit "$((status ? status : parity))"
