#include "io/lease.h"

#include "core/log.h"
#include "core/text.h"
#include "io/process.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* An NFS client may show the lease of the run before for FOLLOW_SECONDS on another host. */
enum { TOUCH_SECONDS = 5, STALE_SECONDS = 30, FOLLOW_SECONDS = 5 };

typedef struct {
    char host[64];
    long pid;
    char job[32], nonce[MDL_LEASE_NONCE];
    unsigned long long start;
} holder_t;

static struct {
    char *path;
    holder_t self;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    int held, followed, leaving;
} lease = {.mutex = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER};

static void describe_self(holder_t *self)
{
    const char *job = getenv("SLURM_JOB_ID");
    memset(self, 0, sizeof *self);
    gethostname(self->host, sizeof self->host - 1);
    self->pid = (long)getpid();
    snprintf(self->job, sizeof self->job, "%s", job != NULL && *job != '\0' ? job : "-");
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    snprintf(self->nonce, sizeof self->nonce, "%lx-%lx-%lx", (long)now.tv_sec, now.tv_nsec,
             self->pid);
    self->start = mdl_process_start(self->pid);
}

/* 0 when the file isn't there or makes no sense. */
static int read_holder(const char *path, holder_t *holder)
{
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return 0;
    holder->start = 0;
    int n = fscanf(file, "%63s %ld %31s %47s %llu", holder->host, &holder->pid, holder->job,
                   holder->nonce, &holder->start);
    fclose(file);
    return n >= 4;
}

/* Watches a lease of another host until it is touched (its holder lives) or wasn't for
 * STALE_SECONDS. Clocks of the two hosts are not compared. */
static int is_untouched(const char *path)
{
    struct stat first, now;
    const struct timespec second = {1, 0};
    if (stat(path, &first) != 0)
        return 1;
    mdl_log(MDL_LOG_INFO, "%s: held from another host; watching it for up to %d s", path,
            STALE_SECONDS);
    for (int i = 0; i < STALE_SECONDS; i++) {
        nanosleep(&second, NULL);
        int file = open(path, O_RDONLY);
        if (file < 0)
            return 1;
        int rc = fstat(file, &now);
        close(file);
        if (rc == 0 && (now.st_mtim.tv_sec != first.st_mtim.tv_sec ||
                        now.st_mtim.tv_nsec != first.st_mtim.tv_nsec))
            return 0;
    }
    return 1;
}

/* Of this host. One that was killed may take a moment to end. */
static int has_ended(const holder_t *holder)
{
    const struct timespec pause = {.tv_nsec = 100000000};
    for (int i = 0; i < 10; i++) {
        if (!mdl_process_lives(holder->pid, holder->start))
            return 1;
        nanosleep(&pause, NULL);
    }
    return 0;
}

static int is_dead(const char *path, const holder_t *holder)
{
    if (strcmp(holder->host, lease.self.host) == 0)
        return has_ended(holder);
    if (strcmp(holder->job, "-") != 0 && strcmp(holder->job, lease.self.job) == 0)
        return 1;
    return is_untouched(path);
}

static int is_ours(void)
{
    holder_t holder;
    return read_holder(lease.path, &holder) && strcmp(holder.nonce, lease.self.nonce) == 0;
}

static void *keep_touching(void *unused)
{
    (void)unused;
    pthread_mutex_lock(&lease.mutex);
    while (!lease.leaving) {
        if (is_ours())
            utimensat(AT_FDCWD, lease.path, NULL, 0);
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += TOUCH_SECONDS;
        pthread_cond_timedwait(&lease.wake, &lease.mutex, &until);
    }
    pthread_mutex_unlock(&lease.mutex);
    return NULL;
}

static int write_claim(const char *path, mdl_error_t *err)
{
    FILE *file = fopen(path, "w");
    if (file == NULL ||
        fprintf(file, "%s %ld %s %s %llu\n", lease.self.host, lease.self.pid, lease.self.job,
                lease.self.nonce, lease.self.start) < 0 ||
        fclose(file) != 0)
        return mdl_fail(err, MDL_E_IO,
                        "%s: cannot be written: %s; is the study folder writable and the disk not "
                        "full?",
                        path, strerror(errno));
    return MDL_OK;
}

static int refuse(const char *folder, const holder_t *holder, mdl_error_t *err)
{
    return mdl_fail(
        err, MDL_E_LOCKED,
        "study %s: in use by process %ld on host %s (Slurm job %s); wait for it, or end "
        "it and try again (a lease that nobody renews for %d s is taken over)",
        folder, holder->pid, holder->host, holder->job, STALE_SECONDS);
}

