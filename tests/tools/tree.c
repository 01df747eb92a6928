/* A tree of processes that talk in every way that a move has to keep, each checking what it gets: a ring of pipes, semaphores and shared memory of
 * POSIX and of System V, a pty, a timer. It writes "RING SEM SYSV PTY TIMER BAD" (how often each went round, and what was wrong) to the file
 * that it is given, again and again. */
#include <errno.h>
#include <pthread.h>
#include <pty.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/timerfd.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum { RING, SEM, SYSV, PTY, TIMER, KINDS };
static struct {
	volatile uint64_t count[KINDS], bad;
	sem_t ping, pong;
	volatile uint64_t ball;
} * shared;

static void bad(const char *what)
{
	__atomic_fetch_add(&shared->bad, 1, __ATOMIC_SEQ_CST);
	dprintf(2, "tree: %s\n", what);
}

static void rest(void)
{
	usleep(2000);
}

static void ring_member(int in, int out, uint64_t n, int first)
{
	uint64_t token;

	for (;; n += 3) {
		if (read(in, &token, sizeof(token)) != sizeof(token) || token != n)
			bad("ring");
		token = n + 1;
		if (first) {
			shared->count[RING]++;
			rest();
		}
		if (write(out, &token, sizeof(token)) != sizeof(token))
			bad("ring's pipe");
	}
}

static void ring(void)
{
	int p[3][2];
	uint64_t token = 0;

	for (int i = 0; i < 3; i++)
		if (pipe(p[i]) < 0)
			exit(1);
	for (int i = 0; i < 3; i++)
		if (fork() == 0)
			ring_member(p[i][0], p[(i + 1) % 3][1], (uint64_t)i, i == 0);
	if (write(p[0][1], &token, sizeof(token)) != sizeof(token))
		exit(1);
}

static void player(sem_t *mine, sem_t *others, uint64_t n)
{
	for (;; n += 2) {
		while (sem_wait(mine) < 0)
			;
		if (shared->ball != n)
			bad("semaphores");
		shared->ball = n + 1;
		shared->count[SEM]++;
		rest();
		sem_post(others);
	}
}

static void semaphores(void)
{
	sem_init(&shared->ping, 1, 1);
	sem_init(&shared->pong, 1, 0);
	if (fork() == 0)
		player(&shared->ping, &shared->pong, 0);
	if (fork() == 0)
		player(&shared->pong, &shared->ping, 1);
}

static void sysv_worker(int sem, volatile uint64_t *sums, int me)
{
	struct sembuf down = { 0, -1, 0 }, up = { 0, 1, 0 };

	for (;;) {
		while (semop(sem, &down, 1) < 0)
			if (errno != EINTR)
				bad("semop");
		if (sums[2] != sums[0] + sums[1])
			bad("System V shared memory");
		sums[me]++;
		rest();
		sums[2]++;
		shared->count[SYSV]++;
		semop(sem, &up, 1);
	}
}

static void sysv(void)
{
	int sem = semget(IPC_PRIVATE, 1, 0600), shm = shmget(IPC_PRIVATE, 4096, 0600);
	volatile uint64_t *sums = shmat(shm, NULL, 0);

	if (sem < 0 || shm < 0 || semctl(sem, 0, SETVAL, 1) < 0)
		exit(1);
	for (int i = 0; i < 2; i++)
		if (fork() == 0)
			sysv_worker(sem, sums, i);
}

static void pty_talk(int master)
{
	char out[32], in[64];

	for (unsigned n = 0;; n++) {
		int len = snprintf(out, sizeof(out), "%u\n", n), got = 0;

		if (write(master, out, (size_t)len) != len)
			bad("write to the pty");
		while (got < len) {
			ssize_t r = read(master, in + got, sizeof(in) - (size_t)got);

			if (r <= 0)
				return bad("read from the pty");
			got += (int)r;
		}
		if (got != len || memcmp(in, out, (size_t)len) != 0)
			bad("pty");
		shared->count[PTY]++;
		rest();
	}
}

static void pty(void)
{
	int master, slave;
	struct termios raw;

	if (openpty(&master, &slave, NULL, NULL, NULL) < 0 || tcgetattr(slave, &raw) < 0)
		exit(1);
	cfmakeraw(&raw);
	tcsetattr(slave, TCSANOW, &raw);
	if (fork() == 0)
		for (char b[64];;) {
			ssize_t r = read(slave, b, sizeof(b));

			if (r <= 0 || write(slave, b, (size_t)r) != r)
				bad("echo of the pty");
		}
	if (fork() == 0)
		pty_talk(master);
}

static void *timer(void *arg)
{
	int fd = timerfd_create(CLOCK_MONOTONIC, 0);
	const struct itimerspec each = { { 0, 5000000 }, { 0, 5000000 } };
	struct timespec before = { 0 }, now;
	uint64_t n;

	timerfd_settime(fd, 0, &each, NULL);
	for (;;) {
		if (read(fd, &n, sizeof(n)) != sizeof(n))
			bad("timer");
		clock_gettime(CLOCK_MONOTONIC, &now);
		if (now.tv_sec < before.tv_sec || (now.tv_sec == before.tv_sec && now.tv_nsec < before.tv_nsec))
			bad("a clock that went back");
		before = now;
		shared->count[TIMER]++;
	}
	return arg;
}

int main(int argc, char **argv)
{
	pthread_t thread;
	char fresh[256];

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (argc != 2 || shared == MAP_FAILED)
		return 1;
	ring();
	semaphores();
	sysv();
	pty();
	pthread_create(&thread, NULL, timer, NULL);
	snprintf(fresh, sizeof(fresh), "%s.new", argv[1]);
	for (;; usleep(20000)) {
		FILE *f = fopen(fresh, "w");

		if (!f)
			continue;
		for (int i = 0; i < KINDS; i++)
			fprintf(f, "%lu ", (unsigned long)shared->count[i]);
		fprintf(f, "%lu\n", (unsigned long)shared->bad);
		fclose(f);
		rename(fresh, argv[1]);
	}
}
