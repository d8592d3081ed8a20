#include "io/process.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Fields 3 and 22 of /proc/PID/stat: the second is the program's name in parentheses, with anything
 * in it. A letter of 0 where they can't be read. */
static void look(long pid, char *letter, unsigned long long *start)
{
    char path[64], text[1024], *rest;
    *letter = 0;
    *start = 0;
    snprintf(path, sizeof path, "/proc/%ld/stat", pid);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return;
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    rest = strrchr(text, ')');
    if (rest == NULL || rest[1] != ' ')
        return;
    *letter = rest[2];
    for (int field = 2; rest != NULL && field < 22; field++)
        rest = strchr(rest + 1, ' ');
    if (rest != NULL)
        *start = strtoull(rest, NULL, 10);
}

unsigned long long mdl_process_start(long pid)
{
    char letter;
    unsigned long long start;
    look(pid, &letter, &start);
    return start;
}

int mdl_process_lives(long pid, unsigned long long start)
{
    char letter;
    unsigned long long began;
    if (pid <= 0 || (kill((pid_t)pid, 0) != 0 && errno == ESRCH))
        return 0;
    look(pid, &letter, &began);
    return letter != 'Z' && letter != 'X' && (start == 0 || began == 0 || began == start);
}
