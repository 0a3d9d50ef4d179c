#!/usr/bin/env bash
# Trains on one Cloud TPU slice, of one host or several, from this checkout.
#
#   launch/tpu_vm.sh create          asks for the slice $TPU_NAME; the request may queue
#   launch/tpu_vm.sh wait            until the slice is there
#   launch/tpu_vm.sh setup           this checkout and its packages, on every host
#   launch/tpu_vm.sh data pacs DIR   a data set's folder or archive, on every host
#   launch/tpu_vm.sh train --config configs/pacs.py:jigen [--config.KEY=VALUE ...]
#   launch/tpu_vm.sh fetch           the runs, into runs/
#   launch/tpu_vm.sh delete          the slice or its request
#
# DRY_RUN=1 prints the commands and runs none. Variables, with their defaults:
#   TPU_NAME=jigsaw-shape ZONE=us-central2-b SPOT=0 PYTHON=python3.11
#   ACCELERATOR_TYPE=v4-8 RUNTIME_VERSION=tpu-ubuntu2204-base; others are such as
#     v5litepod-8 with v2-alpha-tpuv5-lite, or v6e-8 with v2-alpha-tpuv6e
#   NFS=HOST:/SHARE     several hosts: runs/ is this folder on all of them
#
# A preempted slice (SPOT=1) loses its disk. On one host train with --workdir
# gs://MINE/RUN, and the same command goes on from the last checkpoint there.
set -euo pipefail

: "${TPU_NAME:=jigsaw-shape}"
: "${ZONE:=us-central2-b}"
: "${ACCELERATOR_TYPE:=v4-8}"
: "${RUNTIME_VERSION:=tpu-ubuntu2204-base}"
: "${SPOT:=0}"
: "${PYTHON:=python3.11}" # on the hosts
: "${NFS:=}"
remote_dir=jigsaw_shape
here=$PWD
cd "$(dirname "$0")/.."
# shellcheck source=launch/common.sh
source launch/common.sh

tpu() { run gcloud compute tpus "$1" "$2" "${@:3}" --zone "$ZONE"; }

on_every_host() { tpu tpu-vm ssh "$TPU_NAME" --worker all --command "$1"; }

state() {
  tpu queued-resources describe "$TPU_NAME" --format 'value(state.state)'
}

[[ $# -gt 0 ]] || usage
verb=$1
shift
case $verb in
  create)
    options=(--accelerator-type "$ACCELERATOR_TYPE" --runtime-version "$RUNTIME_VERSION")
    if [[ $SPOT == 1 ]]; then options+=(--spot); fi
    tpu queued-resources create "$TPU_NAME" --node-id "$TPU_NAME" "${options[@]}"
    ;;
  wait)
    failed=0
    while true; do
      found=$(state) || {
        ((++failed < 10)) || exit 1 # a wrong name or zone fails each time
        sleep 30
        continue
      }
      if [[ $found == ACTIVE || ${DRY_RUN:-0} == 1 ]]; then break; fi
      case $found in FAILED | SUSPENDED)
        echo "tpu_vm.sh: $TPU_NAME is $found: delete it and create it again" >&2
        exit 1
        ;;
      esac
      sleep 30
    done
    echo "$found"
    ;;
  setup)
    if [[ -n $(git status --porcelain) ]]; then
      echo "tpu_vm.sh: what is not committed stays here" >&2
    fi
    archive=$(mktemp -d)/source.tar.gz
    run git archive --format tar.gz --output "$archive" HEAD
    tpu tpu-vm scp "$archive" "$TPU_NAME:source.tar.gz" --worker all
    on_every_host "mkdir -p $remote_dir && tar xzf source.tar.gz -C $remote_dir && \
cd $remote_dir && { command -v $PYTHON || { sudo apt-get update -q && \
sudo apt-get install -qy $PYTHON-venv; }; } && $PYTHON -m venv .venv && \
.venv/bin/pip install -q '.[tpu,pretrained,buckets]'"
    if [[ -n $NFS ]]; then
      on_every_host "sudo apt-get update -q && sudo apt-get install -qy nfs-common && \
mkdir -p $remote_dir/runs && sudo mount -t nfs $(show "$NFS")$remote_dir/runs && \
sudo chown \$USER $remote_dir/runs"
    fi
    ;;
  data)
    [[ $# == 2 ]] || usage
    [[ $2 == /* ]] || set -- "$1" "$here/$2"
    on_every_host "rm -rf data_$1"
    tpu tpu-vm scp "$2" "$TPU_NAME:data_$1" --recurse --worker all
    on_every_host "cd $remote_dir && \
.venv/bin/python -m jigsaw_shape.prepare $1 --from ~/data_$1"
    ;;
  train)
    on_every_host "cd $remote_dir && .venv/bin/python -m jigsaw_shape.train \
--multihost $(show "$@")"
    ;;
  fetch)
    tpu tpu-vm scp "$TPU_NAME:$remote_dir/runs" . --recurse --worker 0
    ;;
  delete)
    tpu queued-resources delete "$TPU_NAME" --force --quiet
    ;;
  *)
    usage
    ;;
esac
