# shellcheck shell=bash
# What the driver and the job scripts share: the table of steps, the launcher, one step from start
# to end, and what is remembered about it in STUDY_FOLDER/logs/state/STEP.
# It lies in share/mordal/jobscripts; the executables are found from there.

mdl_share=$(dirname "$(dirname "${BASH_SOURCE[0]}")")
mdl_bin=$(dirname "$(dirname "$mdl_share")")/bin
export OPENBLAS_NUM_THREADS=${OPENBLAS_NUM_THREADS:-1}
if [[ $EUID -eq 0 ]]; then
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi

mdl_again=75 # the exit code of a stage that stopped with a checkpoint
mdl_in_use=69 # another run has the study

mdl_say() { printf 'mordal: %s\n' "$*" >&2; }
mdl_die() {
    local code=$1
    shift
    mdl_say "$@"
    exit "$code"
}

# Reads the study's settings into the variables study_* and slurm_*, sources the site profile, and
# leaves the study's absolute path in study_file.
mdl_read_study() {
    local settings
    settings=$("$mdl_bin/mordal-study" shell "$1") || exit
    eval "$settings"
    study_file=$study_folder/$(basename "$1")
    mdl_read_site
    slurm_account=${slurm_account:-${site_account:-}}
    slurm_partition=${slurm_partition:-${site_partition:-}}
    slurm_qos=${slurm_qos:-${site_qos:-}}
    slurm_launcher=${slurm_launcher:-${site_launcher:-mpirun}}
    slurm_extra="${site_extra:-} ${slurm_extra:-}"
}

mdl_read_site() {
    local file=$slurm_site
    [[ -n $file ]] || return 0
    case $file in
        /*) ;;
        */*) file=$study_folder/$file ;;
        *) file=$mdl_share/sites/$file.sh ;;
    esac
    [[ -r $file ]] || mdl_die 66 "site profile $file: not there; correct slurm.site in $study_file"
    # shellcheck disable=SC1090
    source "$file"
}

# One line a step: its name, its job script, its command, its results below the study's folder.
mdl_step_table() {
    local i
    cat <<'TABLE'
archive-import   archive mordal-archive import              archive/vision
cka-vision       cka     mordal-cka --side vision           cka/vision.h5
cluster-vision   cluster mordal-cluster --side vision       clusters/vision.h5
archive-extract  archive mordal-archive extract             archive/language
cka-language     cka     mordal-cka --side language         cka/language-*.h5
cluster-language cluster mordal-cluster --side language     clusters/candidates.h5 clusters/language-*.h5
TABLE
    for ((i = 1; i <= study_rungs; i++)); do
        echo "rung-$i rung mordal-rung --rung $i rungs/rung-$i.h5"
    done
    echo 'regress regress mordal-regress regress/regress.h5'
    if [[ $study_train_choice == 1 ]]; then
        echo 'final regress mordal-regress --final regress/final.h5'
    fi
    echo 'report report mordal-report report/ranking.csv report/report.html'
}

mdl_steps() { mdl_step_table | awk '{print $1}'; }

