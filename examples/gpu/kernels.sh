#!/usr/bin/env bash
# Run every routing kernel that this GPU host has: identity, parity, arithmetic, latency, GPU tests.
#
# Usage, in an engine's container or an environment with sgl_kernel, vLLM or FlashInfer, after
# `pip install .` of goldgate (or from a checkout's root, which is then what runs):
#
#     examples/gpu/kernels.sh OUT [STEP...]
#
# Steps, in this order by default: list shipped full sweep latency tests. Each command has LIMIT
# seconds (default 540) and is then interrupted, which reports what it has judged. A kernel that
# fails, hangs or crashes is a line of OUT/steps.tsv (step, kernel, exit status, seconds), and the
# others still run. KERNELS names kernels (default: those that run here); JOBS how many are judged
# at a time (default 4). Evidence is written as each command ends; of outputs only those of the
# shipped recordings are kept, some 1.2 MB a kernel. PYTHON is the interpreter (default python3).
# Latency is measured on the routers of MiniMax-M2.5 and DeepSeek-V3: a kernel that refuses one is
# named. The last step needs the checkout's tests and pytest.
#
# Exit status: 0; 1 where a verdict, a sweep or a test failed; 2 where nothing could be run, or a
# command was interrupted or killed.
set -uo pipefail
out=${1:?usage: examples/gpu/kernels.sh OUT [STEP...]}
shift
steps=${*:-list shipped full sweep latency tests}
python=${PYTHON:-python3} limit=${LIMIT:-540} jobs=${JOBS:-4}
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
mkdir -p "$out"
touch "$out/steps.tsv"
before=$(wc -l <"$out/steps.tsv") # lines of earlier runs do not decide this one's status
export out python limit

timed() { # STEP KERNEL COMMAND...: run it within the limit and keep its status
  local step=$1 kernel=$2 log=$out/$1-${2//[:\/]/.}.log start=$SECONDS status=0
  shift 2
  timeout --signal=INT --kill-after=30 "$limit" "$@" >"$log" 2>&1 </dev/null || status=$?
  printf '%s\t%s\t%s\t%s\n' "$step" "$kernel" "$status" "$((SECONDS - start))" >>"$out/steps.tsv"
  printf '%-8s %-32s exit %s, %s s\n' "$step" "$kernel" "$status" "$((SECONDS - start))"
}

goldgate() { # STEP KERNEL ARGUMENTS...
  local step=$1 kernel=$2
  shift 2
  timed "$step" "$kernel" "$python" -m goldgate "$@"
}

parity() { # STEP KERNEL ARGUMENTS...
  local step=$1 kernel=$2
  shift 2
  goldgate "$step" "$kernel" parity --kernel "$kernel" --json "$out/$step-$kernel.json" "$@"
}
export -f timed goldgate parity

each() { # FUNCTION STEP ARGUMENTS...: for every kernel, JOBS at a time
  # shellcheck disable=SC2016 # the inner shell expands
  printf '%s\n' "${kernels[@]}" |
    xargs -P "$jobs" -I '{}' bash -c '"$1" "$2" "$0" "${@:3}"' '{}' "$@"
}

here() { # the kernels of OUT/kernels.json that run here and are no model code or emulator
  "$python" - "$out/kernels.json" <<'PYTHON'
import json, sys

torch = {"torch-compile", "sglang-torch-native", "sglang-biased-grouped-topk"}
for kernel in json.load(open(sys.argv[1]))["kernels"]:
    chosen = kernel["by_default"] or kernel["name"] in torch
    if kernel["runs_here"] and chosen and kernel["name"] != "aiter-emulated":
        print(kernel["name"])
PYTHON
}

[ -s "$out/kernels.json" ] && [[ " $steps " != *" list "* ]] ||
  goldgate list all kernels --json "$out/kernels.json"
[ -s "$out/kernels.json" ] || [ -n "${KERNELS:-}" ] ||
  { echo "goldgate kernels failed: $out/list-all.log" >&2; exit 2; }
read -r -a kernels <<<"${KERNELS:-$(here | tr '\n' ' ')}"
[ "${#kernels[@]}" -gt 0 ] || { echo "no kernel runs here: $out/list-all.log" >&2; exit 2; }
echo "kernels: ${kernels[*]}"

for step in $steps; do
  case $step in
    list) ;;
    shipped) each parity shipped --coverage shipped --save-outputs "$out/outputs" ;;
    full) each parity full --coverage full --repeats 3 ;;
    sweep)
      for kernel in "${kernels[@]}"; do
        goldgate sweep "$kernel" sweep "$kernel" --json "$out/sweep-$kernel.json"
      done
      ;;
    latency)
      named=()
      for kernel in "${kernels[@]}"; do
        case $kernel in *softmax) ;; *) named+=(--kernel "$kernel") ;; esac
      done
      for model in MiniMax-M2.5 DeepSeek-V3; do
        goldgate latency "$model" latency --model "$model" "${named[@]}" \
          --timeout "$limit" --json "$out/latency-$model.json"
      done
      ;;
    tests) # torch's own warnings are no failures of this project
      timed tests all "$python" -m pytest -q -p no:cacheprovider -W default --rootdir "$root" \
        "$root"/tests/accuracy/test_{graphs,device,latency,gpu_states}.py \
        "$root"/tests/fixtures/test_graph_calls.py
      ;;
    *) echo "$step: no such step: expected list shipped full sweep latency tests" >&2; exit 2 ;;
  esac
done
awk -F '\t' -v before="$before" '
  NR > before && $1 != "list" && $3 == 1 { wrong = 1 }
  NR > before && $3 >= 124 { ended = 1 }
  END { exit wrong ? 1 : ended ? 2 : 0 }' "$out/steps.tsv"
