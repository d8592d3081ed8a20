/* Log lines on stderr: "2026-11-24T08:15:30 12.4s cka INFO message".
 * ERROR   the run fails; never in a clean run
 * WARN    the result may not be what was meant
 * INFO    a few lines for each step of a stage, from rank 0 alone
 * VERBOSE one line for each file, candidate or batch group */
#ifndef MDL_CORE_LOG_H
#define MDL_CORE_LOG_H

typedef enum { MDL_LOG_ERROR, MDL_LOG_WARN, MDL_LOG_INFO, MDL_LOG_VERBOSE } mdl_log_level_t;

/* Names the program in every line and the rank that speaks; level is the most detailed one shown.
 * Not collective. */
void mdl_log_setup(const char *program, int rank, mdl_log_level_t level);

/* Seconds since mdl_log_setup. */
double mdl_log_seconds(void);

/* One line from rank 0 alone (errors too: they are reported once). Not collective. */
void mdl_log(mdl_log_level_t level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* One line from whichever rank calls, with its rank in it. Not collective. */
void mdl_log_rank(mdl_log_level_t level, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
