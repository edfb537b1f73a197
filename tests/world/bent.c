/* A world that misbehaves on request, loaded before a real process (LD_PRELOAD): its wall clock is wrong, its disk is full
   or fails, a folder hangs as a share does that went away. What is wrong just now stands in a file that the test writes
   and every process maps (struct control; tests/world/__init__.py has the same layout).

   Only CLOCK_REALTIME is bent: monotonic time, sleeps and time-outs go on as they do on a machine whose clock was set. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

struct control {
  int64_t clock_offset_s;
  int32_t disk_errno;      /* of every write below disk_prefix; 0: it works */
  int32_t hangs;           /* calls on names below hung_prefix do not come back while it is set */
  char disk_prefix[512];
  char hung_prefix[512];
};

static struct control *control;

__attribute__((constructor)) static void map_control(void) {
  const char *path = getenv("PRINTROOM_LAB_CONTROL");
  int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  if (fd < 0) return;
  void *mapped = mmap(NULL, sizeof(struct control), PROT_READ, MAP_SHARED, fd, 0);
  close(fd);
  if (mapped != MAP_FAILED) control = mapped;
}

#define REAL(name) \
  static __typeof__(&name) real; \
  if (!real) real = dlsym(RTLD_NEXT, #name)

/* -- the wall clock -- */

static int64_t offset_s(void) { return control ? control->clock_offset_s : 0; }

int clock_gettime(clockid_t id, struct timespec *ts) {
  REAL(clock_gettime);
  int result = real(id, ts);
  if (result == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) ts->tv_sec += offset_s();
  return result;
}

int gettimeofday(struct timeval *tv, void *tz) {
  REAL(gettimeofday);
  int result = real(tv, tz);
  if (result == 0 && tv) tv->tv_sec += offset_s();
  return result;
}

time_t time(time_t *where) {
  struct timespec ts;
  clock_gettime(CLOCK_REALTIME, &ts);
  if (where) *where = ts.tv_sec;
  return ts.tv_sec;
}

/* -- the disk -- */

static int is_below(const char *prefix, const char *path) {
  size_t length = strlen(prefix);
  return length && path && strncmp(path, prefix, length) == 0 && (path[length] == '/' || path[length] == 0);
}

static int refuses(const char *path) {
  if (!control || !control->disk_errno || !is_below(control->disk_prefix, path)) return 0;
  errno = control->disk_errno;
  return 1;
}

static int refuses_fd(int fd) {
  if (!control || !control->disk_errno) return 0;
  char link[64], path[1024];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = 0;
  return refuses(path);
}

ssize_t write(int fd, const void *data, size_t size) {
  REAL(write);
  return refuses_fd(fd) ? -1 : real(fd, data, size);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
  REAL(writev);
  return refuses_fd(fd) ? -1 : real(fd, parts, count);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) {
  REAL(pwrite64);
  return refuses_fd(fd) ? -1 : real(fd, data, size, at);
}

ssize_t pwritev64v2(int fd, const struct iovec *parts, int count, off64_t at, int flags) {
  REAL(pwritev64v2);
  return refuses_fd(fd) ? -1 : real(fd, parts, count, at, flags);
}

int posix_fallocate64(int fd, off64_t at, off64_t size) {
  REAL(posix_fallocate64);
  return refuses_fd(fd) ? errno : real(fd, at, size);
}

int fsync(int fd) {
  REAL(fsync);
  return control && control->disk_errno == EIO && refuses_fd(fd) ? -1 : real(fd);
}

int fdatasync(int fd) {
  REAL(fdatasync);
  return control && control->disk_errno == EIO && refuses_fd(fd) ? -1 : real(fd);
}

ssize_t sendfile64(int out, int in, off64_t *at, size_t size) {
  REAL(sendfile64);
  return refuses_fd(out) ? -1 : real(out, in, at, size);
}

ssize_t copy_file_range(int in, off64_t *from, int out, off64_t *to, size_t size, unsigned flags) {
  REAL(copy_file_range);
  return refuses_fd(out) ? -1 : real(in, from, out, to, size, flags);
}

int mkdir(const char *path, mode_t mode) {
  REAL(mkdir);
  return refuses(path) ? -1 : real(path, mode);
}

int link(const char *old, const char *new) {
  REAL(link);
  return refuses(new) ? -1 : real(old, new);
}

/* A file that is there can be opened on a full disk. */
static int exists(const char *path) { return faccessat(AT_FDCWD, path, F_OK, 0) == 0; }

/* -- names: a folder that hangs -- */

static void hang_on(const char *path) {
  while (control && control->hangs && is_below(control->hung_prefix, path)) {
    struct timespec pause = {0, 20000000};
    nanosleep(&pause, NULL);
  }
}

#define OPENS(name, has_folder) \
  mode_t mode = 0; \
  if (flags & (O_CREAT | O_TMPFILE)) { \
    va_list more; \
    va_start(more, flags); \
    mode = va_arg(more, mode_t); \
    va_end(more); \
  } \
  hang_on(path); \
  if ((flags & O_CREAT) && !exists(path) && refuses(path)) return -1

int open64(const char *path, int flags, ...) {
  REAL(open64);
  OPENS(open64, 0);
  return real(path, flags, mode);
}

int open(const char *path, int flags, ...) {
  REAL(open);
  OPENS(open, 0);
  return real(path, flags, mode);
}

int openat64(int folder, const char *path, int flags, ...) {
  REAL(openat64);
  OPENS(openat64, 1);
  return real(folder, path, flags, mode);
}

int stat64(const char *path, struct stat64 *found) {
  REAL(stat64);
  hang_on(path);
  return real(path, found);
}

int lstat64(const char *path, struct stat64 *found) {
  REAL(lstat64);
  hang_on(path);
  return real(path, found);
}

int fstatat64(int folder, const char *path, struct stat64 *found, int flags) {
  REAL(fstatat64);
  hang_on(path);
  return real(folder, path, found, flags);
}

int access(const char *path, int mode) {
  REAL(access);
  hang_on(path);
  return real(path, mode);
}

DIR *opendir(const char *path) {
  REAL(opendir);
  hang_on(path);
  return real(path);
}

ssize_t readlink(const char *path, char *target, size_t size) {
  static ssize_t (*real)(const char *, char *, size_t);
  if (!real) real = dlsym(RTLD_NEXT, "readlink");
  if (strncmp(path, "/proc/", 6)) hang_on(path);
  return real(path, target, size);
}

int rename(const char *old, const char *new) {
  REAL(rename);
  hang_on(new);
  return refuses(new) ? -1 : real(old, new);
}
