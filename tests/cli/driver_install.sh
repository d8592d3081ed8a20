#!/bin/bash
# What `cmake --install` puts in place works from the prefix alone.
set -euo pipefail
# shellcheck source=fake_prefix.sh
source "$MORDAL_SOURCE_DIR/tests/cli/fake_prefix.sh"
prefix=$PWD/prefix
cmake --install "$MORDAL_BUILD_DIR" --prefix "$prefix" >install.log
export PATH=$prefix/bin:/usr/bin:/bin
make_fake_study study </dev/null

expect_code 0 mordal check study
expect_text "mordal-report"
expect_text "all is well"
expect_code 0 mordal submit study --dry-run
expect_text "$prefix/share/mordal/jobscripts/rung.sbatch"
expect_text "$prefix/bin/mordal-regress --final"
ln -s "$prefix/bin/mordal" shortcut
expect_code 0 ./shortcut check study

echo "-- a site profile by name, and one that isn't there"
echo 'slurm: {site: gpu-cluster, gpus_per_node: 4}' >>study/STUDY.yaml
expect_code 0 mordal submit study --dry-run
expect_text "--gpus-per-node=4 --partition=gpu"
sed -i 's/site: gpu-cluster/site: nowhere/' study/STUDY.yaml
expect_code 66 mordal check study
expect_text "share/mordal/sites/nowhere.sh: not there"

echo "-- module file and man pages"
module=$(echo "$prefix"/share/modulefiles/mordal/*)
grep -q "set prefix \"$prefix\"" "$module" || fail "the module file has another prefix"
for page in mordal mordal-study; do
    [[ -s $prefix/share/man/man1/$page.1 ]] || fail "no man page of $page"
done
