#include "mpi/block.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void blocks_cover_everything_once(void **state)
{
    (void)state;
    for (int64_t n = 0; n < 30; n++) {
        for (int n_part = 1; n_part < 8; n_part++) {
            int64_t next = 0;
            for (int part = 0; part < n_part; part++) {
                int64_t first, end;
                mdl_block_range(n, n_part, part, &first, &end);
                assert_int_equal(first, next);
                assert_true(end - first == n / n_part || end - first == n / n_part + 1);
                next = end;
            }
            assert_int_equal(next, n);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(blocks_cover_everything_once)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
