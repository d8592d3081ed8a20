#include "core/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

static struct {
    const char *program;
    int rank;
    mdl_log_level_t level;
    struct timespec start;
} logger = {"mordal", 0, MDL_LOG_INFO, {0, 0}};

static const char *const level_names[] = {"ERROR", "WARN", "INFO", "VERBOSE"};

void mdl_log_setup(const char *program, int rank, mdl_log_level_t level)
{
    logger.program = program;
    logger.rank = rank;
    logger.level = level;
    clock_gettime(CLOCK_MONOTONIC, &logger.start);
}

double mdl_log_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - logger.start.tv_sec) +
           1e-9 * (double)(now.tv_nsec - logger.start.tv_nsec);
}

static void write_line(mdl_log_level_t level, int with_rank, const char *format, va_list args)
{
    char stamp[32], line[1200];
    time_t now = time(NULL);
    struct tm local;
    strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", localtime_r(&now, &local));
    vsnprintf(line, sizeof line, format, args);
    if (with_rank)
        fprintf(stderr, "%s %.1fs %s %s [rank %d] %s\n", stamp, mdl_log_seconds(), logger.program,
                level_names[level], logger.rank, line);
    else
        fprintf(stderr, "%s %.1fs %s %s %s\n", stamp, mdl_log_seconds(), logger.program,
                level_names[level], line);
    fflush(stderr);
}

void mdl_log(mdl_log_level_t level, const char *format, ...)
{
    if (logger.rank != 0 || level > logger.level)
        return;
    va_list args;
    va_start(args, format);
    write_line(level, 0, format, args);
    va_end(args);
}

void mdl_log_rank(mdl_log_level_t level, const char *format, ...)
{
    if (level > logger.level)
        return;
    va_list args;
    va_start(args, format);
    write_line(level, 1, format, args);
    va_end(args);
}
