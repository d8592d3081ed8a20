/* The readers of a model's JSON: config.json of a language model, of a vision encoder, and
 * preprocessor_config.json or timm's keys. */
#include "fuzz_file.h"
#include "io/model_config.h"
#include "io/preprocessor_config.h"
#include "io/vision_config.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_byte)
{
    mdl_error_t err;
    mdl_model_config_t model;
    mdl_vision_config_t vision;
    mdl_preprocessor_t preprocessor;
    const char *path = mdl_fuzz_file(bytes, n_byte);
    if (mdl_model_config_read(path, &model, &err) == MDL_OK)
        mdl_model_config_n_weight(&model);
    mdl_vision_config_known(path);
    mdl_vision_config_read(path, &vision, &err);
    mdl_preprocessor_read(path, &preprocessor, &err);
    return 0;
}
