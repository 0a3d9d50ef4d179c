#!/usr/bin/env bash
# Trains on Kubernetes.
#
#   launch/kubernetes.sh build       the image $IMAGE of what is committed, and pushes it
#   launch/kubernetes.sh prepare pacs --from /shared/PACS
#   launch/kubernetes.sh benchmark --config configs/pacs.py --presets erm,jigen \
#       --out /shared/runs/pacs ...  an indexed Job: the runs in SHARDS shards
#   launch/kubernetes.sh train --config configs/pacs.py:jigen --workdir /shared/runs/x
#                                    one run on NODES pods of GPUS GPUs: a JobSet, which
#                                    needs https://jobset.sigs.k8s.io in the cluster
#
# DRY_RUN=1 prints the commands, with their manifests, and runs none. Variables:
#   IMAGE=jigsaw-shape   a name that the cluster can pull
#   CLAIM=jigsaw-shape   the PersistentVolumeClaim that pods see as /shared; several pods
#                        need the access mode ReadWriteMany
#   NAME=jigsaw-shape NODES=1 GPUS=1 SHARDS=4 EXTRAS=cuda,pretrained,buckets
# A pod that is evicted or loses another starts again and goes on from its checkpoint;
# one that was refused (exit code 2) does not.
set -euo pipefail

: "${IMAGE:=jigsaw-shape}"
: "${CLAIM:=jigsaw-shape}"
: "${NAME:=jigsaw-shape}"
: "${NODES:=1}"
: "${GPUS:=1}"
: "${SHARDS:=4}"
: "${EXTRAS:=cuda,pretrained,buckets}"
cd "$(dirname "$0")/.."
# shellcheck source=launch/common.sh
source launch/common.sh

as_json() { python3 -c 'import json, sys; print(json.dumps(sys.argv[1:]))' "$@"; }

# A pod of the shell script $1 with $2 GPUs and the arguments after that, as YAML.
pod() {
  cat <<END
template:
  spec:
    restartPolicy: Never
    terminationGracePeriodSeconds: 120
    containers:
      - name: main
        image: $IMAGE
        command: $(as_json sh -c "$1" sh "${@:3}")
        env: [{name: TFDS_DATA_DIR, value: /shared/data}]
        resources: {limits: {nvidia.com/gpu: $2}}
        volumeMounts: [{name: shared, mountPath: /shared}, {name: shm, mountPath: /dev/shm}]
    volumes:
      - name: shared
        persistentVolumeClaim: {claimName: $CLAIM}
      - name: shm
        emptyDir: {medium: Memory}
END
}

indent() { sed "s/^/$1/"; }

[[ $# -gt 0 ]] || usage
verb=$1
shift
case $verb in
  build)
    if [[ ${DRY_RUN:-0} == 1 ]]; then
      echo "git archive HEAD | docker build --file launch/Dockerfile --tag $IMAGE \
--build-arg EXTRAS=$EXTRAS -"
    else
      git archive HEAD | docker build --file launch/Dockerfile --tag "$IMAGE" \
        --build-arg "EXTRAS=$EXTRAS" -
    fi
    run docker push "$IMAGE"
    ;;
  prepare)
    feed "apiVersion: batch/v1
kind: Job
metadata: {name: $NAME-prepare}
spec:
  backoffLimit: 0
$(pod 'exec python -m jigsaw_shape.prepare "$@"' 0 "$@" | indent '  ')" kubectl apply -f -
    ;;
  benchmark)
    # 1: a run failed; 2: refused. Neither gets better by itself.
    feed "apiVersion: batch/v1
kind: Job
metadata: {name: $NAME}
spec:
  completionMode: Indexed
  completions: $SHARDS
  parallelism: $SHARDS
  backoffLimitPerIndex: 20
  podFailurePolicy:
    rules: [{action: FailIndex, onExitCodes: {operator: In, values: [1, 2]}}]
$(pod "exec python -m jigsaw_shape.benchmark \"\$@\" --shard \$JOB_COMPLETION_INDEX/$SHARDS" \
      "$GPUS" "$@" | indent '  ')" kubectl apply -f -
    ;;
  train)
    address=$NAME-train-0-0.$NAME:8476
    feed "apiVersion: jobset.x-k8s.io/v1alpha2
kind: JobSet
metadata: {name: $NAME}
spec:
  failurePolicy:
    maxRestarts: 20
    rules: [{action: FailJobSet, onJobFailureReasons: [PodFailurePolicy]}]
  replicatedJobs:
    - name: train
      replicas: 1
      template:
        spec:
          completionMode: Indexed
          completions: $NODES
          parallelism: $NODES
          backoffLimit: 0
          podFailurePolicy:
            rules: [{action: FailJob, onExitCodes: {operator: In, values: [2, 3]}}]
$(pod "exec python -m jigsaw_shape.train \"\$@\" --coordinator $address \
--process \$JOB_COMPLETION_INDEX/$NODES" \
      "$GPUS" "$@" | indent '          ')" kubectl apply -f -
    ;;
  *)
    usage
    ;;
esac
