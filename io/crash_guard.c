#include "io/crash_guard.h"

#include "core/exit.h"

#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGABRT};
enum { N_SIGNAL = sizeof signals / sizeof signals[0] };

static struct sigaction before[N_SIGNAL];
static char sentence[1024];

static void on_crash(int number)
{
    (void)number;
    if (write(STDERR_FILENO, sentence, strlen(sentence)) < 0)
        _exit(MDL_E_INTERNAL);
    _exit(MDL_E_INPUT);
}

void mdl_crash_guard_begin(const char *path)
{
    struct sigaction action = {.sa_handler = on_crash};
    snprintf(sentence, sizeof sentence,
             "ERROR %.900s: HDF5 crashed on it: the file is damaged; copy or make it again\n",
             path);
    for (int i = 0; i < N_SIGNAL; i++)
        sigaction(signals[i], &action, &before[i]);
}

void mdl_crash_guard_end(void)
{
    for (int i = 0; i < N_SIGNAL; i++)
        sigaction(signals[i], &before[i], NULL);
}