/* Takes the lease of the holder found dead away. Another run may have done so meanwhile and hold it
 * now: then the lease that was taken away is put back. */
static void bury(const holder_t *dead, const char *grave)
{
    holder_t found = {.nonce = ""};
    if (rename(lease.path, grave) != 0)
        return;
    read_holder(grave, &found);
    if (strcmp(found.nonce, dead->nonce) == 0)
        mdl_log(MDL_LOG_WARN, "taking over the lease of process %ld on host %s, which is gone",
                dead->pid, dead->host);
    else if (link(grave, lease.path) != 0)
        mdl_log(MDL_LOG_WARN, "the lease of process %ld on host %s is lost to a third run",
                found.pid, found.host);
    unlink(grave);
}

/* link(2)s the claim; a dead holder's file is taken away first. */
static int try_claim(const char *folder, const char *claim, const char *grave, mdl_error_t *err)
{
    holder_t holder = {.host = "?", .job = "?"};
    for (int attempt = 0; attempt < 3; attempt++) {
        if (link(claim, lease.path) == 0)
            return MDL_OK;
        if (errno != EEXIST)
            return mdl_fail(err, MDL_E_IO, "%s: cannot be made: %s", lease.path, strerror(errno));
        if (read_holder(lease.path, &holder) && !is_dead(lease.path, &holder))
            return refuse(folder, &holder, err);
        bury(&holder, grave);
    }
    return refuse(folder, &holder, err);
}

static int start_touching(mdl_error_t *err)
{
    lease.leaving = 0;
    lease.held = pthread_create(&lease.thread, NULL, keep_touching, NULL) == 0;
    if (lease.held)
        return MDL_OK;
    unlink(lease.path);
    return mdl_fail(err, MDL_E_INTERNAL, "the lease's thread cannot be started");
}

int mdl_lease_take(const char *study_folder, char nonce[MDL_LEASE_NONCE], mdl_error_t *err)
{
    describe_self(&lease.self);
    memcpy(nonce, lease.self.nonce, MDL_LEASE_NONCE);
    lease.path = mdl_text("%s/.lease", study_folder);
    char *claim = mdl_text("%s/.lease.%s.%ld", study_folder, lease.self.host, lease.self.pid);
    char *grave = mdl_text("%s/.lease.%s.%ld.dead", study_folder, lease.self.host, lease.self.pid);
    int rc = MDL_OK;
    if (lease.path == NULL || claim == NULL || grave == NULL)
        rc = mdl_fail(err, MDL_E_MEMORY, "out of memory for a path");
    if (rc == MDL_OK)
        rc = write_claim(claim, err);
    if (rc == MDL_OK) {
        rc = try_claim(study_folder, claim, grave, err);
        unlink(claim);
    }
    if (rc == MDL_OK)
        rc = start_touching(err);
    if (rc != MDL_OK) {
        free(lease.path);
        lease.path = NULL;
    }
    free(claim);
    free(grave);
    return rc;
}

int mdl_lease_follow(const char *study_folder, const char nonce[MDL_LEASE_NONCE], mdl_error_t *err)
{
    lease.path = mdl_text("%s/.lease", study_folder);
    if (lease.path == NULL)
        return mdl_fail(err, MDL_E_MEMORY, "out of memory for a path");
    memcpy(lease.self.nonce, nonce, MDL_LEASE_NONCE);
    lease.followed = 1;
    return MDL_OK;
}

int mdl_lease_check(mdl_error_t *err)
{
    const struct timespec second = {1, 0};
    if ((!lease.held && !lease.followed) || is_ours())
        return MDL_OK;
    for (int i = 0; lease.followed && i < FOLLOW_SECONDS; i++) {
        nanosleep(&second, NULL);
        if (is_ours())
            return MDL_OK;
    }
    return mdl_fail(
        err, MDL_E_LOCKED,
        "%s: another run took this study over while this one was suspended; nothing was "
        "written",
        lease.path);
}

void mdl_lease_give_back(void)
{
    if (lease.held) {
        pthread_mutex_lock(&lease.mutex);
        lease.leaving = 1;
        pthread_cond_signal(&lease.wake);
        pthread_mutex_unlock(&lease.mutex);
        pthread_join(lease.thread, NULL);
        if (is_ours())
            unlink(lease.path);
    }
    lease.held = lease.followed = 0;
    free(lease.path);
    lease.path = NULL;
}
