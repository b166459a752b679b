#!/usr/bin/env bash
# A day on a card: speed beside PyTorch, then CIFAR-10 for 200 epochs, then as many of 800 epochs as fit.
#
# The card is in a machine without TensorFlow and network. It is reached by calls of ten minutes: a call takes this
# checkout and the folders that are carried with it along, runs one command, and brings the files in $OUT back. What a
# command leaves in $PLACE stays there between calls.
#
# Here, with TensorFlow and the data:
#   benchmarks/gpu_day.sh export                    # runs/day/in_bench/1 and runs/day/in/1, /2, ...: what is carried
# There, one line for each call (docs/results/gpu.md has the plan). `bench` and `train` refuse to run without CUDA:
#   benchmarks/gpu_day.sh take runs/day/in_bench/1  # one carried folder or several
#   benchmarks/gpu_day.sh bench                     # step time, memory and share of the matrix rate
#   CALL_SECONDS=600 benchmarks/gpu_day.sh train c200   # from where it stopped, until the call is nearly over
#   benchmarks/gpu_day.sh give c200 weights         # the state to $OUT; `velocity` by another call
#   benchmarks/gpu_day.sh take runs/day/in/4 then train c200 then give c200 weights   # several stages in one call;
#                                                   # one that fails does not keep the next from its turn
# Here again, with the folders that came back:
#   benchmarks/gpu_day.sh load c200 BACK ...        # a checkpoint, and kNN and a linear probe of it
# Everything on the CPU, in a tiny size, under the limits of such calls:
#   benchmarks/gpu_day.sh rehearse
set -euo pipefail
cd "$(dirname "$0")/.."

DAY=${DAY:-runs/day}                              # here: what is exported, carried and loaded
PLACE=${PLACE:-/tmp/simsiam_day}                  # there: what stays between calls
OUT=${OUT:-$DAY/out}                              # there: what comes back
PYTHON=${PYTHON:-python3}
TORCH_PYTHON=${TORCH_PYTHON:-$PYTHON}
CALL_SECONDS=${CALL_SECONDS:-}                    # the limit of a call; `train` ends MARGIN before it
MARGIN=${MARGIN:-45}                              # seconds to save, and to give the state
BENCH_SECONDS=${BENCH_SECONDS:-360}
EACH_SECONDS=${EACH_SECONDS:-180}                 # of that for one run at most, so that others have their turn
STEPS=${STEPS:-40}                                # of the speed test
KNN_EVERY=${KNN_EVERY:-20}                        # epochs
PART_MIB=${PART_MIB:-44}                          # of what is carried; with the checkout at most 64 MiB
CIFAR=${CIFAR:---flagfile=flags/recipes/cifar10.flags --precision=bfloat16} # and --data_dir=... if needed
EPOCHS=${EPOCHS:-200 800}
BENCH=${BENCH:---flagfile=flags/recipes/imagenet.flags --precision=bfloat16 --epochs=100 --noise=4096 --side=256}
BATCH=${BATCH:-256}
SIDE=${SIDE:-224}
TORCH=${TORCH:---precision=bfloat16 --side=256 --images=4096 --channels_last}
EVALUATE=${EVALUATE:---protocol=knn,linear --probe=cached}
export TF_CPP_MIN_LOG_LEVEL=2 PYTHONPATH=. PYTHONUNBUFFERED=1 XLA_PYTHON_CLIENT_MEM_FRACTION=0.92
unset XLA_CLIENT_MEM_FRACTION                     # the newer name of the same; JAX takes one of them
CALL_BEGAN=${CALL_BEGAN:-$(date +%s)}             # stages are processes of their own
export CALL_BEGAN

# Several variables hold more than one flag.
# shellcheck disable=SC2086
export_all() {
    local folders=() epochs
    for epochs in $EPOCHS; do
        "$PYTHON" benchmarks/pjrt_run.py export --workdir="$DAY/c$epochs" $CIFAR --epochs="$epochs"
        folders+=("c$epochs/pjrt=$DAY/c$epochs/pjrt")
    done
    local devices
    for devices in 1 2; do
        "$PYTHON" benchmarks/pjrt_run.py export --workdir="$DAY/bench$devices" --replicas="$devices" \
            $BENCH --image_size="$SIDE" --global_batch_size="$BATCH"
    done
    "$PYTHON" benchmarks/parts.py pack --out="$DAY/in" --part_mib="$PART_MIB" "${folders[@]}"
    "$PYTHON" benchmarks/parts.py pack --out="$DAY/in_bench" --part_mib="$PART_MIB" \
        "bench1/pjrt=$DAY/bench1/pjrt" "bench2/pjrt=$DAY/bench2/pjrt"
}

