#!/bin/bash
# A Slurm cluster of virtual hosts on this machine, for tests; root on Linux only.
#   cluster.sh up FOLDER [HOSTS=4] [CPUS=2]   then: export SLURM_CONF=FOLDER/slurm.conf
#   cluster.sh down FOLDER
# Each host is a slurmd with its own network, hostname, IPC, /tmp and /dev/shm, behind a bridge.
# FOLDER stands in for the parallel filesystem and must not lie in /tmp. No munge, no accounting.
# Exit code 77 when this machine cannot do it (no root, no Slurm, no namespaces).
set -euo pipefail

action=${1:?up or down}
folder=$(realpath -m "${2:?folder}")
hosts=${3:-4}
cpus=${4:-2}
bridge=mdlbr
net=10.78.0

cannot() {
    echo "skipped: $*"
    exit 77
}

# ip netns exec would remount /sys and hide the cgroup tree from slurmd; nsenter doesn't.
start_host() { # NUMBER
    ip netns add "mdl$1"
    ip link add "mdlve$1" type veth peer name eth0 netns "mdl$1"
    ip link set "mdlve$1" master "$bridge" up
    ip -n "mdl$1" addr add "$net.$1/24" dev eth0
    ip -n "mdl$1" link set eth0 up
    ip -n "mdl$1" link set lo up
    mkdir -p "$folder/spool-n$1"
    setsid nsenter --net="/run/netns/mdl$1" unshare --uts --ipc --mount bash -c "
        hostname n$1
        mount -t tmpfs tmpfs /tmp
        mount -t tmpfs tmpfs /dev/shm
        mount --bind '$folder/hosts' /etc/hosts
        exec slurmd -D -N n$1" >"$folder/out-n$1" 2>&1 </dev/null &
}

write_configuration() {
    local i
    cat >"$folder/slurm.conf" <<CONF
ClusterName=mordaltest
SlurmctldHost=$(hostname)($net.254)
SlurmctldPort=16817
SlurmdPort=16818
SlurmUser=root
AuthType=auth/none
CredType=cred/none
AuthInfo=cred_expire=5
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool-%n
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd-%n.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_min_interval=200000,sched_interval=3,bf_interval=3
ReturnToService=2
SlurmdTimeout=15
KillWait=5
MinJobAge=10
JobRequeue=1
CONF
    for ((i = 1; i <= hosts; i++)); do
        echo "NodeName=n$i NodeAddr=$net.$i CPUs=$cpus State=UNKNOWN" >>"$folder/slurm.conf"
    done
    echo "PartitionName=main Nodes=n[1-$hosts] Default=YES MaxTime=INFINITE State=UP" \
        >>"$folder/slurm.conf"
    {
        cat /etc/hosts
        echo "$net.254 $(hostname)"
        for ((i = 1; i <= hosts; i++)); do echo "$net.$i n$i"; done
    } >"$folder/hosts"
}

up() {
    local i
    [[ $EUID -eq 0 ]] || cannot "a virtual Slurm cluster needs root"
    for i in slurmctld slurmd sbatch ip nsenter unshare mpirun; do
        command -v "$i" >/dev/null || cannot "$i is not installed"
    done
    case $folder in /tmp/*) cannot "$folder lies in /tmp, which every host has for itself" ;; esac
    unshare --net --uts --ipc --mount true 2>/dev/null || cannot "no right to make namespaces"
    ! ip link show "$bridge" >/dev/null 2>&1 || cannot "another virtual cluster is up"
    ip link add "$bridge" type bridge 2>/dev/null || cannot "no right to make a bridge"
    trap down EXIT
    mkdir -p "$folder/state"
    ip addr add "$net.254/24" dev "$bridge"
    ip link set "$bridge" up
    write_configuration
    export SLURM_CONF=$folder/slurm.conf
    slurmctld -c
    for ((i = 1; i <= hosts; i++)); do start_host "$i"; done
    for ((i = 0; i < 60; i++)); do
        if [[ $(sinfo -h -t idle -o %D 2>/dev/null) == "$hosts" ]]; then
            trap - EXIT
            return
        fi
        sleep 0.5
    done
    cannot "the hosts did not come up, see $folder/slurmctld.log"
}

down() {
    local name
    if [[ -s $folder/slurmctld.pid ]]; then
        kill "$(cat "$folder/slurmctld.pid")" 2>/dev/null || true
    fi
    for name in $(ip netns list | awk '$1 ~ /^mdl[0-9]+$/ {print $1}'); do
        ip netns pids "$name" | xargs -r kill 2>/dev/null || true
        sleep 0.2
        ip netns pids "$name" | xargs -r kill -9 2>/dev/null || true
        ip link del "mdlve${name#mdl}" 2>/dev/null || true
        ip netns del "$name"
    done
    ip link del "$bridge" 2>/dev/null || true
}

"$action"
