#!/bin/bash
# mordal-archive verify-model: what it prints for models that agree with their reference and for
# models that don't, on any number of ranks.
set -euo pipefail
# shellcheck source=cka_fixture.sh
source "$MORDAL_SOURCE_DIR/tests/cli/cka_fixture.sh"
parity=$MORDAL_SOURCE_DIR/tests/reference/parity

echo "-- models of several families"
for ranks in 1 3; do
    mpiexec -n $ranks mordal-archive verify-model "$parity"/{llama-3.1,phi-3,gemma-3} \
        >lines.txt 2>log.txt || { cat lines.txt log.txt; fail "good models on $ranks ranks"; }
    [ "$(wc -l <lines.txt)" = $((54 + 36 + 54)) ] || fail "$(wc -l <lines.txt) lines"
    ! grep -Evq '^(llama|phi3|gemma3_text) [^ ]+ [0-9.e+-]+ [0-9.e+-]+ ok$' lines.txt ||
        fail "a line is no 'family quantity max_abs max_rel ok'"
done
grep -q '^gemma3_text grad.lora.model.layers.2.self_attn.q_proj.lora_B.weight ' lines.txt ||
    fail "a gradient wasn't compared"
expect 0 "clip_vision_model pooler_output" mordal-archive verify-model "$parity/encoders/clip"

echo "-- with memory that only the backend reaches"
expect 0 "qwen2 adam_losses" mordal-archive verify-model --backend strict "$parity/qwen2"
expect 0 "clip_vision_model pooler_output" mordal-archive verify-model --backend strict "$parity/encoders/clip"
expect 64 "none of auto|cpu|cuda" mordal-archive verify-model --backend gpu "$parity/qwen2"
mordal-archive verify-model --backend auto "$parity/qwen2" >lines.txt 2>log.txt || fail "backend auto"

echo "-- in bfloat16, with its tolerances"
mordal-archive verify-model --precision bfloat16 "$parity"/{llama-3.1,phi-3,gemma-3,encoders/siglip} >lines.txt 2>log.txt ||
    { cat lines.txt log.txt; fail "bfloat16"; }
awk '$2 == "logits" && $4 < 1e-3 { exit 1 }' lines.txt || fail "bfloat16 isn't what was computed"
expect 64 "float32 alone" mordal-archive verify-model --backend strict --precision bfloat16 "$parity/qwen2"

echo "-- a window that the reference doesn't have, and a norm that is another"
cp -r "$parity/mistral-window" window
sed -i 's/"sliding_window": 7/"sliding_window": 8/' window/config.json
expect 65 "of 54 quantities differ from the reference" mordal-archive verify-model window "$parity/llama-3"
mordal-archive verify-model window "$parity/llama-3" >lines.txt 2>log.txt || true
grep -q '^mistral logits .* FAIL$' lines.txt || fail "wrong logits weren't seen"
grep -q '^mistral visual .* ok$' lines.txt || fail "the projector has no window"
[ "$(grep -c '^llama .* ok$' lines.txt)" = 54 ] || fail "the second folder was left out"

echo "-- folders that can't be taken"
expect 64 "give the model folders" mordal-archive verify-model
expect 0 "usage: mordal-archive verify-model [--backend NAME] [--precision NAME] DIR" mordal-archive verify-model --help
expect 66 "nowhere" mordal-archive verify-model nowhere
sed -i 's/"model_type": "mistral"/"model_type": "mixtral"/' window/config.json
expect 65 'model_type is "mixtral"' mordal-archive verify-model window
cp "$parity/llama-3.1/reference.safetensors" window/
cp "$parity/mistral/config.json" window/
expect 65 "where" mordal-archive verify-model window
