#!/usr/bin/env bash
# A real vLLM on this machine's processor: record it, judge it, and ask whether swapping it in for
# the project's own server preserves the score. Then plant faults in it and find them.
#
#     tox -e vllm -- [OUT]        or, in that environment:    examples/vllm-cpu/swap.sh [OUT]
#
# LIMIT is the number of questions of each arm (default 240; fewer cannot be PRESERVED at 1.5
# points), PORT the port (default 8431). docs/vllm-on-a-cpu.md says what each step shows.
# Exit status: 0 where every step ended as it should, 1 where one did not, 2 where a server fails.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
out=${1:-vllm-run} limit=${LIMIT:-240} port=${PORT:-8431}
url=http://127.0.0.1:$port
model=$root/fixtures/standin/data/model
served=goldgate-standin # as the project's own server calls it
arguments=("$model" --served-model-name "$served" --dtype float32 --max-model-len 4096
  --host 127.0.0.1 --port "$port")
asked=(--data "$root/fixtures/standin/data" --own-data --num-fewshot 0 --max-tokens 512)
. "$root/examples/servers.sh"
export HF_HUB_OFFLINE=1 VLLM_NO_USAGE_STATS=1 DO_NOT_TRACK=1
export VLLM_CPU_KVCACHE_SPACE=${VLLM_CPU_KVCACHE_SPACE:-1} # GiB
wrong=0
summary=

recorded() { # NAME [FAULT]: vLLM with the recorder on
  start "$1" "$url" env "GOLDGATE_VLLM_PLANT=${2:-}" \
    "${goldgate[@]}" record vllm --out "$out/$1-recorded" -- "${arguments[@]}"
}

together() { # NAME [QUESTIONS]
  ask "$1" "$url" --limit "${2:-$limit}" --concurrency 24
}

alone() { # NAME: one request at a time
  ask "$1" "$url" --limit 120 --concurrency 1
}

parity() { # NAME EXPECTED WORDS
  local status=0
  "${goldgate[@]}" judge --recordings "$out/$1-recorded/recordings" \
    --outputs "$out/$1-recorded/outputs" --json "$out/$1.json" >"$out/$1.txt" || status=$?
  grep -m 1 -E "^(INPUT FAIL|FAIL)" "$out/$1.txt" || true
  tail -1 "$out/$1.txt"
  verdict "$2" "$status" "$3: $(tail -1 "$out/$1.txt")"
}

compared() { # BASELINE CANDIDATE EXPECTED WORDS
  local status=0
  "${goldgate[@]}" compare "$out/$1" "$out/$2" --json "$out/$1-$2.json" || status=$?
  verdict "$3" "$status" "$4"
}

verdict() { # EXPECTED STATUS WORDS; EXPECTED lists statuses
  local line="as expected      $3 (exit status $2)"
  if [[ " $1 " != *" $2 "* ]]; then
    line="NOT AS EXPECTED  $3 (exit status $2, expected ${1// / or })"
    wrong=1
  fi
  summary+="$(printf '%4d s  %s' "$SECONDS" "$line")"$'\n'
  echo "== $line" >&2
}

# 1. The baseline: the project's own server, in float32, with the golden router.
start own "$url" "${goldgate[@]}" serve --router golden --port "$port"
together own
stop "$server"

# 2. vLLM in its place, recorded: every row of every layer passes, and the score is preserved.
recorded vllm
together vllm
alone vllm-alone
stop "$server"
parity vllm 0 "parity of vLLM's routing"
compared own vllm 0 "swap of the project's own server for vLLM: the score is preserved"

# 3. The recorder changes no answer: the same questions, one at a time, without it.
start plain "$url" "$python" -m vllm.entrypoints.cli.main serve "${arguments[@]}" --enforce-eager
alone plain-alone
stop "$server"
same=0
"${goldgate[@]}" compare "$out/plain-alone" "$out/vllm-alone" --min-score 0 >"$out/alone.txt" || true
grep -q "120 texts of 120 are the same" "$out/alone.txt" || same=1
verdict 0 "$same" "120 of 120 texts with and without the recorder are the same"

# 4. Faults planted in vLLM are found from the recording alone. The score need not show them.
for fault in bfloat16-bias wrong-expert layer-swap; do
  recorded "$fault" "$fault"
  if [ "$fault" = bfloat16-bias ]; then together "$fault"; else together "$fault" 24; fi
  stop "$server"
  parity "$fault" 1 "planted $fault is found"
done
compared vllm bfloat16-bias "0 1 3" "swap for a bias cast through bfloat16, which has its verdict"

printf '\n%s' "$summary"
if [ "$wrong" -eq 0 ]; then echo "every step ended as expected: $out"
else echo "a step did not end as expected: $out"; fi
exit "$wrong"
