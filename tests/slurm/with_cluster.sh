# shellcheck shell=bash
# Sourced by the tests of this folder: a virtual cluster for the time of the test, fake stages.
# shellcheck source=../cli/fake_prefix.sh
source "$MORDAL_SOURCE_DIR/tests/cli/fake_prefix.sh"

cluster_up() { # HOSTS
    "$MORDAL_SOURCE_DIR/tests/slurm/cluster.sh" up "$PWD/cluster" "$1" || exit
    trap '"$MORDAL_SOURCE_DIR/tests/slurm/cluster.sh" down "$PWD/cluster"' EXIT
    export SLURM_CONF=$PWD/cluster/slurm.conf
    # Open MPI must not take the settings of a test on one machine to the hosts.
    unset OMPI_MCA_rmaps_base_oversubscribe
    make_fake_prefix "$PWD/prefix"
    mordal=$PWD/prefix/bin/mordal
}

wait_for() { # SECONDS COMMAND...
    local i limit=$1
    shift
    for ((i = 0; i < 5 * limit; i++)); do
        "$@" && return 0
        sleep 0.2
    done
    squeue -l
    tail -n 20 study/logs/*.log study/logs/state/* 2>/dev/null || true
    fail "waited $limit s for: $*"
}

queue_is_empty() { [[ -z $(squeue -h) ]]; }

state_is() { # STEP STATE, as mordal status says
    "$mordal" status study >status.out 2>&1
    [[ $(awk -v step="$1" '$1 == step {print $2}' status.out) == "$2" ]]
}

all_done() {
    "$mordal" status study >status.out 2>&1
    [[ $(grep -c ' done ' status.out) == 12 ]]
}

# One rank of a stage on the second host is killed, as soon as there is one.
kill_a_rank() { # PROGRAM
    wait_for 20 kill_if_there "$1"
}

kill_if_there() { # PROGRAM
    local pid
    for pid in $(ip netns pids mdl2); do
        if tr '\0' ' ' <"/proc/$pid/cmdline" | grep -Eq "(^|/)bin/$1 "; then
            kill -KILL "$pid"
            return 0
        fi
    done 2>/dev/null
    return 1
}

# Everything of the job on all hosts dies in the same moment, the batch script first.
kill_the_job() {
    local host pid pids=()
    for host in 1 2 3 4; do
        for pid in $(ip netns pids "mdl$host"); do
            if tr '\0' ' ' <"/proc/$pid/cmdline" | grep -Eq "slurm_script|mpirun|orted|/bin/mordal-"; then
                pids+=("$pid")
            fi
        done
    done
    kill -KILL "${pids[@]}"
}
