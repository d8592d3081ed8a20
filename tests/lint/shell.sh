#!/bin/bash
# Every shell script passes shellcheck.
set -euo pipefail
command -v shellcheck >/dev/null || exit 77
cd "$MORDAL_SOURCE_DIR"
git ls-files | while read -r file; do
    case $file in *.sh | *.sbatch) echo "$file" ;; *.*) ;; *)
        head -c 32 "$file" | grep -qa '^#!.*sh' && echo "$file" ;;
    esac
done | xargs shellcheck -x --source-path=SCRIPTDIR