take() {
    local folder
    for folder in "$@"; do # what is carried with the speed test does not mix with the rest
        if [[ $folder == */in_bench/* ]]; then
            "$PYTHON" benchmarks/parts.py take --into="$PLACE/speed" "$folder"
        else
            "$PYTHON" benchmarks/parts.py take --into="$PLACE" "$folder"
        fi
    done
}

# Without this JAX would compute on the processor, with a warning, where it finds no card.
on_the_card() {
    export JAX_PLATFORMS=${JAX_PLATFORMS:-cuda}
    mkdir -p "$OUT"
}

# Runs a step to be timed, if the time is enough: timed NAME SECONDS COMMAND ...
timed() {
    local name=$1 needed=$2 left=$((BENCH_SECONDS - SECONDS))
    shift 2
    if ((left < needed)); then echo "left out, $left s are left and it takes about $needed: $name"; return; fi
    echo "== $name: XLA_FLAGS=${XLA_FLAGS:-}"
    timeout --kill-after=5 $((left < EACH_SECONDS ? left : EACH_SECONDS)) "$@" --steps="$STEPS" --json="$OUT/$name.json" \
        || echo "failed or over time: $name"
}

ours() {
    XLA_FLAGS=${3:-} timed "$1" "${4:-60}" "$PYTHON" benchmarks/pjrt_run.py run --workdir="$PLACE/speed/$2"
}

# shellcheck disable=SC2086
theirs() {
    timed "$1" 30 "$TORCH_PYTHON" benchmarks/step_torch.py $TORCH --device="$JAX_PLATFORMS" --image_size="$SIDE" \
        --batch_size="$BATCH" "${@:2}"
}

bench() {
    local needed devices
    on_the_card
    {
        ours default bench1
        needed=$((SECONDS + 15)) # what other choices of XLA's will take as well
        theirs torch_eager # whatever torch.compile does, there is a number to compare with
        theirs torch --compile
        devices=$("$PYTHON" -c "import jax; print(len(jax.devices()))" || echo 0)
        if ((devices > 1)); then ours two_devices bench2 "" "$needed"; fi
        ours no_graphs bench1 --xla_gpu_enable_command_buffer= "$needed"
        ours no_triton bench1 --xla_gpu_enable_triton_gemm=false "$needed"
        ours no_autotuning bench1 --xla_gpu_autotune_level=0 "$needed"
    } 2>&1 | tee "$OUT/bench.log"
    "$PYTHON" benchmarks/speed_table.py "$OUT"
}

train() {
    if [[ -z $CALL_SECONDS ]]; then
        echo "error: train needs CALL_SECONDS, the seconds that this call may take. Received: none." >&2
        exit 2
    fi
    local left=$((CALL_SECONDS - MARGIN - $(date +%s) + CALL_BEGAN))
    if ((left < 1)); then
        echo "error: no time is left to train: $MARGIN s are for saving. Received: CALL_SECONDS=$CALL_SECONDS." >&2
        exit 2
    fi
    on_the_card
    "$PYTHON" benchmarks/pjrt_run.py run --workdir="$PLACE/$1" --seconds="$left" --knn_every="$KNN_EVERY" \
        --json="$OUT/$1.json" 2>&1 | tee "$OUT/$1.log"
}

# With the weights the state is split; the velocity is of the same step.
give() {
    mkdir -p "$OUT"
    if [[ $2 == weights ]]; then "$PYTHON" benchmarks/pjrt_run.py split --workdir="$PLACE/$1"; fi
    "$PYTHON" benchmarks/parts.py pack --flat --part_mib=15 --out="$OUT/$2" "$1/pjrt=$PLACE/$1/$2"
}

load() {
    local name=$1 folder
    shift
    for folder in "$@"; do "$PYTHON" benchmarks/parts.py take --into="$DAY" "$folder"; done
    "$PYTHON" benchmarks/pjrt_run.py load --workdir="$DAY/$name"
    # shellcheck disable=SC2086
    "$PYTHON" evaluate.py --workdir="$DAY/$name" $EVALUATE
}

usage() {
    sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0"
    exit 2
}

run_stage() {
    local stage=${1:-}
    shift || true
    case $stage in
        export) export_all ;;
        take) take "$@" ;;
        bench) bench ;;
        train) train "$@" ;;
        give) give "$@" ;;
        load) load "$@" ;;
        rehearse) "$PYTHON" benchmarks/gpu_rehearsal.py "$@" ;;
        *) usage ;;
    esac
}

# Runs stages one after the other, each as a process of its own, so that one that fails ends itself alone.
each_stage() {
    local words=() word failed=0
    for word in "$@" "then"; do
        if [[ $word != "then" ]]; then
            words+=("$word")
        else
            benchmarks/gpu_day.sh "${words[@]}" || { failed=1 && echo "error: this stage failed: ${words[*]}" >&2; }
            words=()
        fi
    done
    return $failed
}

main() {
    if [[ " $* " == *" then "* ]]; then each_stage "$@"; else run_stage "$@"; fi
    exit # so that bash reads no further, should the file change meanwhile
}

main "$@"