# Sets step_script, step_command (an array) and step_results (an array of patterns) of step $1.
mdl_find_step() {
    local name script line words word
    while read -r name script line; do
        [[ $name == "$1" ]] || continue
        step_script=$script
        step_command=() step_results=()
        read -r -a words <<<"$line"
        for word in "${words[@]}"; do
            case $word in
                */*) step_results+=("$word") ;;
                *) step_command+=("$word") ;;
            esac
        done
        step_command[0]=$mdl_bin/${step_command[0]}
        step_command+=(--study "$study_file")
        return 0
    done < <(mdl_step_table)
    mdl_die 64 "unknown step '$1'; the steps are: $(mdl_steps | tr '\n' ' ')"
}

# What is remembered about a step: "STATE CODE DIGEST HOST PID JOB TIME", then a sentence.
mdl_digest() { sha256sum "$study_file" | cut -c1-32; }

mdl_remember() { # STEP STATE CODE SENTENCE
    local file=$study_folder/logs/state/$1
    mkdir -p "$study_folder/logs/state"
    printf '%s %s %s %s %s %s %s\n%s\n' "$2" "$3" "$(mdl_digest)" "$(hostname)" "$$" \
        "${SLURM_JOB_ID:--}" "$(date +%s)" "$4" >"$file.tmp.$$"
    mv "$file.tmp.$$" "$file"
}

# What each attempt at a step took, for `mordal plan`: a line "begin STEP TIME DEVICES JOB" and, unless
# it was killed, "end STEP TIME CODE". DEVICES: GPUs, or ranks where there are none.
mdl_account() {
    echo "$*" >>"$study_folder/logs/usage"
}

# mdl_attempt, accounted for.
mdl_accounted_attempt() { # STEP DEVICES COMMAND...
    local step=$1 devices=$2 code=0
    shift 2
    mdl_account begin "$step" "$(date +%s)" "$devices" "${SLURM_JOB_ID:--}"
    mdl_attempt "$@" || code=$?
    mdl_account end "$step" "$(date +%s)" "$code"
    return "$code"
}

mdl_result_is_there() {
    mdl_find_step "$1"
    [[ $1 == rung-* && $1 != rung-1 ]] && return 0 # no file when an earlier rung was the last
    (cd "$study_folder" && compgen -G "${step_results[0]}" >/dev/null)
}

# 0 when the step has ended well for this text of the study file and its result is there.
mdl_step_is_done() {
    local state code digest _
    read -r state code digest _ 2>/dev/null <"$study_folder/logs/state/$1" || return 1
    [[ $state == "done" && $code == 0 && $digest == "$(mdl_digest)" ]] && mdl_result_is_there "$1"
}

# The last error sentence of a log; else its last line that isn't between mpirun's dashed lines.
mdl_last_error() {
    local line
    line=$(grep -a ' ERROR ' "$1" 2>/dev/null | tail -n 1 | sed 's/.* ERROR //') || true
    if [[ -z $line ]]; then
        line=$(awk '/^-------------------/ { inside = !inside; next }
                    !inside && NF { last = $0 } END { print last }' "$1" 2>/dev/null) || true
    fi
    printf '%.600s' "${line:-its log is empty}"
}

# Why a step failed, from its exit code and log.
mdl_why() { # CODE LOG
    local text
    text=$(mdl_last_error "$2")
    if (($1 > 128)); then
        text="killed by signal $(($1 - 128)) (no memory left, scancel, a dead node); last words: $text"
    fi
    printf '%s' "$text"
}

# Puts the launcher's words for $1 ranks (of this allocation when empty) into the array launch.
mdl_launcher() {
    if [[ -n $1 ]]; then
        launch=(mpirun --bind-to none --oversubscribe -n "$1")
    elif [[ $slurm_launcher == srun ]]; then
        launch=(srun --mpi=pmix "--cpus-per-task=${SLURM_CPUS_PER_TASK:-1}" --kill-on-bad-exit=1)
    else
        launch=(mpirun --bind-to none)
    fi
}

# In a session of its own, as a Ctrl-C of the terminal would make mpirun kill the ranks; and told to
# stop when this shell is killed.
mdl_detached=(setsid)
if command -v setpriv >/dev/null; then
    mdl_detached+=(setpriv --pdeathsig USR1)
fi

# Runs a command and returns its exit code. A stop signal is passed on as USR1, upon which a stage
# saves its state and ends with 75; a second one ends it at once. mdl_stopped holds the signal.
mdl_attempt() {
    local pid='' signalled=1 code=0
    mdl_stopped=
    trap 'signalled=1; mdl_stop USR1 "$pid"' USR1
    trap 'signalled=1; mdl_stop TERM "$pid"' TERM INT HUP
    "${mdl_detached[@]}" "$@" &
    pid=$!
    while [[ $signalled ]]; do
        signalled=
        code=0
        wait "$pid" || code=$?
    done
    trap - USR1 TERM INT HUP
    if [[ $mdl_stopped && $code -ge 128 ]]; then
        code=$mdl_again # the signal came before the stage was ready for it
    fi
    return "$code"
}

mdl_stop() { # SIGNAL PID
    [[ -n $2 ]] || return 0
    if [[ -z $mdl_stopped ]]; then
        kill -USR1 "$2" 2>/dev/null || true
    elif [[ $1 == TERM ]]; then
        kill -TERM "$2" 2>/dev/null || true
    fi
    mdl_stopped=$1
}

# Seconds of "D-HH:MM:SS", "HH:MM:SS", "MM:SS" or "MM"; 0 if it is none of these.
mdl_seconds() {
    local days=0 text=$1 a b c
    [[ $text =~ ^([0-9]+-)?[0-9]+(:[0-9]+)*$ ]] || { echo 0; return; }
    if [[ $text == *-* ]]; then
        days=${text%%-*}
        IFS=: read -r a b c <<<"${text#*-}"
        echo $((10#$days * 86400 + 10#$a * 3600 + 10#${b:-0} * 60 + 10#${c:-0}))
        return
    fi
    IFS=: read -r a b c <<<"$text"
    if [[ -n $c ]]; then
        echo $((10#$a * 3600 + 10#$b * 60 + 10#$c))
    else
        echo $((10#$a * 60 + 10#${b:-0}))
    fi
}
