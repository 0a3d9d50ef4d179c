# shellcheck shell=bash
# What the launchers share; they source it. DRY_RUN=1 prints commands and runs none.

show() { printf '%q ' "$@"; }

run() {
  if [[ ${DRY_RUN:-0} == 1 ]]; then
    show "$@" && echo
  else
    "$@"
  fi
}

# Runs the command that follows with the text as its input.
feed() {
  if [[ ${DRY_RUN:-0} == 1 ]]; then
    show "${@:2}" && printf "<<'END'\n%s\nEND\n" "$1"
  else
    "${@:2}" <<<"$1"
  fi
}

# Prints the comment at the top of the launcher.
usage() {
  sed -n '2,/^set /{/^set /d;/^# shellcheck/d;s/^# \{0,1\}//;p;}' "$0" >&2
  exit 2
}
