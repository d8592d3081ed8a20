#include "archive/pooling.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* Five tokens, two visual positions before token 2: positions t0 t1 v v t2 t3 t4. Hidden state of
 * position p: (p, 10 p). */
enum { N_TOKEN = 5, N_VISUAL = 2, N_POSITION = N_TOKEN + N_VISUAL, N_FEAT = 2 };
static const uint8_t scored[N_TOKEN] = {0, 1, 0, 1, 1};
static const mdl_sample_t sample = {
    .n_token = N_TOKEN, .scored = scored, .visual_at = 2, .n_visual = N_VISUAL};
static float hidden[N_POSITION * N_FEAT];

static int fill(void **state)
{
    (void)state;
    for (int p = 0; p < N_POSITION; p++) {
        hidden[p * N_FEAT] = (float)p;
        hidden[p * N_FEAT + 1] = (float)(10 * p);
    }
    return 0;
}

static void mean_over_the_scored_tokens(void **state)
{
    (void)state;
    float row[N_FEAT];
    mdl_pool_hidden(MDL_POOL_MEAN, &sample, hidden, N_FEAT, N_POSITION, row);
    const float expected = (1 + 5 + 6) / 3.0f; /* positions of tokens 1, 3, 4 */
    assert_true(row[0] == expected && row[1] == 10 * expected);
}

static void last_token(void **state)
{
    (void)state;
    float row[N_FEAT];
    mdl_pool_hidden(MDL_POOL_LAST, &sample, hidden, N_FEAT, N_POSITION, row);
    assert_true(row[0] == 6 && row[1] == 60);
}

static void all_positions_with_zeros_behind(void **state)
{
    (void)state;
    enum { N_ROW = N_POSITION + 2 };
    float row[N_ROW * N_FEAT];
    memset(row, 0xff, sizeof row);
    mdl_pool_hidden(MDL_POOL_ALL, &sample, hidden, N_FEAT, N_ROW, row);
    assert_memory_equal(row, hidden, sizeof hidden);
    for (int i = N_POSITION * N_FEAT; i < N_ROW * N_FEAT; i++)
        assert_true(row[i] == 0);
}

static void names(void **state)
{
    (void)state;
    assert_int_equal(mdl_pooling_find("mean"), MDL_POOL_MEAN);
    assert_int_equal(mdl_pooling_find("last"), MDL_POOL_LAST);
    assert_int_equal(mdl_pooling_find("all"), MDL_POOL_ALL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mean_over_the_scored_tokens),
        cmocka_unit_test(last_token),
        cmocka_unit_test(all_positions_with_zeros_behind),
        cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, fill, NULL);
}
