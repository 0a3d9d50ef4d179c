#!/usr/bin/env bash
# Trains under Slurm, from this checkout and the environment that is active.
#
#   launch/slurm.sh train --config configs/pacs.py:jigen [--config.KEY=VALUE ...]
#       one run on NODES nodes of GPUS GPUs each, with a process for each GPU
#   launch/slurm.sh benchmark --config configs/pacs.py --presets erm,jigen --out DIR ...
#       an array with a task for each missing run; again: what is still missing
#
# DRY_RUN=1 prints the commands and runs none. Variables, with their defaults:
#   NODES=1 GPUS=1
#   SBATCH=''    more options of sbatch, such as '--time=8:00:00 --partition=gpu'
# Two minutes before its time is up a run saves itself, and `train` queues itself again;
# also when a process was lost, at most 20 times. --workdir is on a disk that all share.
set -euo pipefail

: "${NODES:=1}"
: "${GPUS:=1}"
: "${SBATCH:=}"
cd "$(dirname "$0")/.."
# shellcheck source=launch/common.sh
source launch/common.sh

[[ $# -gt 0 ]] || usage
verb=$1
shift
read -ra options <<<"$SBATCH"
case $verb in
  train)
    # JAX gives each process the GPU with the process's number on its node.
    feed "#!/bin/bash
#SBATCH --job-name=jigsaw_shape
#SBATCH --nodes=$NODES
#SBATCH --ntasks-per-node=$GPUS
#SBATCH --gpus-per-node=$GPUS
#SBATCH --cpus-per-task=8
#SBATCH --signal=TERM@120
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=slurm-%j.txt
code=0
srun --gpu-bind=none --kill-on-bad-exit=0 \\
  python -m jigsaw_shape.train --multihost $(show "$@")|| code=\$?
# 75: stopped and saved; 69, 134 and 137 (SIGKILL): a process was lost.
case \$code in 69 | 75 | 134 | 137)
  if [ \"\${SLURM_RESTART_COUNT:-0}\" -lt 20 ]; then scontrol requeue \"\$SLURM_JOB_ID\"; fi
esac
exit \$code" sbatch ${options[@]+"${options[@]}"}
    ;;
  benchmark)
    script=(python -m jigsaw_shape.benchmark "$@" --slurm)
    if [[ ${DRY_RUN:-0} == 1 ]]; then
      echo "$(show "${script[@]}")| $(show sbatch ${options[@]+"${options[@]}"})"
    else
      text=$("${script[@]}")
      if [[ -n $text ]]; then feed "$text" sbatch ${options[@]+"${options[@]}"}; fi
    fi
    ;;
  *)
    usage
    ;;
esac
