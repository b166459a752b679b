#!/usr/bin/env bash
# Trains on a Cloud TPU of one host: launch/tpu.sh NAME ZONE --flagfile=flags/recipes/imagenet.flags ...
#
# It makes the TPU, copies this folder to it, installs the requirements and starts the run, which goes on when this
# terminal is closed. The same line goes on with a run that was stopped. It needs gcloud, and a project that may make TPUs.
# We have not run it. Delete the TPU afterwards: gcloud compute tpus tpu-vm delete NAME --zone=ZONE
set -euo pipefail

name=${1:?the name of the TPU} zone=${2:?its zone}
shift 2
type=${TPU_TYPE:-v5litepod-8} image=${TPU_IMAGE:-v2-alpha-tpuv5-lite}
on_tpu() { gcloud compute tpus tpu-vm ssh "$name" --zone="$zone" --command="$1"; }

gcloud compute tpus tpu-vm describe "$name" --zone="$zone" >/dev/null 2>&1 ||
    gcloud compute tpus tpu-vm create "$name" --zone="$zone" --accelerator-type="$type" --version="$image"
git archive --format=tar.gz --output=/tmp/simsiam_tf.tar.gz HEAD
gcloud compute tpus tpu-vm scp /tmp/simsiam_tf.tar.gz "$name:" --zone="$zone"
on_tpu 'mkdir -p simsiam_tf && tar -xzf simsiam_tf.tar.gz -C simsiam_tf'
on_tpu 'cd simsiam_tf && python3 -m venv .venv && .venv/bin/pip install --quiet -r requirements-tpu.txt'
flags=$(printf '%q ' --strategy=tpu --tpu=local "$@")
on_tpu "cd simsiam_tf && nohup .venv/bin/python train.py $flags >train.log 2>&1 & sleep 5; tail simsiam_tf/train.log"
