#!/usr/bin/env bash
# Trains on whichever cloud has the accelerator, by SkyPilot (pip install skypilot).
#
#   DATA=gs://mine/PACS SET=pacs launch/sky.sh train --config configs/pacs.py:jigen \
#     --config.data.target=sketch --workdir gs://mine/runs/jigen-sketch
#   ... NODES=4 launch/sky.sh benchmark --config configs/pacs.py --presets erm,jigen \
#       --out gs://mine/runs/pacs    each of 4 nodes trains a quarter of the runs
#
# --workdir or --out is in a bucket, gs:// or s3://: a preempted job starts again
# elsewhere and goes on from there. DRY_RUN=1 prints the command and runs none.
# Variables: DATA, a bucket's folder, has the data set SET as downloaded; GPUS=H100:1 for
# each node; NODES=1; SPOT=1.
set -euo pipefail

: "${GPUS:=H100:1}"
: "${NODES:=1}"
: "${SPOT:=1}"
: "${SET:=pacs}"
cd "$(dirname "$0")/.."
# shellcheck source=launch/common.sh
source launch/common.sh

[[ $# -gt 0 && -n ${DATA:-} && $* == *://* ]] || usage
verb=$1
shift
case $verb in
  train) [[ $NODES == 1 ]] || usage ;;
  benchmark) ;;
  *) usage ;;
esac
options=(--yes --gpus "$GPUS" --num-nodes "$NODES")
if [[ $SPOT == 1 ]]; then options+=(--use-spot); fi
run sky jobs launch launch/sky.yaml "${options[@]}" --env "COMMAND=$verb" \
  --env "ARGUMENTS=$(show "$@")" --env "DATA=$DATA" --env "SET=$SET"
