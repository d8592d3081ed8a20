#!/bin/bash
# Every executable has --help, --version and a man page that names each of its long options.
set -euo pipefail
bad=0
complain() { echo "lint: $*"; bad=1; }
for program in "$MORDAL_BUILD_DIR"/bin/mordal-*; do
    name=$(basename "$program")
    [ "$name" = mordal-study ] && continue
    page=$MORDAL_SOURCE_DIR/docs/man/$name.1.scd
    [ -f "$page" ] || { complain "no man page for $name"; continue; }
    "$program" --version | grep -q "^$name [0-9]" || complain "$name --version"
    sed 's/\\-/-/g' "$page" >plain.txt # scdoc escapes dashes
    commands=('')
    [ "$name" = mordal-archive ] && commands=(import extract ls verify export verify-model)
    for command in "${commands[@]}"; do
        "$program" ${command:+"$command"} --help | grep -oE '^ +(-[a-zA-Z], )?--[a-z-]+' |
            grep -oE -- '--[a-z-]+' >options.txt
        while read -r option; do
            grep -q -- "$option" plain.txt || complain "$page doesn't name $option"
        done <options.txt
    done
done
exit $bad
