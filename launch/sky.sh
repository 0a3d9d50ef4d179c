#!/usr/bin/env bash
# Trains on whichever cloud has the accelerator, by SkyPilot (pip install skypilot).
#
#   BUCKET=gs://mine/runs DATA=gs://mine/PACS SET=pacs \
#     launch/sky.sh train --config configs/pacs.py:jigen --config.data.target=sketch
#   ... NODES=4 launch/sky.sh benchmark --config configs/pacs.py --presets erm,jigen \
#       --out runs/pacs              each of 4 nodes trains a quarter of the runs
#
# DRY_RUN=1 prints the command and runs none. Variables: BUCKET, gs:// or s3://, keeps
# the runs (keep.sh); DATA, a bucket's folder, has the data set SET as downloaded;
# GPUS=H100:1 for each node; NODES=1; SPOT=1. A preempted job starts again elsewhere and
# goes on from what the bucket has.
set -euo pipefail

: "${GPUS:=H100:1}"
: "${NODES:=1}"
: "${SPOT:=1}"
: "${SET:=pacs}"
cd "$(dirname "$0")/.."
# shellcheck source=launch/common.sh
source launch/common.sh

[[ $# -gt 0 && -n ${BUCKET:-} && -n ${DATA:-} ]] || usage
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
  --env "ARGUMENTS=$(show "$@")" --env "BUCKET=$BUCKET" --env "DATA=$DATA" \
  --env "SET=$SET"
