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
export HF_HUB_OFFLINE=1 VLLM_NO_USAGE_STATS=1 DO_NOT_TRACK=1
export VLLM_CPU_KVCACHE_SPACE=${VLLM_CPU_KVCACHE_SPACE:-1} # GiB
mkdir -p "$out"
wrong=0
server=

stop() {
  [ -n "$server" ] || return 0
  # A shell without job control has its background processes ignore SIGINT.
  kill -TERM "$server" 2>/dev/null || true
  wait "$server" || true
  server=
}
trap stop EXIT

serve() { # LOG COMMAND...: start a server and wait until it answers
  local log=$1
  shift
  echo "starting: $*" >&2
  "$@" >"$log" 2>&1 &
  server=$!
  for _ in $(seq 600); do
    curl -sf "$url/v1/models" >/dev/null && return
    kill -0 "$server" 2>/dev/null || { tail -20 "$log" >&2; echo "the server ended: $log" >&2; exit 2; }
    sleep 1
  done
  echo "no answer from $url in 600 s: $log" >&2
  exit 2
}

record() { # NAME [FAULT]: vLLM with the recorder on
  GOLDGATE_VLLM_PLANT=${2:-} serve "$out/$1.log" \
    goldgate record vllm --out "$out/$1-recorded" -- "${arguments[@]}"
}

ask() { # NAME OPTIONS...
  local name=$1
  shift
  goldgate gsm8k --base-url "$url" --out "$out/$name" "${asked[@]}" "$@"
}

parity() { # NAME EXPECTED: judge what was recorded
  local status=0
  goldgate judge --recordings "$out/$1-recorded/recordings" --outputs "$out/$1-recorded/outputs" \
    --json "$out/$1.json" >"$out/$1.txt" || status=$?
  grep -m 1 -E "^(INPUT FAIL|FAIL)" "$out/$1.txt" || true
  tail -1 "$out/$1.txt"
  verdict "$1: parity of the recorded calls" "$2" "$status"
}

compared() { # BASELINE CANDIDATE EXPECTED...
  local status=0
  goldgate compare "$out/$1" "$out/$2" --json "$out/$1-$2.json" || status=$?
  verdict "$1 against $2" "$3" "$status"
}

verdict() { # WHAT EXPECTED STATUS; EXPECTED lists statuses
  if [[ " $2 " == *" $3 "* ]]; then echo "== $1: exit status $3, as expected"; else
    echo "== $1: exit status $3, expected $2"
    wrong=1
  fi
}

# 1. The baseline: the project's own server, in float32, with the golden router.
serve "$out/own.log" goldgate serve --router golden --port "$port"
ask own --limit "$limit" --concurrency 24
stop

# 2. vLLM in its place, recorded: every row of every layer passes, and the score is preserved.
record vllm
ask vllm --limit "$limit" --concurrency 24
ask vllm-alone --limit 120 --concurrency 1
stop
parity vllm 0
compared own vllm 0

# 3. The recorder changes no answer: the same questions, one at a time, without it.
serve "$out/plain.log" vllm serve "${arguments[@]}" --enforce-eager
ask plain-alone --limit 120 --concurrency 1
stop
same=0
goldgate compare "$out/plain-alone" "$out/vllm-alone" --min-score 0 >"$out/alone.txt" || true
grep -q "120 texts of 120 are the same" "$out/alone.txt" || same=1
verdict "120 texts with and without the recorder are the same" 0 "$same"

# 4. Faults planted in vLLM are found from the recording alone. The score need not show them.
for fault in bfloat16-bias wrong-expert layer-swap; do
  record "$fault" "$fault"
  if [ "$fault" = bfloat16-bias ]; then ask "$fault" --limit "$limit" --concurrency 24
  else ask "$fault" --limit 24 --concurrency 24; fi
  stop
  parity "$fault" 1
done
compared vllm bfloat16-bias "0 1 3"
exit "$wrong"
