# shellcheck shell=bash
# Sourced by the scripts that start engines: start a server, ask it, judge its recording, end it with
# all that it started. It expects $out, the folder of the results, and the array `asked`, options of
# `goldgate gsm8k`. PYTHON is the interpreter that has goldgate and the engine (default python3); in
# a checkout's root goldgate need not be installed. GRACE is how long a server may take to end
# (default 60 s); it is killed then.
python=${PYTHON:-python3}
goldgate=("$python" -m goldgate)
mkdir -p "$out"
server= # the last one that was started
running=()
parity=0 # the exit status of the last recording that did not pass
trap 'for one in "${running[@]}"; do stop "$one"; done' EXIT

start() { # NAME URL COMMAND...: start a server, wait until it answers; its number in $server
  local log=$out/$1.log url=$2
  shift 2
  if curl -sf "$url/health" >/dev/null; then
    echo "a server answers at $url already: end it, or set PORT" >&2
    exit 2
  fi
  echo "starting: $*" >&2
  # A session of its own, by which `stop` finds what the server leaves behind.
  setsid "$@" >"$log" 2>&1 &
  server=$!
  running+=("$server")
  for _ in $(seq 3000); do
    curl -sf "$url/health" >/dev/null && return
    kill -0 "$server" 2>/dev/null || { tail -20 "$log" >&2; echo "the server ended: $log" >&2; exit 2; }
    sleep 0.2
  done
  echo "no answer from $url in 600 s: $log" >&2
  exit 2
}

family() { # PID...: those that run of these processes, of their sessions and of what they started
  local line pid state above session found=" $* " before=
  local -A parents=() sessions=()
  for line in /proc/[0-9]*/stat; do
    read -r line 2>/dev/null <"$line" || continue
    pid=${line%% *}
    read -r state above _ session _ <<<"${line##*) }"
    [ "$state" != Z ] || continue
    parents[$pid]=$above sessions[$pid]=$session
  done
  while [ "$found" != "$before" ]; do
    before=$found
    for pid in "${!parents[@]}"; do
      [[ $found == *" $pid "* ]] && continue
      if [[ $found == *" ${parents[$pid]} "* || $found == *" ${sessions[$pid]} "* ]]; then
        found+="$pid "
      fi
    done
  done
  for pid in $found; do [ -z "${parents[$pid]:-}" ] || echo "$pid"; done
}

stop() { # PID [SIGNAL]: end a server; then what outlives it, in a session of its own or not
  local all left told= turn
  for one in "${!running[@]}"; do [ "${running[$one]}" != "$1" ] || unset "running[$one]"; done
  # Looked up before: what has lost its parent and has a session of its own cannot be found.
  all="$1 $(family "$1")"
  # A launcher passes the signal on and waits for its server: the others get none yet.
  kill "-${2:-TERM}" "$1" 2>/dev/null || true
  for turn in $(seq "$((5 * ${GRACE:-60}))"); do
    left=$(family $all)
    [ -n "$left" ] || return 0
    all="$1 $left" # and what those have started since
    if [ -z "$told" ] && { ! grep -qx "$1" <<<"$left" || [ "$turn" -gt 150 ]; }; then
      told=yes
      kill -TERM $left 2>/dev/null || true
    fi
    sleep 0.2
  done
  echo "killed after ${GRACE:-60} s:" $left >&2
  kill -KILL $left 2>/dev/null || true
}

ask() { # NAME URL [OPTIONS...]: GSM8K into OUT/NAME
  "${goldgate[@]}" gsm8k --base-url "$2" --out "$out/$1" "${asked[@]}" "${@:3}"
}

judge() { # NAME [OPTIONS...]: judge what was recorded into OUT/NAME, on the spot
  "${goldgate[@]}" judge --recordings "$out/$1/recordings" --outputs "$out/$1/outputs" \
    --json "$out/$1.json" "${@:2}" || parity=$?
}

record() { # NAME URL COMMAND...: ask while COMMAND records into OUT/NAME, end it, judge
  start "$@"
  ask "$1-answers" "$2" --limit "${RECORDED:-60}"
  # An interrupt, as a user gives it: the launcher then closes what its workers left open.
  stop "$server" INT
  judge "$1"
}

unrecorded() { # URL RECORDED: ask a server without a recorder what the recorded one was asked, twice
  ask unrecorded "$1" --limit "${RECORDED:-60}"
  ask unrecorded-again "$1" --limit "${RECORDED:-60}"
  same unrecorded "$2"
  same unrecorded unrecorded-again # the engine's own noise
}

same() { # ONE OTHER: count the equal texts of two runs of the same questions, in OUT/texts.txt
  "$python" - "$out" "$1" "$2" <<'END' | tee -a "$out/texts.txt"
import json
import sys

out, *runs = sys.argv[1:]
texts = [[json.loads(line)["text"] for line in open(f"{out}/{run}/samples.jsonl")] for run in runs]
alike = sum(one == other for one, other in zip(*texts))
print(f"{alike} of {len(texts[0])} texts are the same: {' and '.join(runs)}")
END
}
