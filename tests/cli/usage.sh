#!/bin/bash
# What `mordal plan` says was used: attempts, failed and killed ones, and Slurm's energy.
set -euo pipefail
# shellcheck source=fake_prefix.sh
source "$MORDAL_SOURCE_DIR/tests/cli/fake_prefix.sh"
make_fake_prefix "$PWD/prefix"
mordal=$PWD/prefix/bin/mordal
make_fake_study study </dev/null
used() { awk -v step="$1" '/^== used/ { on = 1 } on && $1 == step { print $'"$2"' }' out; }

expect_code 0 "$mordal" plan study
grep -q '== used' out && fail "something was used"

echo "-- a step that stops with a checkpoint, goes on, and one that fails"
touch study/again-rung-1
echo 76 >study/fail-regress
expect_code 76 "$mordal" run study -n 2
rm study/fail-regress
expect_code 0 "$mordal" run study -n 2
expect_code 0 "$mordal" plan study
[[ $(used rung-1 2) == 3 ]] || { cat out; fail "attempts at rung-1"; }
[[ $(used regress 2) == 2 ]] || { cat out; fail "attempts at regress"; }

echo "-- times are added up: 100 s, 20 s that failed, a killed one, and one that goes on"
cat >study/logs/usage <<'END'
begin cka-vision 1000 2 -
end cka-vision 1100 0
begin regress 2000 4 11
end regress 2020 76
begin regress 3000 4 11
begin regress 4000 4 12
end regress 4900 75
begin final 5000 1 13
garbage
END
expect_code 0 "$mordal" plan study
expect_text "step *attempts *wall_s *rank_h *failed_s"
expect_text "^cka-vision *1 *100 *0.0556 *0$"
expect_text "^regress *3 *920 *1.02 *20  1 killed, time not known$"
expect_text "^final *1 *0 *0 *0  one has not ended$"
[[ $(grep -c '^all steps *5 *1020 *1.08 *20$' out) == 1 ]] || { cat out; fail "the sum"; }
grep -q energy out && fail "energy without accounting"

echo "-- energy of the jobs, both runs of the requeued one"
mkdir fake
cat >fake/sacct <<'END'
#!/bin/bash
[[ "$*" == *"-D -j 11,12,13"* ]] || exit 1
printf '%s\n' '11|1800000' '11.batch|1700000' '11.0|900000' '11|3600000' '11.batch|100' '12|' \
    '12.0|1800000' '13|0'
END
chmod +x fake/sacct
PATH=$PWD/fake:$PATH expect_code 0 "$mordal" plan study
expect_text "^energy: 2 kWh$"
