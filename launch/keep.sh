#!/usr/bin/env bash
# Keeps a folder of runs in a bucket while a command works in it.
#
#   launch/keep.sh FOLDER URL COMMAND...
#
# URL names one tar file, gs://... (gcloud) or s3://... (aws). Where FOLDER is missing or
# empty, it is fetched from there. COMMAND then runs; every KEEP_MINUTES (10) and at its
# end FOLDER is stored: whole checkpoints, and at least the rows that belong to them. An
# object appears when its upload ends, so a machine that goes away leaves the one before.
# SIGTERM and Ctrl-C are passed on. The exit code is COMMAND's.
set -euo pipefail

: "${KEEP_MINUTES:=10}"
[[ $# -ge 3 ]] || {
  sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p;}' "$0" >&2
  exit 2
}
folder=$1 url=$2
shift 2
case $url in
  gs://*) copy=(gcloud storage cp) list=(gcloud storage ls) ;;
  s3://*) copy=(aws s3 cp) list=(aws s3 ls) ;;
  *)
    echo "keep.sh: $url: write gs://BUCKET/FILE.tar or s3://BUCKET/FILE.tar" >&2
    exit 2
    ;;
esac

# A copy of hard links holds still while it is read. Checkpoints go first: their rows
# were written before them. It fails where a file goes away meanwhile.
store() {
  local still status=0
  still=$folder.kept
  rm -rf "$still"
  mkdir "$still"
  (
    cd "$folder" &&
      find . -type d -name checkpoints -prune -exec cp -al --parents -t "$still" {} + &&
      find . -type d -name checkpoints -prune -o -type f \
        -exec cp -a --parents -t "$still" {} +
  ) && tar c -C "$still" --exclude '*.orbax-checkpoint-tmp*' . |
    "${copy[@]}" - "$url" || status=$?
  rm -rf "$still"
  return "$status"
}

# In the background: bash runs a trap while it waits, not while a command runs.
store_beside() {
  store &
  local storing=$! status
  while true; do
    status=0
    wait "$storing" || status=$?
    kill -0 "$storing" 2>/dev/null || return "$status"
  done
}

mkdir -p "$folder"
folder=$(realpath "$folder")
if [[ -z $(ls -A "$folder") ]]; then
  if "${list[@]}" "$url" >/dev/null 2>&1; then
    # Beside it first: part of a folder must not be taken for the whole, and stored.
    fetched=$folder.fetched
    rm -rf "$fetched"
    mkdir "$fetched"
    "${copy[@]}" "$url" - | tar x -C "$fetched"
    rmdir "$folder"
    mv "$fetched" "$folder"
  else
    # No such object, or no way to the bucket: then nothing must be begun anew.
    "${list[@]}" "$(cut -d/ -f1-3 <<<"$url")" >/dev/null
  fi
fi
"$@" &
child=$!
trap 'kill -TERM "$child" 2>/dev/null || true' TERM INT
code=''
while [[ -z $code ]]; do
  sleep "$((60 * KEEP_MINUTES))" &
  nap=$!
  status=0
  wait -n -p ended "$child" "$nap" || status=$?
  case ${ended:-signal} in
    "$child") code=$status ;;
    "$nap") store_beside || echo "keep.sh: not stored in $url; trying again later" >&2 ;;
  esac
  kill "$nap" 2>/dev/null || true
done
store || echo "keep.sh: not stored in $url" >&2
exit "$code"
