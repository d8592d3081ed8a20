#!/bin/bash
# Includes follow the arrows of the house: no stage uses another; similarity, models and kernels know
# no stage, and each of them none of those before it; io and mpi know no stage but core; HDF5 is
# called in io/ alone.
set -euo pipefail
cd "$MORDAL_SOURCE_DIR"
bad=0
complain() { echo "lint: $*"; bad=1; }
stages="archive cka cluster rung regress report score"
for file in $(git ls-files 'stages/*.c' 'stages/*.h'); do
    own=$(echo "$file" | cut -d/ -f2)
    for other in $stages; do
        [ "$other" = "$own" ] && continue
        grep -nE "#include \"$other/" "$file" && complain "$file includes stage $other"
    done
done
git grep -nE '#include "(similarity|models)/' -- 'stages/kernels/*' 'stages/core/*.[ch]' &&
    complain "kernels or core includes similarity or models"
git grep -nE '#include "similarity/' -- 'stages/models/*.[ch]' && complain "models includes similarity"
git grep -nE '#include "(archive|cka|cluster|rung|regress|report|score|similarity|models|kernels)/' \
    -- 'io/*.[ch]' 'mpi/*.[ch]' && complain "io/ or mpi/ includes a stage"
git grep -lE '#include <hdf5.h>' -- '*.c' '*.h' ':!io/' ':!tests/' &&
    complain "hdf5.h included outside io/"
exit $bad
