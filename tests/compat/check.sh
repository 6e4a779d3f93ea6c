# Sourced by the shell parts: one line a check, the output of a failed one after it.

failures=0

# check NAME COMMAND..: runs it; commands bring their own deadlines.
check() {
  local name=$1 output
  shift
  if output=$("$@" 2>&1); then
    echo "ok $name"
  else
    failures=$((failures + 1))
    printf 'FAIL %s\n%s\n' "$name" "$output" | head -n 30
  fi
}

finish_part() { [ "$failures" -eq 0 ]; }
