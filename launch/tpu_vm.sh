#!/usr/bin/env bash
# Trains on one Cloud TPU VM, from this checkout.
#
#   launch/tpu_vm.sh create                    a TPU VM named $TPU_NAME
#   launch/tpu_vm.sh setup                     this checkout and its packages there
#   launch/tpu_vm.sh data pacs DIR             a data set's folder or archive there
#   launch/tpu_vm.sh train --config configs/pacs.py:jigen [--config.KEY=VALUE ...]
#   launch/tpu_vm.sh fetch                     the runs, into runs/
#   launch/tpu_vm.sh delete                    the VM
#
# DRY_RUN=1 prints the commands and runs none. `train` again continues a run whose folder
# is still on the VM; a preempted VM's disk is gone (SPOT=1 asks for such a VM), so fetch
# now and then. Other types than the default v4-8 have runtimes of their own, such as
#   ACCELERATOR_TYPE=v5litepod-8 RUNTIME_VERSION=v2-alpha-tpuv5-lite
#   ACCELERATOR_TYPE=v6e-8 RUNTIME_VERSION=v2-alpha-tpuv6e
# These are of one host; on a slice of several hosts `train` starts a process on each, and
# --workdir must be on storage that all of them mount.
set -euo pipefail

: "${TPU_NAME:=jigsaw-shape}"
: "${ZONE:=us-central2-b}"
: "${ACCELERATOR_TYPE:=v4-8}"
: "${RUNTIME_VERSION:=tpu-ubuntu2204-base}"
: "${SPOT:=0}"
: "${PYTHON:=python3.11}" # on the VM
remote_dir=jigsaw_shape

run() {
  if [[ ${DRY_RUN:-0} == 1 ]]; then
    printf '%q ' "$@"
    printf '\n'
  else
    "$@"
  fi
}

tpu() { run gcloud compute tpus tpu-vm "$1" "${@:2}" --zone "$ZONE"; }

on_every_host() { tpu ssh "$TPU_NAME" --worker all --command "$1"; }

usage() {
  sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0" >&2
  exit 2
}

[[ $# -gt 0 ]] || usage
verb=$1
shift
here=$PWD
cd "$(dirname "$0")/.."
case $verb in
  create)
    options=(--accelerator-type "$ACCELERATOR_TYPE" --version "$RUNTIME_VERSION")
    if [[ $SPOT == 1 ]]; then options+=(--spot); fi
    tpu create "$TPU_NAME" "${options[@]}"
    ;;
  setup)
    if [[ -n $(git status --porcelain) ]]; then
      echo "tpu_vm.sh: what is not committed stays here" >&2
    fi
    archive=$(mktemp -d)/source.tar.gz
    run git archive --format tar.gz --output "$archive" HEAD
    tpu scp "$archive" "$TPU_NAME:source.tar.gz" --worker all
    on_every_host "mkdir -p $remote_dir && tar xzf source.tar.gz -C $remote_dir && \
cd $remote_dir && { command -v $PYTHON || { sudo apt-get update -q && \
sudo apt-get install -qy $PYTHON-venv; }; } && $PYTHON -m venv .venv && \
.venv/bin/pip install -q '.[tpu,pretrained]'"
    ;;
  data)
    [[ $# == 2 ]] || usage
    [[ $2 == /* ]] || set -- "$1" "$here/$2"
    on_every_host "rm -rf data_$1"
    tpu scp "$2" "$TPU_NAME:data_$1" --recurse --worker all
    on_every_host "cd $remote_dir && \
.venv/bin/python -m jigsaw_shape.prepare $1 --from ~/data_$1"
    ;;
  train)
    printf -v arguments '%q ' "$@"
    on_every_host "cd $remote_dir && .venv/bin/python -m jigsaw_shape.train \
--multihost $arguments"
    ;;
  fetch)
    tpu scp "$TPU_NAME:$remote_dir/runs" . --recurse --worker 0
    ;;
  delete)
    tpu delete "$TPU_NAME" --quiet
    ;;
  *)
    usage
    ;;
esac
