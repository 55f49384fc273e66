/*
 * The id of this process. Asking the kernel for each frame would cost more than all ten semaphore posts together,
 * so it is asked when a module is loaded, and in the child of each fork.
 */
#ifndef PYMILK_PROCESS_H
#define PYMILK_PROCESS_H

#include <pthread.h>
#include <sys/types.h>
#include <unistd.h>

/* One for each extension module that includes this; all of them have the same value. */
static pid_t pymilk_own_pid;

static void pymilk_note_pid(void)
{
    pymilk_own_pid = getpid();
}

__attribute__((constructor)) static void pymilk_watch_pid(void)
{
    pymilk_note_pid();
    pthread_atfork(NULL, NULL, pymilk_note_pid);
}

#endif /* PYMILK_PROCESS_H */
